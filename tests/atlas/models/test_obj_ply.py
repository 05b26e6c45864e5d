"""OBJ and PLY: what small files look like, and what hostile ones are told."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from make_models import png, see

from tda_nerfstudio.atlas.models import parts
from tda_nerfstudio.atlas.models.files import read_model
from tda_nerfstudio.core.errors import TdaError

CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [200, 100, 50]]], np.uint8)
SQUARE = "v -0.5 -0.5 0\nv 0.5 -0.5 0\nv 0.5 0.5 0\nv -0.5 0.5 0\n"
PLACED = "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
"""OBJ counts texture coordinates from the lower left."""


def textured_obj(folder: Path, mtl: str = "newmtl skin\nmap_Kd skin.png\n", obj: str = "") -> Path:
    (folder / "skin.png").write_bytes(png(CORNERS.repeat(8, 0).repeat(8, 1)))
    (folder / "a.mtl").write_text(mtl)
    path = folder / "a.obj"
    path.write_text(obj or f"mtllib a.mtl\n{SQUARE}{PLACED}usemtl skin\nf 1/1 2/2 3/3 4/4\n")
    return path


def quarters(image: np.ndarray) -> list[list[int]]:
    return image[[4, 4, 11, 11], [4, 11, 4, 11], :3].tolist()


def test_an_obj_shows_its_texture_upright(tmp_path):
    image = see(textured_obj(tmp_path))
    assert quarters(image) == CORNERS.reshape(4, 3).tolist()
    assert (image[2:14, 2:14, 3] == 255).all() and image[..., 3].sum() == 144 * 255


def test_kd_is_srgb_and_multiplies_the_texture_in_linear_light(tmp_path):
    path = textured_obj(tmp_path, "newmtl skin\nKd 0.5 1 0\nmap_Kd skin.png\n")
    assert quarters(see(path)) == [[128, 0, 0], [0, 255, 0], [0, 0, 0], [99, 100, 0]]  # 0.578 x 0.214
    path = textured_obj(tmp_path, "newmtl skin\nKd 0.5 0.25 1\n")
    assert see(path)[8, 8].tolist() == [128, 64, 255, 255]


def test_surfaces_without_a_colour_are_grey(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text(f"{SQUARE}f 1 2 3\nf 1 3 4\n")
    assert see(path)[8, 8].tolist() == [153, 153, 153, 255]


def test_vertex_colours_of_an_obj_are_srgb(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text("".join(f"{line} 0.2 0.4 0.6\n" for line in SQUARE.splitlines()) + "f 1 2 3\nf 1 3 4\n")
    assert see(path)[8, 8].tolist() == [51, 102, 153, 255]


def test_normals_of_an_obj_are_used_and_else_edges_are_sharp_or_smooth(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text(f"{SQUARE}vn 0 0.6 0.8\nf 1//1 2//1 3//1\nf 1//1 3//1 4//1\n")
    np.testing.assert_allclose(read_model(path).normals, np.broadcast_to([0, -0.8, 0.6], (2, 3, 3)), atol=1e-9)
    for height, smooth in ((0.2, True), (2.0, False)):  # a roof, flat or steep, whose halves do not share vertices
        a, b, c, d = (-1, 0, 0), (0, height, 0), (0, height, 1), (1, 0, 0)
        path.write_text("".join(f"v {x} {y} {z}\n" for x, y, z in (a, b, c, b, d, c)) + "f 1 2 3\nf 4 5 6\n")
        normals = read_model(path).normals
        np.testing.assert_allclose(np.linalg.norm(normals, axis=2), 1)
        assert np.allclose(normals[0, 1], normals[1, 0]) is smooth


def ply(path: Path, form: str, vertices: list[tuple], kinds: list[tuple[str, str]], faces: list, face_kinds=()) -> Path:
    """Write a PLY file; `kinds` are (type, name) of a vertex' properties, `face_kinds` of a face's."""
    lines = ["ply", f"format {form} 1.0", f"element vertex {len(vertices)}", *(f"property {t} {n}" for t, n in kinds)]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    lines += [*(f"property {t} {n}" for t, n in face_kinds), "end_header"]
    data = "\n".join(lines).encode() + b"\n"
    codes = {"float": "f", "uchar": "B"}
    if form == "ascii":
        rows = [*vertices, *((len(f[0]), *f[0], *f[1:]) for f in faces)]
        path.write_bytes(data + "\n".join(" ".join(map(str, row)) for row in rows).encode() + b"\n")
        return path
    order = "<" if "little" in form else ">"
    for row in vertices:
        data += struct.pack(order + "".join(codes[t] for t, _ in kinds), *row)
    for face in faces:
        data += struct.pack(f"{order}B{len(face[0])}i", len(face[0]), *face[0])
        data += struct.pack(order + "".join(codes[t] for t, _ in face_kinds), *face[1:])
    path.write_bytes(data)
    return path


POSITIONS = [(-0.5, -0.5, 0.0), (0.5, -0.5, 0.0), (0.5, 0.5, 0.0), (-0.5, 0.5, 0.0)]
XYZ = [("float", "x"), ("float", "y"), ("float", "z")]
RGB = [("uchar", "red"), ("uchar", "green"), ("uchar", "blue")]
TRIANGLES = [((0, 1, 2),), ((0, 2, 3),)]


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_vertex_colours_of_a_ply_are_srgb(tmp_path, form):
    path = ply(tmp_path / "a.ply", form, [(*p, 51, 102, 153) for p in POSITIONS], XYZ + RGB, TRIANGLES)
    assert see(path)[8, 8].tolist() == [51, 102, 153, 255]


def test_face_colours_of_a_ply(tmp_path):
    faces = [((0, 1, 2), 255, 0, 0), ((0, 2, 3), 0, 0, 255)]
    image = see(ply(tmp_path / "a.ply", "binary_little_endian", POSITIONS, XYZ, faces, RGB))
    assert image[11, 11].tolist() == [255, 0, 0, 255] and image[4, 4].tolist() == [0, 0, 255, 255]


def test_a_plain_ply_is_grey_and_its_normals_are_used(tmp_path):
    kinds = XYZ + [("float", "nx"), ("float", "ny"), ("float", "nz")]
    path = ply(tmp_path / "a.ply", "ascii", [(*p, 0, 1, 0) for p in POSITIONS], kinds, TRIANGLES)
    assert see(path)[8, 8].tolist() == [153, 153, 153, 255]
    np.testing.assert_allclose(read_model(path).normals, np.broadcast_to([0, 0, 1], (2, 3, 3)), atol=1e-9)


def test_a_textured_ply(tmp_path):
    (tmp_path / "skin.png").write_bytes(png(CORNERS.repeat(8, 0).repeat(8, 1)))
    kinds = XYZ + [("float", "s"), ("float", "t")]
    path = ply(tmp_path / "a.ply", "ascii", [(*p, p[0] + 0.5, p[1] + 0.5) for p in POSITIONS], kinds, TRIANGLES)
    path.write_bytes(path.read_bytes().replace(b"1.0\n", b"1.0\ncomment TextureFile skin.png\n", 1))
    assert quarters(see(path)) == CORNERS.reshape(4, 3).tolist()
    (tmp_path / "skin.png").unlink()
    refused(
        path,
        f"Texture 'skin.png' is missing: there is no file {tmp_path}/skin.png. Copy it there, or remove the reference.",
    )


def refused(path: Path, *sentences: str) -> None:
    with pytest.raises(TdaError) as caught:
        read_model(path)
    for sentence in (f"Model {path}: ", *sentences):
        assert sentence in str(caught.value)


MATERIALS = {
    "a missing texture": ("map_Kd gone.png", "Texture 'gone.png' is missing: "),
    "a texture elsewhere": (
        "map_Kd ../../../../../../etc/hostname",
        "Texture '../../../../../../etc/hostname' leads out of ",
    ),
    "an absolute texture": ("map_Kd /etc/hostname", "Texture '/etc/hostname' leads out of "),
    "a texture that is none": (
        "map_Kd a.obj",
        "Texture 'a.obj' cannot be read (not an image). Export it as PNG or JPEG.",
    ),
    "a texture cut short": ("map_Kd cut.png", "Texture 'cut.png' cannot be decoded ("),
    "too large a texture": (
        "map_Kd large.png",
        "Texture 'large.png' is 600 x 600: more than 0 million pixels in all textures",
    ),
}


@pytest.mark.parametrize("name", MATERIALS)
def test_materials_with_bad_textures_are_refused(tmp_path, monkeypatch, name):
    line, sentence = MATERIALS[name]
    monkeypatch.setattr(parts, "MAX_PIXELS", 500 * 500)
    path = textured_obj(tmp_path, f"newmtl skin\n{line}\n")
    noise = png(np.random.default_rng(0).integers(0, 256, (64, 64, 3)))
    (tmp_path / "cut.png").write_bytes(noise[: len(noise) // 2])
    (tmp_path / "large.png").write_bytes(png(np.zeros((600, 600, 3))))
    refused(path, sentence)


def test_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").write_bytes(png(CORNERS))
    path = textured_obj(tmp_path / "in", "newmtl skin\nmap_Kd link.png\n")
    (tmp_path / "in/link.png").symlink_to(tmp_path / "secret.png")
    refused(path, "Texture 'link.png' leads out of ", " and is refused. Copy it there and refer to it.")
    assert read_model(path, root=tmp_path).paint is not None


def test_one_texture_of_many_materials_counts_once(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "MAX_PIXELS", 16 * 16)
    faces = "usemtl skin\nf 1/1 2/2 3/3\nusemtl other\nf 1/1 3/3 4/4\n"
    materials = "newmtl skin\nmap_Kd skin.png\nnewmtl other\nmap_Kd skin.png\n"
    path = textured_obj(tmp_path, materials, f"mtllib a.mtl\n{SQUARE}{PLACED}{faces}")
    assert quarters(see(path)) == CORNERS.reshape(4, 3).tolist()


OBJS = {
    "a missing material file": ("mtllib gone.mtl\n" + SQUARE + "f 1 2 3\n", "Material file 'gone.mtl' is missing: "),
    "a material file elsewhere": ("mtllib ../x.mtl\n" + SQUARE + "f 1 2 3\n", "Material file '../x.mtl' leads out of "),
    "a vertex that is none": (SQUARE.replace("v 0.5 0.5 0", "v nan 0.5 0") + "f 1 2 3\n", "Vertex 2 of '"),
    "an infinite vertex": (SQUARE.replace("v 0.5 0.5 0", "v 1e999 0.5 0") + "f 1 2 3\n", "which is no position."),
    "a vertex that is not there": (SQUARE + "f 1 2 9\n", "It cannot be read (IndexError: "),
    "points alone": (SQUARE, "It holds no triangle with an area (points and lines are not rendered)."),
    "nothing": ("", "It holds no triangle with an area"),
    "a cut face": (SQUARE + "f 1 2", "It holds no triangle with an area"),
    "words": ("v one two three\nf 1 2 3\n", "It cannot be read (ValueError: "),
    "too many polygons": ("v 0 0 0\n" + "f 1 1 1\n" * 1001, "It declares 1,001 polygons; 1,000 are the limit."),
    "too many vertices": ("v 0 0 0\n" * 1001, "It declares 1,001 vertices; 1,000 are the limit. Simplify it."),
    "an endless polygon": (SQUARE + "f" + " 1 \\\n2 3" * 5000, "corners of large polygons; 1,000 are the limit."),
}  # fmt: skip


@pytest.mark.parametrize("name", OBJS)
def test_damaged_obj_files_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(parts.check_count, "__defaults__", (1000,))
    text, sentence = OBJS[name]
    (tmp_path / "a.obj").write_text(text)
    refused(tmp_path / "a.obj", sentence)


HEADER = (
    "ply\nformat {} 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\nelement face {}\n"
)
HEADER += "property list uchar int vertex_indices\nend_header\n"
PLYS = {
    "a huge count of vertices": (
        HEADER.format("binary_little_endian", 4_000_000_000, 1),
        "It declares 4,000,000,000 of 'vertex'; 2,000,000 are the limit. Simplify it.",
    ),
    "a huge count of faces": (HEADER.format("ascii", 3, 10**15), "It declares 1,000,000,000,000,000 of 'face'; "),
    "more than there is": (
        HEADER.format("binary_little_endian", 1_000_000, 1),
        "It declares at least 12,000,001 bytes of data and holds 0. Copy or export it again.",
    ),
    "more lines than there are": (
        HEADER.format("ascii", 1000, 1000) + "0 0 0\n" * 7,
        "It declares at least 2,000 lines of data and holds 7. Copy or export it again.",
    ),
    "a negative count": (HEADER.format("ascii", -1, 0), "It declares -1 of 'vertex'. Export it again."),
    "an unknown type": (
        HEADER.format("ascii", 1, 1).replace("float x", "quaternion x"),
        "Its PLY header is broken near 'element vertex 1'. Export it again.",
    ),
    "a count of words": (HEADER.format("ascii", "many", 1), "Its PLY header is broken near 'element vertex many'."),
    "no end of the header": ("ply\n" + "comment\n" * 20_000, "It has no PLY header. Export it again."),
    "no header": ("solid\n", "It has no PLY header. Export it again."),
    "nothing": ("", "It has no PLY header. Export it again."),
    "no faces": (HEADER.format("ascii", 1, 0) + "0 0 0\n", "It holds no triangle with an area"),
    "a vertex that is none": (
        HEADER.format("ascii", 3, 1) + "0 0 0\nnan 0 0\n0 1 0\n3 0 1 2\n",
        "Vertex 1 of '",
    ),
    "a vertex that is not there": (
        HEADER.format("ascii", 3, 1) + "0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n",
        "names vertices [0, 1, 7] of 3. Export the model again.",
    ),
    "an endless polygon": (
        (HEADER.format("binary_little_endian", 0, 1).replace("list uchar", "list uint").encode() + b"\xff" * 16),
        "It cannot be read (",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLYS)
def test_damaged_ply_files_are_refused(tmp_path, name):
    data, sentence = PLYS[name]
    (tmp_path / "a.ply").write_bytes(data if isinstance(data, bytes) else data.encode())
    refused(tmp_path / "a.ply", sentence)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_truncated_ply_is_refused(tmp_path, share):
    path = ply(tmp_path / "a.ply", "binary_little_endian", POSITIONS, XYZ, TRIANGLES)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, "It has no PLY header." if share == 0.5 else "Copy ")


def test_large_files_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "MAX_BYTES", 2**20)
    for name in ("a.obj", "a.ply", "a.glb"):
        (tmp_path / name).write_bytes(b"\0" * (2**20 + 1))
        refused(tmp_path / name, "The file has more than 1 MB. Simplify it.")


def test_other_formats_and_missing_files_are_named(tmp_path):
    refused(tmp_path / "a.stl", "Its format is not known. Known are .glb, .gltf, .obj, .ply.")
    refused(tmp_path / "a.obj", f"The file is missing: there is no file {tmp_path}/a.obj.")
