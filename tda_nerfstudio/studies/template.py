"""Fill in the templates of pages, which lie in the folder `templates`."""

from __future__ import annotations

from typing import Any

from tda_nerfstudio.base.errors import counted


def fill_in(name: str, **content: Any) -> str:
    """Fill in a template; text in pages of HTML is escaped, and something that a template lacks is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    pages = Environment(
        loader=PackageLoader("tda_nerfstudio.studies"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters["counted"] = counted
    pages.filters["breakable"] = lambda name: Markup(escape(name).replace("_", Markup("_<wbr>")))
    return pages.get_template(name).render(content)
