"""PLY: what small files look like, and what hostile ones are told."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from make_models import png, see

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.files import read_model

CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [200, 100, 50]]], np.uint8)


def quarters(image: np.ndarray) -> list[list[int]]:
    return image[[4, 4, 11, 11], [4, 11, 4, 11], :3].tolist()


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
PROPERTIES = "".join(f"property {kind} {name}\n" for kind, name in XYZ)
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


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_polygons_have_colours_of_their_own(tmp_path, form):
    quad = ply(tmp_path / "a.ply", form, POSITIONS, XYZ, [((0, 1, 2, 3), 200, 100, 0)], RGB)
    assert see(quad)[[4, 11], [4, 11]].tolist() == [[200, 100, 0, 255]] * 2
    left, right = ((0, 1, 4, 5), 255, 0, 0), ((1, 2, 3, 4), 0, 0, 255)
    points = [(x, y, 0.0) for y in (-0.5, 0.5) for x in ((-0.5, 0.0, 0.5) if y < 0 else (0.5, 0.0, -0.5))]
    image = see(ply(tmp_path / "b.ply", form, points, XYZ, [left, right], RGB))
    assert image[8, 4].tolist() == [255, 0, 0, 255] and image[8, 11].tolist() == [0, 0, 255, 255]


def test_colours_may_be_floats_and_of_16_bits(tmp_path):
    for kind, values in {"float": (0.2, 0.4, 0.6), "ushort": (51 * 257, 102 * 257, 153 * 257)}.items():
        kinds = XYZ + [(kind, name) for name in ("red", "green", "blue")]
        path = ply(tmp_path / "a.ply", "ascii", [(*p, *values) for p in POSITIONS], kinds, TRIANGLES)
        assert see(path)[8, 8].tolist() == [51, 102, 153, 255], kind


ELL = [(0.0, 0.0, 0.0), (2.0, 0.0, 0.0), (2.0, 1.0, 0.0), (1.0, 1.0, 0.0), (1.0, 2.0, 0.0), (0.0, 2.0, 0.0)]


def test_triangles_quads_and_concave_polygons(tmp_path):
    for form, faces, area in (
        ("ascii", [((1, 2, 3, 4, 5, 0),)], 3),
        ("binary_little_endian", [((1, 2, 3, 4, 5, 0),)], 3),
        ("ascii", [((0, 1, 2),), ((0, 2, 3),), ((0, 3, 4, 5),)], 3),
    ):
        mesh = read_model(ply(tmp_path / "a.ply", form, ELL, XYZ, faces))
        a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
        assert np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2 == pytest.approx(area)
    mixed = ply(tmp_path / "a.ply", "binary_little_endian", ELL, XYZ, [((0, 1, 2),), ((0, 2, 3, 4),)])
    refused(mixed, "It cannot be read (ValueError: PLY is unexpected length!). Copy it whole; export it with triangles")


def test_texture_coordinates_of_corners(tmp_path):
    (tmp_path / "skin.png").write_bytes(png(CORNERS.repeat(8, 0).repeat(8, 1)))
    header = f"ply\nformat ascii 1.0\ncomment TextureFile skin.png\nelement vertex 4\n{PROPERTIES}element face 2\n"
    header += "property list uchar int vertex_indices\nproperty list uchar float texcoord\nend_header\n"
    rows = "\n".join(" ".join(map(str, p)) for p in POSITIONS)
    path = tmp_path / "a.ply"
    path.write_text(f"{header}{rows}\n3 0 1 2 6 0 0 1 0 1 1\n3 0 2 3 6 0 0 1 1 0 1\n")
    assert quarters(see(path)) == CORNERS.reshape(4, 3).tolist()
    path.write_text(path.read_text().replace("skin.png\n", "skin.png\ncomment TextureFile other.png\n"))
    refused(path, "It has 2 textures; one is supported in a PLY file. Export it as GLB or OBJ.")


def test_coordinates_without_a_texture_leave_colours_and_grey(tmp_path):
    kinds = XYZ + [("float", "s"), ("float", "t")]
    path = ply(tmp_path / "a.ply", "ascii", [(*p, 0, 0) for p in POSITIONS], kinds, TRIANGLES)
    assert see(path)[8, 8].tolist() == [153, 153, 153, 255]
    path = ply(tmp_path / "a.ply", "ascii", [(*p, 0, 0, 51, 102, 153) for p in POSITIONS], kinds + RGB, TRIANGLES)
    assert see(path)[8, 8].tolist() == [51, 102, 153, 255]


def test_a_texture_without_coordinates_leaves_grey(tmp_path):
    (tmp_path / "skin.png").write_bytes(png([[[255, 0, 0]]]))
    path = ply(tmp_path / "a.ply", "ascii", POSITIONS, XYZ, TRIANGLES)
    path.write_bytes(path.read_bytes().replace(b"1.0\n", b"1.0\ncomment TextureFile skin.png\n", 1))
    assert see(path)[8, 8].tolist() == [153, 153, 153, 255]


def test_nothing_but_the_message_is_printed(tmp_path, capfd, caplog):
    kinds = XYZ + [("float", "s"), ("float", "t")]
    path = ply(tmp_path / "a.ply", "ascii", [(*p, 0, 0) for p in POSITIONS], kinds, TRIANGLES)
    path.write_bytes(path.read_bytes().replace(b"1.0\n", b"1.0\ncomment TextureFile gone.png\n", 1))
    refused(path, "Texture 'gone.png' is missing: ")
    assert capfd.readouterr() == ("", "") and not caplog.records


def refused(path: Path, *sentences: str) -> None:
    with pytest.raises(TdaError) as caught:
        read_model(path)
    for sentence in (f"Model {path}: ", *sentences):
        assert sentence in str(caught.value)


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
        "Face 0 names vertex 7 of 3. Export it again.",
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
