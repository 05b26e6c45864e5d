"""Fill in the templates of pages, which lie in a package's folder `templates`."""

from __future__ import annotations

from functools import cache
from typing import Any

from tda_nerfstudio.base.errors import counted


def fill_in(package: str, template: str, /, **content: Any) -> str:
    """Fill in a package's template; text in HTML is escaped, and something that a template lacks is an error."""
    return _templates(package).get_template(template).render(content)


@cache
def _templates(package: str) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    pages = Environment(
        loader=PackageLoader(package),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters["counted"] = counted
    pages.filters["breakable"] = lambda name: Markup(escape(name).replace("_", Markup("_<wbr>")))
    return pages
