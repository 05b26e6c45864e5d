"""Materials of OBJ files: colours and textures, with the options that place them."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.parts import Material, Source
from tda_nerfstudio.making.models.surfaces import GREY, srgb_material
from tda_nerfstudio.making.models.textures import CLAMP, REPEAT, Texture

_NUMBERS = re.compile(r"(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s+){1,3}")
_WORD = re.compile(r"\S+\s+")
_IGNORED = ("-blendu", "-blendv", "-boost", "-bm", "-cc", "-imfchan", "-texres", "-type")
"""Options with one value that are ignored: they change filtering, bumps and colour correction."""
_NEUTRAL = {"-t": [0.0, 0.0, 0.0], "-mm": [0.0, 1.0]}
"""Options that are accepted only with values that change nothing: turbulence, and range of values."""


class Skin(NamedTuple):
    """A material, and how its texture is scaled and shifted."""

    material: Material
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    @np.errstate(all="ignore")  # what is not finite is refused later
    def place(self, uv: Float[np.ndarray, "row 2"]) -> Float[np.ndarray, "row 2"]:
        """Turn OBJ's texture coordinates, (0, 0) at the lower left, into those of a part."""
        return (uv * self.scale + self.offset) * [1, -1] + [0, 1]


class Materials:
    """The materials of an OBJ file's libraries; textures are read when a surface uses them, each once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._entries: dict[str, dict[str, str]] = {}

    def add(self, names: str) -> None:
        """Read the files of an `mtllib` line (`a.mtl b.mtl`, `with blanks.mtl`); a material's first definition wins."""
        for name in re.findall(r"\S.*?\.mtl(?=\s|$)", names, re.IGNORECASE) or [names]:
            entry: dict[str, str] = {}
            for line in text_of(self._source.read(name, "Material file")).splitlines():
                key, _, value = line.strip().replace("\t", " ").partition(" ")
                if key.lower() == "newmtl":
                    entry = {}
                    self._entries.setdefault(value.strip(), entry)
                elif value:
                    entry[key.lower()] = value.strip()

    def __contains__(self, name: str | None) -> bool:
        return name in self._entries

    def get(self, name: str | None) -> Skin:
        """Read a material: Kd times map_Kd, where Kd is white if only the map is given; grey for an unknown one."""
        entry = self._entries.get(name or "", {})
        colour: float | list[float] = 1.0 if "map_kd" in entry else GREY
        if "kd" in entry:
            try:
                colour = [float(word) for word in entry["kd"].partition("#")[0].split()[:3]]
                if len(colour) not in (1, 3):
                    raise ValueError
            except ValueError:
                message = f"Material '{name}': 'Kd {entry['kd']}' is not supported. Write three numbers from 0 to 1."
                raise TdaError(message) from None
        if "map_kd" not in entry:
            return Skin(srgb_material(colour))
        image, options = _options(name, entry["map_kd"])
        pixels = self._source.pixels(f"Texture '{image}'", lambda: self._source.read(image, "Texture"))
        wrap = CLAMP if options.get("-clamp") == "on" else REPEAT
        material = srgb_material(colour, Texture(pixels, (wrap, wrap)))
        return Skin(material, _pair(options.get("-s", ""), 1.0), _pair(options.get("-o", ""), 0.0))


def _options(name: str | None, value: str) -> tuple[str, dict[str, str]]:
    """Split what follows `map_Kd` into the file's name and its options, of which all must be known."""
    options: dict[str, str] = {}
    rest = value
    while rest.startswith("-"):
        option, _, rest = rest.partition(" ")
        rest = rest.lstrip()
        found = _NUMBERS.match(rest) if option in ("-s", "-o", *_NEUTRAL) else _WORD.match(rest)
        words = found[0].split() if found else []
        known = option in ("-s", "-o", "-clamp", *_IGNORED)
        if option in _NEUTRAL:
            known = [float(word) for word in words] == _NEUTRAL[option][: len(words)]
        if not words or not known:
            raise TdaError(f"Material '{name}': {option} of 'map_Kd {value}' is not supported. Remove it.")
        options[option], rest = " ".join(words), rest[found.end() if found else 0 :]
    return rest, options


def _pair(words: str, default: float) -> tuple[float, float]:
    u, v = [*(float(word) for word in words.split()), default, default][:2]
    return u, v


def text_of(data: bytes) -> str:
    """Decode a text file: UTF-8 or UTF-16 with or without a byte order mark, or else Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
