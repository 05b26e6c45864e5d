"""Procedural objects: closed solids, painted where they are hit."""

from __future__ import annotations

import numpy as np
import pytest

from tda_nerfstudio.making.procedural import objects
from tda_nerfstudio.making.procedural.objects import TEXTURE, PaintedCaster, random_camera, random_object
from tda_nerfstudio.making.procedural.vehicles import loft, plain
from tda_nerfstudio.making.raycast import DEMO_LIGHT, Mesh, square_camera


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("solid", objects.SOLIDS, ids=lambda solid: solid.__name__)
def test_solids_are_closed_and_fit_their_box(solid):
    for i in range(5):
        rings = solid(rng(i))
        assert np.abs(rings).max() < 1.6
        mesh = loft(rings, plain((1, 1, 1)))
        edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), 1)
        _, counts = np.unique(edges, axis=0, return_counts=True)
        assert (counts <= 2).all() and (counts == 2).mean() > 0.9  # faces without area at a pole are dropped


def test_objects_have_two_to_23_parts_around_the_origin():
    counts = []
    for i in range(12):
        caster = random_object(rng(i))
        low, high = caster.mesh.vertices.min(0), caster.mesh.vertices.max(0)
        assert (high - low).max() == pytest.approx(1) and low + high == pytest.approx(np.zeros(3), abs=1e-9)
        counts.append(caster.part.max() + 1)
    assert min(counts) >= 2 and max(counts) <= 23 and len(set(counts)) > 4


def test_the_seed_says_all_and_views_differ():
    def view(seed):
        return random_object(rng(7)).render(square_camera(*random_camera(rng(seed), 32), 32))

    np.testing.assert_array_equal(view(1), view(1))
    assert (view(1) != view(2)).any()


def test_cameras_look_at_the_origin_from_outside_the_object():
    for i in range(50):
        c2w, focal = random_camera(rng(i), 64)
        assert c2w[:, :3] @ c2w[:, :3].T == pytest.approx(np.eye(3), abs=1e-9)
        depth = c2w[:, 2] @ c2w[:, 3]  # the camera looks along -z of its own
        assert depth > 0.5 and np.linalg.norm(c2w[:, 3] - depth * c2w[:, 2]) < 0.3
        assert 0.4 < focal / depth / 64 < 1.2  # how much of the image something of size 1 fills


def test_a_picture_lies_upright_on_the_face_that_is_looked_at():
    # A square wall in the plane x = 0, seen from +x: +y to the right, z upwards; the picture's top left is red.
    corners = np.array([[0, -0.5, -0.5], [0, 0.5, -0.5], [0, 0.5, 0.5], [0, -0.5, 0.5]])
    normals = np.broadcast_to([1.0, 0, 0], (2, 3, 3)).copy()
    wall = Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]), normals, np.ones((2, 3)))
    picture = np.zeros((1, TEXTURE, TEXTURE, 3), np.uint8)
    picture[0, : TEXTURE // 2, : TEXTURE // 2] = (255, 0, 0)
    caster = PaintedCaster([wall], picture, np.array([1.0]))
    points = np.array([[0, -0.25, 0.25], [0, 0.25, 0.25], [0, -0.25, -0.25], [0, 1.25, 0.25]])
    found = caster.albedo(np.zeros(4, int), points)
    # The last point lies a whole picture to the right, where it is mirrored: 1.25 + 0.5 is 0.25 from the left.
    assert found.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert DEMO_LIGHT.towards[0] > 0  # the wall is lit
    image = caster.render(square_camera(np.array([[0.0, 0, 1, 3], [1, 0, 0, 0], [0, 1, 0, 0]]), 60.0, 32))
    assert image[12, 12, 0] > 150 and image[12, 20, 0] < 120
