"""viser's server with a page of ours: it says when WebGL is missing, asks nobody else, and gives out no other file.

viser 0.2.7 sends any file that a path like /../../name leads to, and its page loads a script that counts visits.
"""

from __future__ import annotations

import html
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import viser
from viser import infra

MISSING = """
<noscript>This viewer needs JavaScript. Switch it on for this page.</noscript>
<p id="missing" hidden style="font: 16px/1.5 sans-serif; margin: 4em auto; max-width: 34em; padding: 0 1em">
This viewer draws with WebGL, and this browser has none. Switch on hardware acceleration in its settings, update it, or
open this page in another browser. Pictures can be made without it: <code>tda render</code> writes videos,
<code>tda gallery</code> pages for any browser.</p>
<script>
const canvas = document.createElement("canvas");
if (!canvas.getContext("webgl2") && !canvas.getContext("webgl")) document.getElementById("missing").hidden = false;
</script>
"""
"""What our page adds to viser's."""


class Pages:
    """The files of viser's client by the names that a browser asks for; no other name leads to a file."""

    def __init__(self, folder: Path, title: str, own: Path) -> None:
        """Write a page of our own into a folder."""
        self.files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        page = self.files["index.html"].read_text()
        foreign = r"<script[^>]*src=\"https?:.*?</script>|<script>.*?</script>|<!--.*?-->"
        page = re.sub(foreign, "", page, flags=re.DOTALL)
        page = re.sub(r"<title>.*?</title>", lambda _: f"<title>{html.escape(title)}</title>", page, flags=re.DOTALL)
        self.files["index.html"] = own / "index.html"
        self.files["index.html"].write_text(page.replace("<body>", f"<body>{MISSING}", 1))

    def __truediv__(self, name: str) -> Path:
        return self.files.get(name, Path("no such file") / "nowhere")


def start_server(host: str, port: int, title: str) -> viser.ViserServer:
    """Start viser's server with our page."""
    own = TemporaryDirectory(prefix="tda_view_")

    class Server(infra.WebsockServer):
        pages = own  # kept as long as the server

        def __init__(self, *args: Any, **given: Any) -> None:
            given["http_server_root"] = Pages(given["http_server_root"], title, Path(own.name))
            super().__init__(*args, **given)

    with patch.object(infra, "WebsockServer", Server), redirect_stdout(StringIO()):  # it would print wrong addresses
        return viser.ViserServer(host=host, port=port, verbose=False)
