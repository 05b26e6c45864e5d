"""Taking something along: a picture, a turn as a video, or the line of Python that makes the same picture."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from tda_nerfstudio.core.view import View
from tda_nerfstudio.looking.look import Look
from tda_nerfstudio.looking.painting import Picture, paint
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.snippet import snippet
from tda_nerfstudio.looking.videos.cameras import FPS
from tda_nerfstudio.looking.videos.reel import write_video
from tda_nerfstudio.looking.viewer import camera, words
from tda_nerfstudio.looking.viewer.buttons import add_buttons

if TYPE_CHECKING:
    from viser import ClientHandle

FRAMES = 72


class Taking:
    """Buttons that make files and offer them for download."""

    def __init__(self, client: ClientHandle, shelf: Shelf, look: Callable[[], Look], scale: float = 1.0) -> None:
        self.client, self.shelf, self.look, self.scale = client, shelf, look, scale
        gui = client.gui
        self.size = gui.add_slider("Pixels", 128, 2048, 64, 512, hint="Longest side of what is taken along")
        add_buttons(gui, "Take", ("PNG", "Turn as MP4"), self._take)
        self.code = gui.add_button("As Python")
        self.bar = gui.add_progress_bar(0.0, visible=False)
        self.said = gui.add_markdown("")
        self.code.on_click(lambda _: self._tell_code())

    def _take(self, kind: str) -> None:
        look = self.look()
        view = camera.read(self.client.camera, int(self.size.value), self.scale)
        name = f"{look.scene}_{words.stamp()}"
        try:
            if kind == "PNG":
                self.client.send_file_download(f"{name}.png", png(paint(self.shelf, look, view)))
            else:
                self.client.send_file_download(f"{name}.mp4", self._turn(look, view))
            self.said.content = f"{words.plain(name)} is in the browser's downloads."
        except Exception as error:  # noqa: BLE001  a button must not end the tab
            self.said.content = words.plain(f"That failed. {error}")
        finally:
            self.bar.visible = False

    def _turn(self, look: Look, view: View) -> bytes:
        """Paint a full turn from a camera on, and encode it."""
        target = self.client.camera.look_at / self.scale
        views = around(view, target, FRAMES)
        self.bar.visible = True

        def frames() -> Iterator[Picture]:
            for i in range(FRAMES):
                yield paint(self.shelf, look, views[i : i + 1])
                self.bar.value = 100 * (i + 1) / FRAMES

        return mp4(frames())

    def _tell_code(self) -> None:
        """Show the code. Indented lines of Markdown are shown letter by letter."""
        view = camera.read(self.client.camera, int(self.size.value), self.scale)
        text = snippet(self.shelf, self.look(), view)
        self.said.content = f"```python\n{text}\n```" if "```" not in text else words.plain(text)
        self.client.send_file_download("view.py", text.encode())


def around(view: View, target: np.ndarray, count: int) -> View:
    """Turn a camera around the vertical through a point, in world units: `count` cameras, itself the first."""
    import torch

    angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    turns = torch.zeros(count, 3, 3, dtype=torch.float64)
    turns[:, 0, 0] = turns[:, 1, 1] = angle.cos()
    turns[:, 1, 0], turns[:, 0, 1], turns[:, 2, 2] = angle.sin(), -angle.sin(), 1
    pose, middle = view.c2w[0].double(), torch.tensor(target).double()
    place = turns @ (pose[:, 3] - middle) + middle
    c2w = torch.cat([turns @ pose[:, :3], place[..., None]], 2)
    lens = (float(part[0]) for part in (view.fx, view.fy, view.cx, view.cy))
    return View.of(c2w, *lens, width=view.width, height=view.height)


def png(picture: Picture) -> bytes:
    """Encode a picture without loss."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def mp4(frames: Iterator[Picture]) -> bytes:
    """Encode pictures as a video."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "turn.mp4"
        write_video(frames, path, FPS)
        return path.read_bytes()
