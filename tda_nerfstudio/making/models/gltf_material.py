"""glTF's materials: base colour, its texture and sampler, and where the texture lies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.gltf_file import GltfFile
from tda_nerfstudio.making.models.parts import Material
from tda_nerfstudio.making.models.textures import CLAMP, MIRROR, REPEAT, Texture

_WRAPS = {33071: CLAMP, 33648: MIRROR, 10497: REPEAT}
_NEAREST = 9728


def read_material(file: GltfFile, index: int | None) -> tuple[Material, dict[str, Any]]:
    """Read a material's base colour, and how its texture is placed."""
    if index is None:
        return Material(), {}
    entry = file.tree["materials"][index]
    old = entry.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness", {})
    base = entry.get("pbrMetallicRoughness", {})
    factor = base.get("baseColorFactor", old.get("diffuseFactor", [1, 1, 1, 1]))
    place = base.get("baseColorTexture", old.get("diffuseTexture"))
    cutoff = {"MASK": entry.get("alphaCutoff", 0.5), "BLEND": 0.0}.get(entry.get("alphaMode"), -1.0)
    red, green, blue, alpha = (float(value) for value in factor)
    texture = None if place is None else _texture(file, place["index"])
    extra = {} if place is None else place | place.get("extensions", {}).get("KHR_texture_transform", {})
    return Material((red, green, blue, alpha), texture, float(cutoff)), extra


def _texture(file: GltfFile, index: int) -> Texture:
    texture = file.tree["textures"][index]
    number = _image(index, texture)
    image, what = file.tree["images"][number], f"Texture {number}"

    def read() -> bytes:
        return bytes(file.view(image["bufferView"])[0]) if "bufferView" in image else file.fetch(image["uri"], what)

    sampler = file.tree["samplers"][texture["sampler"]] if "sampler" in texture else {}
    wrap = (_WRAPS[sampler.get("wrapS", 10497)], _WRAPS[sampler.get("wrapT", 10497)])
    return Texture(file.source.pixels(what, read), wrap, sampler.get("magFilter") != _NEAREST)


def _image(index: int, texture: dict[str, Any]) -> int:
    """Choose the image of a texture: WebP, or else the plain one."""
    others = texture.get("extensions", {})
    for place in (others.get("EXT_texture_webp", {}), texture):
        if "source" in place:
            return place["source"]
    if others:
        raise TdaError(f"Texture {index}: {', '.join(others)} is not supported. Export it with PNG or JPEG textures.")
    raise TdaError(f"Texture {index} has no image. Export it again.")


def placed(uv: Float[np.ndarray, "vertex 2"], place: dict[str, Any]) -> Float[np.ndarray, "vertex 2"]:
    """Scale, turn and shift texture coordinates as KHR_texture_transform says."""
    turn = float(place.get("rotation", 0))
    turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return uv * np.array(place.get("scale", [1, 1])) @ turned.T + np.array(place.get("offset", [0, 0]))
