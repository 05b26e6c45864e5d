"""Exported files, read by other people's code and by ours."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import gsply
import numpy as np
import pytest
import torch
import trimesh
from a_scene import AXES, MIDDLE, off_surface
from PIL import Image

from tda_nerfstudio.export.files.mesh_files import mesh_files, y_up
from tda_nerfstudio.export.files.ply import points
from tda_nerfstudio.export.files.splat_files import bytes_a_splat, splat_file
from tda_nerfstudio.export.mesh.look import mesh_images
from tda_nerfstudio.export.mesh.shape import simplified
from tda_nerfstudio.export.mesh.texture import Textured, textured
from tda_nerfstudio.export.splats.gaussians import C0, Splats
from tda_nerfstudio.export.subject import Subject
from tda_nerfstudio.making.models.files import read_model


def splats(count: int = 40, degree: int = 0) -> Splats:
    """Splats of any numbers."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    harmonics = draw(count, (degree + 1) ** 2, 3) * 0.3
    return Splats(draw(count, 3), draw(count, 3) * 0.3 - 3, draw(count, 4), draw(count), harmonics)


@pytest.fixture(scope="module")
def mesh(subject: Subject) -> Textured:
    """The ellipsoid with a small texture."""
    return textured(simplified(subject.surface(48), 600), subject.views, 128, subject.tolerance)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_ply_splats_are_read_by_gsply(tmp_path: Path, degree: int) -> None:
    made = splats(degree=degree)
    content = splat_file(made, "ply", ["a name, a frame"])
    (tmp_path / "a.ply").write_bytes(content)
    read = gsply.plyread(str(tmp_path / "a.ply"))
    np.testing.assert_array_equal(read.means, made.means)
    np.testing.assert_array_equal(read.scales, made.log_scales)
    np.testing.assert_array_equal(read.opacities, made.logits)
    np.testing.assert_array_equal(read.sh0, made.harmonics[:, 0])
    np.testing.assert_allclose(read.quats, torch.nn.functional.normalize(made.quats, dim=-1), atol=1e-6)
    if degree:
        np.testing.assert_array_equal(np.asarray(read.shN).reshape(40, -1, 3), made.harmonics[:, 1:])
    assert b"comment a name, a frame\n" in content[:200]
    assert len(content) - 40 * bytes_a_splat("ply", degree) == content.index(b"end_header\n") + 11


def test_splat_files_have_32_bytes_a_splat() -> None:
    made = splats()
    content = splat_file(made, "splat", [])
    assert len(content) == 40 * 32 == 40 * bytes_a_splat("splat", 0)
    sizes = torch.sigmoid(made.logits) * made.log_scales.exp().prod(1)
    first = int(sizes.argmax())
    *numbers, r, g, b, a, w, x, y, z = struct.unpack("<6f8B", content[:32])
    np.testing.assert_allclose(numbers[:3], made.means[first], rtol=1e-6)
    np.testing.assert_allclose(numbers[3:], made.log_scales[first].exp(), rtol=1e-6)
    colour = (made.harmonics[first, 0] * C0 + 0.5).clamp(0, 1) * 255
    np.testing.assert_allclose([r, g, b], colour, atol=0.51)
    assert a == pytest.approx(255 * float(torch.sigmoid(made.logits[first])), abs=0.51)
    turned = torch.nn.functional.normalize(made.quats[first], dim=0)
    np.testing.assert_allclose((np.array([w, x, y, z]) - 128) / 128, turned, atol=0.01)


def test_spz_comes_back_but_for_its_rounding(tmp_path: Path) -> None:
    made = splats(500)
    content = splat_file(made, "spz", [])
    (tmp_path / "a.spz").write_bytes(content)
    read = gsply.read_spz(str(tmp_path / "a.spz"))
    np.testing.assert_allclose(read.means, made.means, atol=2e-4)
    np.testing.assert_allclose(read.scales, made.log_scales, atol=0.04)
    assert len(content) < 500 * 21


def test_points_are_read_by_trimesh_and_open3d(tmp_path: Path) -> None:
    import open3d

    rng = np.random.default_rng(0)
    at, normals = rng.normal(size=(30, 3)).astype(np.float32), rng.normal(size=(30, 3)).astype(np.float32)
    shades = rng.integers(0, 256, (30, 3), dtype=np.uint8)
    path = tmp_path / "a.ply"
    path.write_bytes(points(at, normals, shades, ["é\nnext"]))
    read = trimesh.load(path)
    np.testing.assert_array_equal(read.vertices.astype(np.float32), at)
    np.testing.assert_array_equal(read.colors[:, :3], shades)
    cloud = open3d.io.read_point_cloud(str(path))
    np.testing.assert_allclose(np.asarray(cloud.normals), normals, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(cloud.colors) * 255, shades, atol=1e-4)


