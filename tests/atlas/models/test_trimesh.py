"""Why trimesh does not read all of it: what it makes of files that our own readers exist for.

Each test fails when trimesh is mended; then the lines of ours that it speaks of can go.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from make_models import QUAD, append, instanced, morphed, png, quad_glb, skinned, textured, tree, write_glb

from tda_nerfstudio.atlas.models.files import read_model


def theirs(path: Path) -> trimesh.Scene:
    return trimesh.load_scene(path, process=False)


def only(path: Path) -> trimesh.Trimesh:
    (mesh,) = theirs(path).geometry.values()
    return mesh


def area(path: Path) -> float:
    mesh = read_model(path)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def test_gltf_factors_are_rounded_to_8_bits(tmp_path):
    factor = {"baseColorFactor": [0.002, 1, 1, 1]}
    path = quad_glb(tmp_path / "a.glb", {"pbrMetallicRoughness": factor})
    assert only(path).visual.material.baseColorFactor[0] == 1  # of 255, and 0.002 is sRGB 7
    assert read_model(path).paint.colours[0, 0, 0] == pytest.approx(0.002)


def test_gltf_texture_transforms_second_coordinates_and_samplers_are_dropped(tmp_path):
    place = {"index": 0, "texCoord": 1, "extensions": {"KHR_texture_transform": {"scale": [2, 2]}}}
    material = {"pbrMetallicRoughness": {"baseColorTexture": place}}
    other = {"TEXCOORD_1": [[0.5, 0.5]] * 4}
    samplers = {"samplers": [{"wrapS": 33071, "magFilter": 9728}], "textures": [{"source": 0, "sampler": 0}]}
    path = quad_glb(tmp_path / "a.glb", material, [png([[[9, 9, 9]]])], quad=other, **samplers)
    visual = only(path).visual
    np.testing.assert_allclose(visual.uv, [[0, 0], [1, 0], [1, 1], [0, 1]])
    assert not [key for key in vars(visual.material)["_data"] if "wrap" in key.lower() or "sampler" in key.lower()]
    np.testing.assert_allclose(read_model(path).paint.uv, 1)


def test_gltf_texture_coordinates_in_integers_are_not_scaled(tmp_path):
    content, blob = tree([QUAD | {"material": 0}], [png([[[9, 9, 9]]])], materials=[textured()])
    blob = append(content, blob, np.full((4, 2), 0xFFFF // 4, "<u2"))
    content["accessors"][1] = content["accessors"].pop() | {"normalized": True}
    path = write_glb(tmp_path / "a.glb", content, blob)
    assert only(path).visual.uv[0].tolist() == [16383, 49154]
    assert read_model(path).paint.uv[0, 0] == pytest.approx([0.25, 0.25], abs=1e-4)


def test_gltf_textures_that_are_missing_or_unreadable_are_passed_over(tmp_path):
    for images in ([{"uri": "gone.png"}], [{"bufferView": 0}]):
        path = quad_glb(tmp_path / "a.glb", textured(), images=[], textures=[{"source": 0}])
        content, blob = tree([QUAD | {"material": 0}], materials=[textured()], textures=[{"source": 0}])
        write_glb(path, content | {"images": images}, blob)
        assert only(path).visual.material.baseColorTexture is None


def test_gltf_extensions_that_a_file_requires_are_passed_over(tmp_path):
    assert len(only(quad_glb(tmp_path / "a.glb", extensionsRequired=["EXT_of_tomorrow"])).faces) == 2


def test_gltf_without_scenes_is_empty(tmp_path):
    content, blob = tree([QUAD])
    del content["scenes"], content["scene"]
    path = write_glb(tmp_path / "a.glb", content, blob)
    assert theirs(path).bounds is None
    assert area(path) == pytest.approx(1)


def test_gltf_fans_are_dropped(tmp_path):
    path = write_glb(tmp_path / "a.glb", *tree([{"POSITION": QUAD["POSITION"], "mode": 6}]))
    assert not theirs(path).geometry
    assert area(path) == pytest.approx(1)


def test_gltf_skins_morph_targets_and_instances_are_passed_over(tmp_path):
    joints, weights = [{"translation": [3, 0, 0]}], [[1, 0, 0, 0]] * 4
    files = {
        "skin": (skinned(tmp_path / "s.glb", joints, weights), [-2.5, 2.5], [2.5, 3.5]),
        "targets": (morphed(tmp_path / "m.glb", [4, 0]), [-0.5, 0.5], [3.5, 4.5]),
        "instances": (instanced(tmp_path / "i.glb", TRANSLATION=[[0, 0, 0], [7, 0, 0]]), [0.5, 1.5], [0.5, 8.5]),
    }
    for what, (path, wrong, right) in files.items():
        assert theirs(path).bounds[:, 0].tolist() == wrong, what
        found = read_model(path).vertices[:, 0]
        assert [found.min(), found.max()] == right, what


def test_gltf_sparse_data_are_zeros(tmp_path):
    path = morphed(tmp_path / "a.glb", [0, 0])
    content, blob = tree([QUAD])
    views, corners = len(content["bufferViews"]), np.array(QUAD["POSITION"], "<f4")
    blob = append(content, blob, np.arange(4, dtype="u1"), corners)
    sparse = {"count": 4, "indices": {"bufferView": views, "componentType": 5121}, "values": {"bufferView": views + 1}}
    content["accessors"][0] = {"componentType": 5126, "count": 4, "type": "VEC3", "sparse": sparse}
    write_glb(path, content, blob)
    assert not only(path).vertices.any()
    assert area(path) == pytest.approx(1)
