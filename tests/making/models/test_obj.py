"""OBJ: what small files look like, and what hostile ones are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_models import png, see

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models import obj, parts
from tda_nerfstudio.making.models.files import read_model

CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [200, 100, 50]]], np.uint8)
SQUARE = "v -0.5 -0.5 0\nv 0.5 -0.5 0\nv 0.5 0.5 0\nv -0.5 0.5 0\n"
PLACED = "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
"""OBJ counts texture coordinates from the lower left."""


def textured_obj(folder: Path, mtl: str = "newmtl skin\nmap_Kd skin.png\n", text: str = "") -> Path:
    (folder / "skin.png").write_bytes(png(CORNERS.repeat(8, 0).repeat(8, 1)))
    (folder / "a.mtl").write_text(mtl)
    path = folder / "a.obj"
    path.write_text(text or f"mtllib a.mtl\n{SQUARE}{PLACED}usemtl skin\nf 1/1 2/2 3/3 4/4\n")
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


def areas(path: Path) -> float:
    mesh = read_model(path)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "  # v 9 9 9\n"),
        lambda text: "   " + text.replace("\n", " \n\t "),
        lambda text: text.replace("0.5 0\n", "0.5 \\\n0\n"),
        lambda text: text.replace("f 1 2 3 4", "# usemtl gone\nf -4 -3 -2 -1\nl 1 3\np 1"),
        lambda text: text.replace("f 1", "g usemtl x\ns 1\no a b\nf 1") + "\nv 9 9 9",
        lambda text: text.replace("f 1 2 3 4", "f 1 2 3\nf 1/1/1 3/1/1 4/1/1\nvt 0 0\nvn 0 0 1"),
    ],
)
def test_the_same_square_in_many_hands(tmp_path, change):
    path = tmp_path / "a.obj"
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + change(f"{SQUARE}f 1 2 3 4\n").encode())
        assert areas(path) == 1
        assert see(path)[8, 8].tolist() == [153, 153, 153, 255]


def test_text_may_be_in_other_encodings(tmp_path):
    path = tmp_path / "a.obj"
    for encoding in ("utf-16", "latin-1"):
        path.write_text(f"# caf\u00e9\n{SQUARE}f 1 2 3 4\n", encoding=encoding)
        assert areas(path) == 1


def test_relative_corners_count_from_where_they_stand(tmp_path):
    path = tmp_path / "a.obj"
    face = "f -4 -3 -2 -1\n"
    path.write_text(SQUARE + face + SQUARE.replace(" 0\n", " 2\n") + face)
    mesh = read_model(path)
    assert areas(path) == 2 and sorted(set(mesh.vertices[:, 1])) == [-2, 0]


def test_a_notch_in_a_polygon_stays_empty(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 2 0 0\nv 2 1 0\nv 1 1 0\nv 1 2 0\nv 0 2 0\nf 2 3 4 5 6 1\n")
    assert areas(path) == 3


def test_surfaces_without_a_material_are_grey_whatever_coordinates_they_have(tmp_path):
    for text in ("", "usemtl unknown\n", "mtllib a.mtl\n"):
        path = textured_obj(tmp_path, text=f"{text}{SQUARE}{PLACED}f 1/1 2/2 3/3 4/4\n")
        assert see(path)[8, 8].tolist() == [153, 153, 153, 255]
    coloured = "".join(f"{line} 255 0 51\n" for line in SQUARE.splitlines())
    path.write_text(f"{coloured}{PLACED}f 1/1 2/2 3/3 4/4\n")
    assert see(path)[8, 8].tolist() == [255, 0, 51, 255]


def test_faces_of_one_material_may_differ_in_what_they_name(tmp_path):
    faces = "usemtl skin\nf 1/1 2/2 3/3\nf 1//1 3//1 4//1\n"
    path = textured_obj(
        tmp_path, "newmtl skin\nKd 0 0 1\nmap_Kd skin.png", f"mtllib a.mtl\n{SQUARE}{PLACED}vn 0 0 1\n{faces}"
    )
    (tmp_path / "skin.png").write_bytes(png([[[255, 255, 255]]]))
    assert areas(path) == 1
    mesh = read_model(path)
    assert sorted(mesh.paint.texture.tolist()) == [-1, 0]


def test_material_files_have_marks_tabs_and_company(tmp_path):
    path = textured_obj(tmp_path, text=f"mtllib b.mtl a.mtl\nmtllib with blanks.mtl\n{SQUARE}usemtl %\nf 1 2 3 4\n")
    (tmp_path / "a.mtl").write_bytes(b"\xef\xbb\xbfnewmtl skin\n\tKd\t1 0 0\nnewmtl two words\nKd 0 1 0 # green\n")
    (tmp_path / "b.mtl").write_text("newmtl other\nKd 0 0 1\n")
    (tmp_path / "with blanks.mtl").write_text("newmtl skin\nKd 1 1 1\nnewmtl #3\nKd 1 1 0\n")
    text = path.read_text()
    for name, colour in {
        "skin": [255, 0, 0],
        "two words": [0, 255, 0],
        "other": [0, 0, 255],
        "#3": [255, 255, 0],
    }.items():
        path.write_text(text.replace("%", name))
        assert see(path)[8, 8, :3].tolist() == colour, name


def test_options_place_a_texture_or_change_nothing(tmp_path):
    options = "-blendu off -bm 2 -cc on -mm 0 1 -t 0 0 0"
    assert (
        quarters(see(textured_obj(tmp_path, f"newmtl skin\nmap_Kd {options} skin.png\n")))
        == CORNERS.reshape(4, 3).tolist()
    )
    (tmp_path / "my skin.png").write_bytes(png(np.roll(CORNERS, 1, 1).repeat(8, 0).repeat(8, 1)))
    path = textured_obj(tmp_path, "newmtl skin\nmap_Kd -o 0.5 0 0 my skin.png\n")
    assert quarters(see(path)) == CORNERS.reshape(4, 3).tolist()
    found = read_model(textured_obj(tmp_path, "newmtl skin\nmap_Kd -s 2 3 -o 1 skin.png\n")).paint.uv
    np.testing.assert_allclose(found[0], [[1, 1], [3, 1], [3, -2]])
    path = textured_obj(tmp_path, "newmtl skin\nmap_Kd -s 2 2 2 -o -0.5 -0.5 -clamp on skin.png\n")
    assert quarters(see(path)) == CORNERS.reshape(4, 3).tolist()


def test_textures_of_materials_that_no_surface_has_are_not_asked_for(tmp_path):
    path = textured_obj(tmp_path, "newmtl skin\nmap_Kd skin.png\nnewmtl other\nmap_Kd gone.png\n")
    assert quarters(see(path)) == CORNERS.reshape(4, 3).tolist()


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
    "an option of tomorrow": ("map_Kd -s 1 1 1 -warp 3 skin.png", "Material 'skin': -warp of 'map_Kd -s 1 1 1 -warp"),
    "an option that is not applied": (
        "map_Kd -mm 0.1 1 skin.png",
        "Material 'skin': -mm of 'map_Kd -mm 0.1 1 skin.png' is not supported. Remove it.",
    ),
    "a spectral colour": (
        "Kd spectral file.rfl",
        "Material 'skin': 'Kd spectral file.rfl' is not supported.",
    ),
    "two numbers for a colour": (
        "Kd 1 2",
        "'Kd 1 2' is not supported. Write three numbers from 0 to 1.",
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
    "coordinates that are none": (
        f"{SQUARE}vt 1e99 0\nf 1/1 2/1 3/1\n",
        "Texture coordinates of 'surface' are not finite numbers. Export the model again.",
    ),
    "a vertex that is not there": (SQUARE + "f 1 2 9\n", "Line 5 names a vertex that is not there, of 4. Export it"),
    "points alone": (SQUARE, "It holds no triangle with an area (points and lines are not rendered)."),
    "nothing": ("", "It holds no triangle with an area"),
    "a cut face": (SQUARE + "f 1 2", "It holds no triangle with an area"),
    "words": ("v one two three\nf 1 2 3\n", "Line 1 cannot be read (could not convert string to float: 'one')."),
    "a vertex before the first": (SQUARE + "f -5 -1 -2\n", "Line 5 names a vertex that is not there, of 4."),
    "no vertex": (SQUARE + "f 0 1 2\n", "Line 5 names a vertex that is not there, of 4. Export it again."),
    "no such texture coordinate": (
        SQUARE + PLACED + "f 1/1 2/2 3/3\nf 1/1 3/3 4/9\n",
        "Line 10 names a texture coordinate that is not there, of 4.",
    ),
    "a normal that is not there": (SQUARE + "f 1//1 2//1 3//1\n", "Line 5 names a normal that is not there, of 0."),
    "a line without an end": ("v " + "0" * 2000, "It declares 2,002 characters in one line; 1,000 are the limit."),
    "too many polygons": ("v 0 0 0\n" + "f 1 1 1\n" * 1001, "It declares 1,001 triangles; 1,000 are the limit."),
    "too many vertices": ("v 0 0 0\n" * 1001, "It declares 1,001 vertices; 1,000 are the limit. Simplify it."),
    "an endless polygon": (SQUARE + "f" + " 1 \\\n2 3" * 500, "It declares 1,498 triangles; 1,000 are the limit."),
}  # fmt: skip


@pytest.mark.parametrize("name", OBJS)
def test_damaged_obj_files_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(parts.check_count, "__defaults__", (1000,))
    monkeypatch.setattr(obj, "MAX_LINE", 1000 if "line" in name else 10_000)
    text, sentence = OBJS[name]
    (tmp_path / "a.obj").write_text(text)
    refused(tmp_path / "a.obj", sentence)


def test_large_files_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "MAX_BYTES", 2**20)
    for name in ("a.obj", "a.ply", "a.glb"):
        (tmp_path / name).write_bytes(b"\0" * (2**20 + 1))
        refused(tmp_path / name, "The file has more than 1 MB. Simplify it.")


def test_other_formats_and_missing_files_are_named(tmp_path):
    refused(tmp_path / "a.stl", "Its format is not known. Known are .glb, .gltf, .obj, .ply.")
    refused(tmp_path / "a.obj", f"The file is missing: there is no file {tmp_path}/a.obj.")
