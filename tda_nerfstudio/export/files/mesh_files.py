"""Files of textured meshes: .glb, .obj with its material and texture, and .ply with colours of vertices."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from tda_nerfstudio.export.files.ply import points
from tda_nerfstudio.export.made import WORLD, Y_UP, header
from tda_nerfstudio.export.mesh.texture import Textured

QUALITY = 92
"""Of JPEG textures."""
FLOAT, SHORT, INT = 5126, 5123, 5125
"""Types of numbers in glTF."""


def mesh_files(mesh: Textured, kind: str, name: str) -> dict[str, bytes]:
    """Write a mesh as a kind of file, with all that belongs to it, by their names."""
    return {"glb": _glb, "obj": _obj, "ply": _ply}[kind](mesh, name)


def y_up(vectors: Float[np.ndarray, "vertex 3"]) -> Float[np.ndarray, "vertex 3"]:
    """Turn vectors from the atlas' world (z up, front along -y) to glTF's axes (y up, front along z)."""
    return np.stack([vectors[:, 0], vectors[:, 2], -vectors[:, 1]], 1)


def _glb(mesh: Textured, name: str) -> dict[str, bytes]:
    """Write binary glTF. Its material is unlit where readers know that, since colours have their light in them."""
    positions, normals = (y_up(part).astype("<f4") for part in (mesh.vertices, mesh.normals))
    small = len(positions) < 1 << 16
    parts = [mesh.faces.astype("<u2" if small else "<u4").tobytes(), positions.tobytes(), normals.tobytes()]
    parts += [mesh.uv.astype("<f4").tobytes(), _jpeg(mesh.texture)]
    padded = [part + b"\0" * (-len(part) % 4) for part in parts]
    starts = np.cumsum([0, *map(len, padded)]).tolist()
    views = [{"buffer": 0, "byteOffset": at, "byteLength": len(part)} for at, part in zip(starts, parts, strict=False)]
    for view, target in zip(views, (34963, 34962, 34962, 34962), strict=False):
        view["target"] = target
    count = len(positions)
    accessors = [
        {"bufferView": 0, "componentType": SHORT if small else INT, "count": mesh.faces.size, "type": "SCALAR"},
        {"bufferView": 1, "componentType": FLOAT, "count": count, "type": "VEC3"}
        | {"min": positions.min(0).tolist(), "max": positions.max(0).tolist()},
        {"bufferView": 2, "componentType": FLOAT, "count": count, "type": "VEC3"},
        {"bufferView": 3, "componentType": FLOAT, "count": count, "type": "VEC2"},
    ]
    attributes = {"POSITION": 1, "NORMAL": 2, "TEXCOORD_0": 3}
    surface = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 1.0}
    made, frame = header(name, Y_UP)
    tree = {
        "asset": {"version": "2.0", "generator": made, "extras": {"frame": frame}},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [{"name": name, "primitives": [{"attributes": attributes, "indices": 0, "material": 0}]}],
        "materials": [{"name": name, "pbrMetallicRoughness": surface, "extensions": {"KHR_materials_unlit": {}}}],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
        "images": [{"bufferView": 4, "mimeType": "image/jpeg"}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": starts[-1]}],
    }
    text = json.dumps(tree, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", starts[-1], b"BIN\0") + b"".join(padded)
    return {f"{name}.glb": struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks}


def _obj(mesh: Textured, name: str) -> dict[str, bytes]:
    """Write Wavefront OBJ; the .obj comes last, when what it names is there."""
    lines = [*(f"# {text}" for text in header(name, Y_UP)), f"mtllib {name}.mtl", "o mesh", "usemtl texture"]
    lines += _rows("v", y_up(mesh.vertices)) + _rows("vt", np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], 1))
    lines += _rows("vn", y_up(mesh.normals), 4)
    lines += ["f " + " ".join(f"{corner}/{corner}/{corner}" for corner in face) for face in (mesh.faces + 1).tolist()]
    material = ["newmtl texture", "Ka 0 0 0", "Kd 1 1 1", "Ks 0 0 0", "illum 1", f"map_Kd {name}.jpg"]
    return {
        f"{name}.jpg": _jpeg(mesh.texture),
        f"{name}.mtl": "\n".join([*material, ""]).encode(),
        f"{name}.obj": "\n".join([*lines, ""]).encode(),
    }


def _ply(mesh: Textured, name: str) -> dict[str, bytes]:
    """Write PLY with a colour a vertex."""
    size = len(mesh.texture)
    at = (mesh.uv * size).astype(int).clip(0, size - 1)
    colours = mesh.texture[at[:, 1], at[:, 0]]
    content = points(mesh.vertices, mesh.normals, colours, header(name, WORLD), mesh.faces)
    return {f"{name}.mesh.ply": content}


def _rows(key: str, values: NDArray, decimals: int = 6) -> list[str]:
    return [f"{key} " + " ".join(f"{value:.{decimals}f}" for value in row) for row in values.tolist()]


def _jpeg(image: UInt8[np.ndarray, "size size 3"]) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=QUALITY, subsampling=0)
    return content.getvalue()
