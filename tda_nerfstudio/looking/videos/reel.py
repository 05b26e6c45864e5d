"""Frames on disk, which a stopped film goes on from, and the file that is made of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tda_nerfstudio.base.atomic import replace_file, write_text
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.looking.videos.film import Film, Frame

KEY = "film.json"
"""File in a folder of frames that says which film they are of."""
GIF_COLOURS = 255


def frame_path(folder: Path, i: int) -> Path:
    """Name a frame's file."""
    return folder / f"frame_{i:05d}.png"


def check_folder(folder: Path) -> None:
    """Raise TdaError for a folder that holds something else than frames of ours."""
    if folder.exists() and not (folder / KEY).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise TdaError(f"{folder} is there already and holds no frames of ours. Name another folder, or remove it.")


def make(film: Film, output: Path, fps: int) -> Path:
    """Paint what is missing of a film, and write it. Raises OSError for a full disk; nothing half-written is left.

    An output without a suffix is a folder of PNG files. Frames are kept until the file is there, so that the same call
    goes on after an interruption; those of another film are thrown away.
    """
    is_folder = not output.suffix
    folder = output if is_folder else output.with_name(f".{output.name}.frames")
    if film.key != _key_of(folder):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        write_text(folder / KEY, json.dumps({"film": film.key, "frames": film.count}))
    missing = [i for i in range(film.count) if not frame_path(folder, i).is_file()]
    for i in track(missing, f"Rendering {film.count:,} frames of {output.name}"):
        _save(film.paint(i), frame_path(folder, i))
    if not is_folder:
        _encode(folder, film.count, output, fps)
        shutil.rmtree(folder)
    return output


def _key_of(folder: Path) -> str | None:
    try:
        return json.loads((folder / KEY).read_text())["film"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _save(frame: np.ndarray, path: Path) -> None:
    from PIL import Image

    replace_file(path, lambda file: Image.fromarray(frame).save(file, "PNG", compress_level=1))


def _frames(folder: Path, count: int) -> Iterator[np.ndarray]:
    from PIL import Image

    for i in range(count):
        with Image.open(frame_path(folder, i)) as image:
            yield np.asarray(image.convert("RGB"))


def _encode(folder: Path, count: int, output: Path, fps: int) -> None:
    """Write the file among the frames, and move it to its place when it is whole."""
    made = folder / f"film{output.suffix}"
    (_gif if output.suffix.lower() == ".gif" else _video)(folder, count, made, fps)
    _require_whole(made, count)
    made.replace(output)


def _require_whole(path: Path, count: int) -> None:
    """Raise OSError unless a file has all frames: ffmpeg says nothing when it cannot write the last ones."""
    import imageio.v2 as imageio

    with imageio.get_reader(path) as video:
        found = sum(1 for _ in video.iter_data())  # type: ignore[attr-defined]
    if found != count:
        raise OSError(f"Only {found} of {count} frames could be written to {path.parent}. Is the disk full?")


def _video(folder: Path, count: int, path: Path, fps: int) -> None:
    write_video(track(_frames(folder, count), f"Writing {path.suffix[1:].upper()}", count), path, fps)


def write_video(frames: Iterable[Frame], path: Path, fps: int) -> None:
    """Encode RGB frames as the kind of video that a file's suffix tells."""
    import imageio.v2 as imageio

    options: dict[str, Any] = {"fps": fps, "macro_block_size": 2}
    if path.suffix.lower() == ".webm":
        options |= {"codec": "libvpx-vp9", "output_params": ["-crf", "30", "-b:v", "0", "-row-mt", "1"]}
    else:
        options |= {"quality": 8}
    with imageio.get_writer(path, **options) as video:
        for frame in frames:
            video.append_data(frame)  # type: ignore[attr-defined]


def _gif(folder: Path, count: int, path: Path, fps: int) -> None:
    """Write a GIF whose frames share one palette, so that nothing flickers."""
    from PIL import Image

    some = [
        frame[:: max(frame.shape[0] // 128, 1)]
        for frame in islice(_frames(folder, count), 0, None, max(count // 16, 1))
    ]
    palette = Image.fromarray(np.concatenate(some)).quantize(GIF_COLOURS, dither=Image.Dither.NONE)
    frames = [Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in _frames(folder, count)]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=1000 / fps, loop=0, optimize=False, disposal=1
    )
