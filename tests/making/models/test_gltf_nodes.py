"""Roots, instances, skins and morph targets of glTF, against boxes worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from make_models import QUAD, append, instanced, morphed, skinned, tree, write_glb

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.files import read_model


def extent(path) -> list[list[float]]:
    """Box of a model in the file's own frame."""
    corners = read_model(path, up="z", front="-y").vertices
    return [np.round(corners.min(0), 6).tolist(), np.round(corners.max(0), 6).tolist()]


def test_without_scenes_the_roots_are_read(tmp_path):
    for scenes in ({}, {"scenes": []}):
        content, blob = tree([QUAD], nodes=[{"children": [1], "scale": [2, 2, 2]}, {"mesh": 0}])
        del content["scenes"], content["scene"]
        path = write_glb(tmp_path / "a.glb", content | scenes, blob)
        assert extent(path) == [[-1, -1, 0], [1, 1, 0]]


def test_instances_stand_where_the_extension_says(tmp_path):
    half = math.sqrt(0.5)
    columns = {"TRANSLATION": [[0, 0, 0], [4, 0, 2]], "SCALE": [[1, 1, 1], [2, 4, 1]]}
    columns["ROTATION"] = [[0, 0, 0, 1], [0, 0, half, half]]  # by 90 degrees around z
    path = instanced(tmp_path / "a.glb", **columns)
    assert extent(path) == [[0.5, -1, 0], [7, 1, 2]]  # the node itself is 1 to the right
    assert len(read_model(path).faces) == 4


def test_a_skin_moves_vertices_by_its_joints_and_not_by_the_meshs_node(tmp_path):
    joints = [{"translation": [10, 0, 0], "scale": [2, 2, 2]}, {"translation": [0, 3, 0]}]
    one, both = [[1, 0, 0, 0]] * 4, [[0.25, 0.25, 0, 0]] * 4
    assert extent(skinned(tmp_path / "a.glb", joints, one)) == [[9, -1, 0], [11, 1, 0]]
    assert extent(skinned(tmp_path / "b.glb", joints, both)) == [[4.25, 0.75, 0], [5.75, 2.25, 0]]  # their mean
    bind = np.stack([np.eye(4)] * 2)
    bind[0, 0, 3] = -1
    assert extent(skinned(tmp_path / "c.glb", joints, one, bind)) == [[7, -1, 0], [9, 1, 0]]
    none = [[0, 0, 0, 0]] * 4
    assert extent(skinned(tmp_path / "d.glb", joints, none)) == [[9, -1, 0], [11, 1, 0]]


def test_normals_move_with_a_skin(tmp_path):
    normals = {"NORMAL": [[0, 0.6, 0.8]] * 4}
    for scale, expected in (([1, 1, 4], [0, 0.6, 0.2]), ([1, 1, -4], [0, 0.6, -0.2]), ([1, 1, 1], [0, 0.6, 0.8])):
        path = skinned(tmp_path / "a.glb", [{"scale": scale}, {}], [[1, 0, 0, 0]] * 4, **normals)
        found = read_model(path, up="z", front="-y").normals
        np.testing.assert_allclose(found, np.broadcast_to(expected / np.linalg.norm(expected), (2, 3, 3)), atol=1e-6)


def test_a_joint_that_is_not_there_is_refused_where_it_has_a_weight(tmp_path):
    one = [{"translation": [1, 0, 0]}]
    assert extent(skinned(tmp_path / "a.glb", one, [[1, 0, 0, 0]] * 4)) == [[0.5, -0.5, 0], [1.5, 0.5, 0]]
    with pytest.raises(TdaError, match="b.glb: A skin names joint 1 of 1. Export it again."):
        read_model(skinned(tmp_path / "b.glb", one, [[0, 1, 0, 0]] * 4))


def test_morph_targets_are_applied_with_their_weights_and_may_be_sparse(tmp_path):
    assert extent(morphed(tmp_path / "a.glb", [0, 0])) == [[-0.5, -0.5, 0], [0.5, 0.5, 0]]
    assert extent(morphed(tmp_path / "b.glb", [0.5, 0])) == [[0, -0.5, 0], [1, 0.5, 0]]
    corners = read_model(morphed(tmp_path / "c.glb", [1, -1]), up="z", front="-y").vertices
    np.testing.assert_allclose(corners, [[0.5, -2.5, 0], [1.5, -0.5, 0], [1.5, 0.5, 0], [0.5, 0.5, 0]])


def test_a_nodes_weights_win_over_its_meshs_and_normals_are_morphed(tmp_path):
    content, blob = tree([QUAD | {"NORMAL": [[0, 0, 1]] * 4}], nodes=[{"mesh": 0, "weights": [2]}])
    blob = append(content, blob, np.array([[0, 0.5, -0.5]] * 4, "<f4"))
    content["meshes"][0]["weights"] = [0]
    content["meshes"][0]["primitives"][0]["targets"] = [{"NORMAL": len(content["accessors"]) - 1}]
    found = read_model(write_glb(tmp_path / "a.glb", content, blob), up="z", front="-y").normals
    np.testing.assert_allclose(found, np.broadcast_to([0, 1, 0], (2, 3, 3)), atol=1e-6)
