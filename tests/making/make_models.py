"""Small models as files, and a light and a camera under which they are seen as they are."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tda_nerfstudio.making.models.files import read_model
from tda_nerfstudio.making.raycast import Camera, Light, Mesh, Raycaster

PLAIN = Light((0, 0, 1), key=0, sky=1, ground=1)
"""Shows every surface in its own colour."""
FRONT = np.array([[1.0, 0, 0, 0], [0, 0, -1, -2], [0, 1, 0, 0]])
"""Two units in front (at -y) of the origin, x to the right, z up."""
QUAD = {
    "POSITION": [[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]],
    "TEXCOORD_0": [[0, 1], [1, 1], [1, 0], [0, 0]],
    "indices": [0, 1, 2, 0, 2, 3],
}
"""A unit square in glTF's frame that looks to the front (z), its texture upright."""
PIXELS = {"u1": 5121, "<u2": 5123, "<u4": 5125, "<f4": 5126}
KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


def png(pixels: Any) -> bytes:
    """Encode rows of RGB or RGBA bytes."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG")
    return file.getvalue()


def tree(primitives: list[dict[str, Any]], images: list[bytes] = (), **others: Any) -> tuple[dict[str, Any], bytes]:
    """Lay out a glTF file: one mesh of some primitives (attributes, indices, material, mode), and its buffer."""
    blob, views, accessors, entries = b"", [], [], []

    def view(data: bytes) -> int:
        nonlocal blob
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": len(data)})
        blob += data + b"\0" * (-len(data) % 4)
        return len(views) - 1

    def accessor(values: Any, code: str) -> int:
        array = np.asarray(values, code)
        array = array.reshape(len(array), -1)
        entry = {"bufferView": view(array.tobytes()), "componentType": PIXELS[code], "count": len(array)}
        entry |= {"type": KINDS[array.shape[1]], "normalized": code in ("u1", "<u2") and array.shape[1] > 1}
        accessors.append(entry)
        return len(accessors) - 1

    for primitive in primitives:
        entry = {key: value for key, value in primitive.items() if key in ("material", "mode")}
        codes = {key: "u1" if getattr(value, "dtype", None) == np.uint8 else "<f4" for key, value in primitive.items()}
        entry["attributes"] = {key: accessor(value, codes[key]) for key, value in primitive.items() if key.isupper()}
        if "indices" in primitive:
            entry["indices"] = accessor(primitive["indices"], "<u2")
        entries.append(entry)
    textures = [{"bufferView": view(data), "mimeType": "image/png"} for data in images]
    content = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}]}
    content |= {"meshes": [{"primitives": entries}], "accessors": accessors, "bufferViews": views, "images": textures}
    content |= {"textures": [{"source": i} for i in range(len(textures))], "buffers": [{"byteLength": len(blob)}]}
    return content | others, blob


def append(content: dict[str, Any], blob: bytes, *columns: np.ndarray) -> bytes:
    """Add accessors of plain numbers to a file's tree, one an array, and their data to its buffer."""
    for array in columns:
        view = {"buffer": 0, "byteOffset": len(blob), "byteLength": array.nbytes}
        code = array.dtype.str.lstrip("|")
        entry = {"bufferView": len(content["bufferViews"]), "componentType": PIXELS[code], "count": len(array)}
        content["bufferViews"].append(view)
        content["accessors"].append(entry | {"type": KINDS[array.reshape(len(array), -1).shape[1]]})
        blob += array.tobytes() + b"\0" * (-array.nbytes % 4)
    content["buffers"][0]["byteLength"] = len(blob)
    return blob


def morphed(path: Path, weights: list[float]) -> Path:
    """Write the unit square with two morph targets, the second sparse: to the right by 1, its first corner up by 2."""
    content, blob = tree([QUAD])
    right, one, up = np.array([[1, 0, 0]] * 4, "<f4"), np.array([0], "<u2"), np.array([[0, 2, 0]], "<f4")
    blob = append(content, blob, right, one, up)
    views = len(content["bufferViews"])
    sparse = {"count": 1, "indices": {"bufferView": views - 2, "componentType": 5123}}
    sparse |= {"values": {"bufferView": views - 1}}
    content["accessors"].append({"componentType": 5126, "count": 4, "type": "VEC3", "sparse": sparse})
    size = len(content["accessors"])
    content["meshes"][0]["primitives"][0]["targets"] = [{"POSITION": size - 4}, {"POSITION": size - 1}]
    content["meshes"][0]["weights"] = weights
    return write_glb(path, content, blob)


def skinned(path: Path, joints: list[dict[str, Any]], weights: Any, bind: Any = None, **quad: Any) -> Path:
    """Write the unit square under nodes that are its joints; its own node is scaled by 5, which must not matter."""
    content, blob = tree([QUAD | quad])
    named = np.array([[0, 1, 0, 0]] * 4, "u1")
    blob = append(content, blob, named, np.array(weights, "<f4"))
    size = len(content["accessors"])
    content["meshes"][0]["primitives"][0]["attributes"] |= {"JOINTS_0": size - 2, "WEIGHTS_0": size - 1}
    skin: dict[str, Any] = {"joints": list(range(1, len(joints) + 1))}
    if bind is not None:
        blob = append(content, blob, np.array(bind, "<f4").transpose(0, 2, 1).reshape(-1, 16))
        skin["inverseBindMatrices"] = size
    content["nodes"] = [{"mesh": 0, "skin": 0, "scale": [5, 5, 5]}, *joints]
    content |= {"skins": [skin], "scenes": [{"nodes": list(range(len(joints) + 1))}]}
    return write_glb(path, content, blob)


def instanced(path: Path, **columns: Any) -> Path:
    """Write the unit square in several places, by EXT_mesh_gpu_instancing; its node is 1 to the right."""
    content, blob = tree([QUAD])
    size = len(content["accessors"])
    blob = append(content, blob, *(np.array(values, "<f4") for values in columns.values()))
    attributes = {key: size + i for i, key in enumerate(columns)}
    extensions = {"EXT_mesh_gpu_instancing": {"attributes": attributes}}
    content["nodes"] = [{"mesh": 0, "translation": [1, 0, 0], "extensions": extensions}]
    return write_glb(path, content | {"extensionsRequired": ["EXT_mesh_gpu_instancing"]}, blob)


def write_glb(path: Path, content: dict[str, Any], blob: bytes = b"") -> Path:
    """Write a GLB file."""
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(blob), b"BIN\0") + blob
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks)
    return path


def quad_glb(path: Path, material: dict[str, Any] | None = None, images: list[bytes] = (), **others: Any) -> Path:
    """Write the unit square in one material; `quad` among the others changes its attributes."""
    quad = QUAD | others.pop("quad", {}) | ({} if material is None else {"material": 0})
    return write_glb(path, *tree([quad], images, materials=[material or {}], **others))


def textured(**others: Any) -> dict[str, Any]:
    """Describe a material whose base colour is texture 0."""
    return {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}} | others


def see(model: Path | Mesh, size: int = 16, focal: float = 24.0, light: Light = PLAIN, samples: int = 3) -> np.ndarray:
    """Look at a model from the front; with these sizes the unit square covers pixels 2 to 13 both ways."""
    mesh = read_model(model) if isinstance(model, Path) else model
    camera = Camera(FRONT, focal, focal, size / 2, size / 2, size, size)
    return Raycaster(mesh, light).render(camera, samples)
