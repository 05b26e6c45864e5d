"""Frames and sizes of models."""

from __future__ import annotations

import numpy as np
import pytest
from make_models import QUAD, quad_glb, tree, write_glb

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.making.models.files import RADIUS, axes, fit, fitting_scale, read_model
from tda_nerfstudio.making.writing import DISTANCE, FIELD_OF_VIEW


def test_the_files_up_becomes_z_and_its_front_minus_y():
    assert (axes("y", "z") @ [1, 2, 3]).tolist() == [1, -3, 2]  # glTF
    assert (axes("y", "-z") @ [1, 2, 3]).tolist() == [-1, 3, 2]  # ShapeNet
    assert (axes("z", "-y") @ [1, 2, 3]).tolist() == [1, 2, 3]
    for up in ("x", "-x", "y", "-y", "z", "-z"):
        for front in ("x", "-x", "y", "-y", "z", "-z"):
            if up[-1] != front[-1]:
                assert np.linalg.det(axes(up, front)) == pytest.approx(1)


@pytest.mark.parametrize(("up", "front"), [("y", "-y"), ("w", "z"), ("y", "")])
def test_axes_that_make_no_frame_are_refused(up, front):
    with pytest.raises(TdaError, match=f"up '{up}' and front '{front}' must be two different axes among x, -x, y"):
        axes(up, front)


def test_models_and_their_normals_are_turned(tmp_path):
    shifted = (np.array(QUAD["POSITION"]) + [0, 2, 3]).tolist()
    path = quad_glb(tmp_path / "a.glb", quad={"POSITION": shifted, "NORMAL": [[0, 0, 1]] * 4})
    mesh = read_model(path, up="y", front="x")
    np.testing.assert_allclose(mesh.vertices.mean(0), [-3, 0, 2])  # what looked along z looks along -x
    np.testing.assert_allclose(mesh.normals[0, 0], [-1, 0, 0])


def box(tmp_path, *sides: float):
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * sides + [5, 6, 7]
    indices = [0, 1, 2, 0, 2, 4, 0, 4, 1, 7, 6, 5]
    return read_model(write_glb(tmp_path / "a.glb", *tree([{"POSITION": corners, "indices": indices}])))


def test_a_long_model_is_scaled_to_a_side_of_one_and_centred(tmp_path):
    mesh = fit(box(tmp_path, 4, 1, 1))
    np.testing.assert_allclose([mesh.vertices.min(0), mesh.vertices.max(0)], np.array([[-4, -1, -1], [4, 1, 1]]) / 8)
    np.testing.assert_allclose(fit(mesh).vertices, mesh.vertices)


def test_a_cube_is_made_smaller_so_that_every_camera_sees_all_of_it(tmp_path):
    cube = box(tmp_path, 2, 2, 2)
    assert fitting_scale(cube) == pytest.approx(RADIUS / np.sqrt(3))
    assert np.linalg.norm(fit(cube).vertices, axis=1).max() == pytest.approx(RADIUS)
    assert DISTANCE * np.sin(np.radians(FIELD_OF_VIEW / 2)) > RADIUS


def test_a_scale_can_be_given(tmp_path):
    mesh = fit(box(tmp_path, 4, 2, 1), scale=0.1)
    np.testing.assert_allclose(mesh.vertices.max(0), [0.2, 0.05, 0.1])