def test_glb_stands_y_up_with_its_texture(mesh: Textured, tmp_path: Path) -> None:
    content = mesh_files(mesh, "glb", "ball")["ball.glb"]
    read = trimesh.load(io.BytesIO(content), file_type="glb", force="mesh")
    middle, axes = y_up(MIDDLE[None])[0], np.abs(y_up(AXES[None])[0])
    np.testing.assert_allclose(read.bounds, [middle - axes, middle + axes], atol=0.05)
    assert read.merge_vertices(merge_tex=True, merge_norm=True) is None and read.is_watertight and read.volume > 0
    picture = read.visual.material.baseColorTexture
    assert picture.size == (128, 128)
    assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - mesh.texture).mean() < 3  # JPEG
    length = struct.unpack("<I", content[12:16])[0]
    tree = json.loads(content[20 : 20 + length])
    assert tree["extensionsUsed"] == ["KHR_materials_unlit"] and "extensionsRequired" not in tree
    assert "world units" in tree["asset"]["extras"]["frame"]


@pytest.mark.parametrize("kind", ["glb", "obj"])
def test_our_own_reader_puts_models_back_to_where_the_scene_stood(mesh: Textured, tmp_path: Path, kind: str) -> None:
    for name, content in mesh_files(mesh, kind, "ball").items():
        (tmp_path / name).write_bytes(content)
    read = read_model(tmp_path / f"ball.{kind}", tmp_path)
    corners = read.vertices[read.faces].reshape(-1, 3)
    np.testing.assert_allclose(corners, mesh.vertices[mesh.faces].reshape(-1, 3), atol=1e-5)
    assert np.abs(off_surface(read.vertices)).mean() < 0.01
    paint = read.paint
    assert paint is not None and (paint.texture >= 0).all()
    inside = np.modf(paint.uv.reshape(-1, 2))[0]
    given = mesh.uv[mesh.faces].reshape(-1, 2)
    assert min(np.abs(inside - given).max(), np.abs(inside - given * [1, -1] - [0, 1]).max()) < 1e-4


@pytest.mark.parametrize("kind", ["glb", "obj", "ply"])
def test_open3d_reads_meshes(mesh: Textured, tmp_path: Path, kind: str) -> None:
    import open3d

    files = mesh_files(mesh, kind, "ball")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / list(files)[-1]
    read = open3d.io.read_triangle_mesh(str(path), enable_post_processing=kind != "ply")
    assert len(read.triangles) == len(mesh.faces)
    middle = MIDDLE if kind == "ply" else y_up(MIDDLE[None])[0]
    low, high = read.get_min_bound(), read.get_max_bound()
    np.testing.assert_allclose((low + high) / 2, middle, atol=0.05)
    assert len(read.vertex_colors) > 0 if kind == "ply" else read.has_textures()


def test_viser_takes_the_glb(mesh: Textured) -> None:
    import viser

    server = viser.ViserServer(host="127.0.0.1", port=0, verbose=False)
    try:
        handle = server.scene.add_glb("/ball", mesh_files(mesh, "glb", "ball")["ball.glb"])
        assert handle.visible
    finally:
        server.stop()


def test_a_textured_mesh_looks_like_its_scene(mesh: Textured, subject: Subject) -> None:
    seen = mesh_images(mesh, subject.held_out.views.view, 96, 96)
    error = (seen - subject.held_out.views.rgb).square().mean((1, 2, 3))
    assert float((-10 * error.log10()).min()) > 27
    mirrored = (seen.flip(-1) - subject.held_out.views.rgb).square().mean((1, 2, 3))
    assert float((-10 * mirrored.log10()).mean()) < 20


def test_a_simplified_mesh_stays_closed_and_where_it_was(subject: Subject) -> None:
    made = simplified(subject.surface(48), 400)
    assert len(made.faces) <= 400 and made.is_watertight
    assert np.abs(off_surface(np.asarray(made.vertices))).mean() < 0.012 * 2 * AXES.max()


def test_an_empty_texel_takes_its_neighbours_colour(mesh: Textured) -> None:
    assert mesh.texture.min(2).max() > 0
    assert not (mesh.texture == 0).all(2).any()
    assert Image.fromarray(mesh.texture).size == (128, 128)
