"""OBJ (with MTL) and PLY as parts, read with trimesh once their sizes have been looked at. Colours are sRGB."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from tda_nerfstudio.atlas.colour import to_linear
from tda_nerfstudio.atlas.models.parts import Material, Part, Source, check_count, read_file
from tda_nerfstudio.atlas.models.textures import Texture, read_pixels
from tda_nerfstudio.core.errors import TdaError

GREY = 0.6
"""sRGB colour of surfaces whose file says none."""
_HEADER = 2**16
_SIZES = {"char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "float": 4, "double": 8}
_SIZES |= {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4, "float64": 8}


def read_obj_or_ply(source: Source) -> list[Part]:
    """Read a model in its own frame. Raises TdaError."""
    import trimesh

    kind = source.path.suffix.lower()[1:]
    data = read_file(source.path, "The file")
    has_normals = _check_ply(data) if kind == "ply" else _check_obj(data)
    files: Any = _Files(source)  # as much of a trimesh resolver as is used
    try:
        scene = trimesh.load_scene(io.BytesIO(data), file_type=kind, resolver=files, process=False)
        if files.problem:
            raise files.problem
        surfaces = {name: mesh for name, mesh in scene.geometry.items() if isinstance(mesh, trimesh.Trimesh)}
        return [_part(name, mesh, files, has_normals) for name, mesh in surfaces.items()]
    except TdaError:
        raise
    except Exception as error:  # whatever trimesh meets in a broken file
        reason = f"{type(error).__name__}: {error}"[:200]
        advice = "Copy it whole; export it with triangles alone" if kind == "ply" else "Export it again"
        raise files.problem or TdaError(f"It cannot be read ({reason}). {advice}.") from error


class _Files:
    """What trimesh asks for files; it passes over those that are missing, so the first problem is kept."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[str, bytes] = {}
        self._pixels: dict[Any, NDArray[np.uint8]] = {}
        self.problem: TdaError | None = None

    def get(self, name: str) -> bytes:
        try:
            if name not in self._known:
                is_material = name.strip().lower().endswith(".mtl")
                data = self._source.read(name.strip(), "Material file" if is_material else "Texture")
                if not is_material:
                    self._source.open(data, f"Texture '{name}'")
                self._known[name] = data
            return self._known[name]
        except TdaError as error:
            self.problem = self.problem or error
            raise

    __getitem__ = get

    def texture(self, image: Any) -> Texture:
        """Decode an image that trimesh has opened; materials often share one."""
        name = image.info.get("file_path")
        key = name or id(image)
        if key not in self._pixels:
            self._pixels[key] = read_pixels(image, f"Texture '{name}'")
        return Texture(self._pixels[key])


def _check_obj(data: bytes) -> bool:
    """Refuse an OBJ file that would grow too large; say whether it has normals."""
    lines = b"\n" + re.sub(rb"\\\r?\n", b"", data)
    check_count(lines.count(b"\nv "), "vertices")
    check_count(lines.count(b"\nf "), "polygons")
    check_count(sum(map(len, re.findall(rb"\nf [^\n]{1000,}", lines))) // 4, "corners of large polygons")
    return b"\nvn " in lines


def _check_ply(data: bytes) -> bool:
    """Refuse a PLY file that holds less than it declares, or too much; say whether it has normals."""
    head, end, _ = data[:_HEADER].partition(b"end_header")
    if not head.startswith(b"ply") or not end:
        raise TdaError("It has no PLY header. Export it again.")
    start = data.find(b"\n", len(head)) + 1 or len(data)
    needed, elements, ascii_rows = 0, 0, b"format ascii" in head
    for element in head.split(b"\nelement ")[1:]:
        lines = element.decode("latin-1").splitlines()
        try:
            name, count = lines[0].split()[0], int(lines[0].split()[1])
            rows = [line.split() for line in lines[1:] if line.startswith("property ")]
            size = sum(_SIZES[words[2 if words[1] == "list" else 1]] for words in rows)
        except (LookupError, ValueError) as error:
            raise TdaError(f"Its PLY header is broken near 'element {lines[0][:60]}'. Export it again.") from error
        if count < 0:
            raise TdaError(f"It declares {count} of '{name}'. Export it again.")
        check_count(count, f"of '{name}'")
        needed, elements = needed + count * size, elements + count
    if ascii_rows:
        found, wanted, unit = data.count(b"\n", start) + (data[-1:] != b"\n"), elements, "lines"
    else:
        found, wanted, unit = len(data) - start, needed, "bytes"
    if found < wanted:
        raise TdaError(f"It declares at least {wanted:,} {unit} of data and holds {found:,}. Copy or export it again.")
    return b" nx" in head


def _part(name: str, mesh: Any, files: _Files, has_normals: bool) -> Part:
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces).reshape(-1, 3)
    normals = np.asarray(mesh.vertex_normals) if has_normals else None
    visual, uv, colours = mesh.visual, None, None
    factor, texture = (GREY,) * 3, None
    if visual.kind == "texture":
        factor, texture = _material(visual.material, files)
        if visual.uv is not None:
            uv = np.asarray(visual.uv) * [1, -1] + [0, 1]
    elif visual.kind == "vertex":
        colours, factor = _linear(visual.vertex_colors), (1.0,) * 3
    elif visual.kind == "face":
        corners = faces.reshape(-1)
        vertices, normals = vertices[corners], None if normals is None else normals[corners]
        colours, factor = _linear(visual.face_colors).repeat(3, 0), (1.0,) * 3
        faces = np.arange(len(corners)).reshape(-1, 3)
    red, green, blue = to_linear(np.array(factor, np.float64)).tolist()
    return Part(name, vertices, faces, Material((red, green, blue, 1.0), texture), normals, uv, colours)


def _material(material: Any, files: _Files) -> tuple[tuple[float, ...], Texture | None]:
    """Read an MTL material: Kd times map_Kd, white where only the map is there."""
    image = getattr(material, "image", None)
    diffuse = getattr(material, "kwargs", {}).get("kd", 1.0 if image is not None else GREY)
    factor = np.clip(np.broadcast_to(np.array(diffuse, np.float64), 3), 0, 1)
    return tuple(factor.tolist()), None if image is None else files.texture(image)


def _linear(colours: NDArray[np.uint8]) -> Float[np.ndarray, "row 4"]:
    """Convert vertex or face colours; what alpha such files have is not looked at."""
    linear = to_linear(np.asarray(colours)[:, :3] / 255)
    return np.concatenate([linear, np.ones((len(linear), 1))], 1)
