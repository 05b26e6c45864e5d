"""Image files for readers that know plain images only, with the pixels that our own methods see."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from PIL import Image

from tda_nerfstudio.atlas.images import Picture, read_image
from tda_nerfstudio.atlas.posed import PosedImages
from tda_nerfstudio.base.atomic import replace_file

_FORMAT = 1  # raise it when pixels are made in another way
_PLAIN = ("RGB", "RGBA", "L")  # modes in PIL's words


def plain_files(images: PosedImages) -> list[Path]:
    """Name a file of 8-bit RGB, RGBA or grey pixels at its own size for each of some images.

    These are the images' own files if all of them are plain. Otherwise they are copies of all of them, made once in the
    user's cache. Raises TdaError for an image that cannot be read.
    """
    size = (images.width, images.height)
    if all(_is_plain(picture, size) for picture in images.pictures):
        return list(images.paths)
    folder = _cache() / _key(images, size)
    files = [folder / f"{row:05d}-{picture.path.stem}.png" for row, picture in enumerate(images.pictures)]
    for picture, file in zip(images.pictures, files, strict=True):
        if not file.is_file():
            image = Image.fromarray(read_image(picture, *size).numpy())
            replace_file(file, lambda target, image=image: image.save(target, "PNG"))
    return files


def _is_plain(picture: Picture, size: tuple[int, int]) -> bool:
    with Image.open(picture.path) as image:
        return picture.is_plain and image.size == size and image.mode in _PLAIN and "transparency" not in image.info


def _key(images: PosedImages, size: tuple[int, int]) -> str:
    """Hash all that the pixels depend on."""
    digest = hashlib.blake2b(repr((_FORMAT, size)).encode(), digest_size=16)
    for picture in images.pictures:
        digest.update(repr((picture.path.stem, picture.lens)).encode())
        for path in (picture.path, picture.mask):
            digest.update(hashlib.blake2b(path.read_bytes() if path else b"").digest())
    return digest.hexdigest()


def _cache() -> Path:
    """Find the user's cache, or make a temporary folder where it cannot be written."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "tda_nerfstudio" / "images"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="tda_nerfstudio-"))
