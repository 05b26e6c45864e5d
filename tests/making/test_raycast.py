"""The ray-caster against silhouettes and pixels worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tda_nerfstudio.core import cameras
from tda_nerfstudio.making.procedural.vehicles import GROUND, block
from tda_nerfstudio.making.raycast import (
    DEMO_LIGHT,
    LAYERS,
    Camera,
    Light,
    Mesh,
    Paint,
    Raycaster,
    focal_length,
    join,
    square_camera,
)
from tda_nerfstudio.making.srgb import to_linear, to_srgb
from tda_nerfstudio.making.writing import camera_sphere

RED, GREEN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
SKY, GROUND_LIGHT, KEY, SHINE = DEMO_LIGHT.sky, DEMO_LIGHT.ground, DEMO_LIGHT.key, DEMO_LIGHT.shine
TOWARDS = np.array(DEMO_LIGHT.towards) / np.linalg.norm(DEMO_LIGHT.towards)


def box(low, high, colour=RED) -> Mesh:
    """A box whose corners are where they are said to be (`block` counts heights from the ground)."""
    mesh = block(low, high, colour)
    return mesh._replace(vertices=mesh.vertices - [0, 0, GROUND])


def looking_along_x(distance: float) -> np.ndarray:
    """A camera at +x that sees +y to the right and +z upwards."""
    return np.array([[0.0, 0, 1, distance], [1, 0, 0, 0], [0, 1, 0, 0]])


def picture(mesh: Mesh, c2w: np.ndarray, focal: float, size: int, samples: int = 3) -> np.ndarray:
    return Raycaster(mesh).render(square_camera(c2w, focal, size), samples)


def unit_cube(colour=RED) -> Mesh:
    return box((-0.5,) * 3, (0.5,) * 3, colour)


def test_the_silhouette_of_a_unit_cube():
    # Its near face, at 3 - 0.5 from the camera, is 50 / 2.5 = 20 pixels wide: rows and columns 20 to 39 of 60.
    image = picture(unit_cube(), looking_along_x(3.0), 50.0, 60)
    alpha = np.zeros((60, 60), np.uint8)
    alpha[20:40, 20:40] = 255
    assert image.shape == (60, 60, 4) and image.dtype == np.uint8
    np.testing.assert_array_equal(image[..., 3], alpha)
    assert not image[alpha == 0].any()


def test_pixels_half_covered_are_half_opaque():
    # 21 pixels across 60: the border falls into the middle of pixels 19 and 40; two of four sub-columns see the cube.
    image = picture(unit_cube(), looking_along_x(3.0), 52.5, 60, samples=4)
    assert image[30, [18, 19, 20, 39, 40, 41], 3].tolist() == [0, 128, 255, 255, 128, 0]
    assert image[19, 19, 3] == 64
    assert image[..., 3].sum() / 255 == pytest.approx(21**2, rel=1e-3)


def test_colour_is_straight_not_premultiplied():
    image = picture(unit_cube(), looking_along_x(3.0), 52.5, 60, samples=4)
    assert np.abs(image[30, 19, :3].astype(int) - image[30, 21, :3]).max() <= 2


def test_nothing_in_sight_is_transparent_black():
    assert not picture(unit_cube(), looking_along_x(-3.0), 50.0, 16).any()


def test_up_is_up_and_right_is_right():
    image = picture(box((0, 0.2, 0.3), (0.1, 0.3, 0.5)), looking_along_x(3.0), 60.0, 60)
    rows, columns = np.nonzero(image[..., 3])
    # y from 0.2 to 0.3 at 2.9 is 4.1 to 6.2 pixels right of the middle; z from 0.3 to 0.5 is 6.2 to 10.3 above it.
    assert columns.min() == 34 and columns.max() == 36 and rows.min() == 19 and rows.max() == 23


def test_what_stands_behind_is_hidden():
    front, back = box((0.2, -0.5, -0.5), (0.4, 0.0, 0.5), RED), box((-0.4, -0.5, -0.5), (-0.2, 0.5, 0.5), GREEN)
    for parts in ([front, back], [back, front]):
        image = picture(join(parts), looking_along_x(3.0), 50.0, 40).astype(int)
        assert image[20, 15, 0] > 100 > 60 > image[20, 15, 1] and image[20, 25, 1] > 100 > 60 > image[20, 25, 0]


def test_both_windings_are_seen_alike():
    mesh = unit_cube()
    inside_out = mesh._replace(faces=mesh.faces[:, ::-1], normals=-mesh.normals)
    views = [picture(m, looking_along_x(3.0), 50.0, 40).astype(int) for m in (mesh, inside_out)]
    assert np.abs(views[0] - views[1]).max() <= 1


def shade_one(caster, origin, towards):
    direction = np.subtract(towards, origin) / np.linalg.norm(np.subtract(towards, origin))
    light, hit = caster.shade(np.asarray(origin, float), direction[None])
    assert hit.all()
    return light[0]


def test_light_from_above_by_hand():
    # Seen along the mirrored key light, green has no part but the highlight, at its full strength.
    caster = Raycaster(box((-1, -1, -1), (1, 1, 0), RED))
    mirrored = TOWARDS * [-1, -1, 1]
    light = shade_one(caster, 2 * mirrored, (0, 0, 0))
    facing = TOWARDS[2]
    assert light == pytest.approx([SKY + KEY * facing + SHINE, SHINE, SHINE])


def test_a_shadow_leaves_ambient_light_alone():
    roof = box((-1, -1, 0.4), (1, 1, 0.5), GREEN)
    floor = box((-1, -1, -1), (1, 1, 0), RED)
    origin = (-3.0, 0.0, 0.3)  # looks in under the roof
    assert shade_one(Raycaster(join([floor, roof])), origin, (0, 0, 0)) == pytest.approx([SKY, 0, 0])
    assert shade_one(Raycaster(floor), origin, (0, 0, 0))[0] > SKY + 0.5


def test_a_face_turned_down_gets_the_grounds_light():
    caster = Raycaster(box((-1, -1, 0), (1, 1, 1), RED))
    assert shade_one(caster, (0.3, 0.2, -2), (0, 0, 0)) == pytest.approx([GROUND_LIGHT, 0, 0])


def test_normals_are_interpolated_between_corners():
    vertices = np.array([[0.0, -1, -1], [0, 1, -1], [0, 0, 1]])
    normals = np.array([[[1.0, 0, 0], [1, 0, 0], [0.6, 0, 0.8]]])
    caster = Raycaster(Mesh(vertices, np.array([[0, 1, 2]]), normals, np.array([[0.0, 0, 1]])))
    heights = [shade_one(caster, (2.0, 0, z), (0, 0, z))[2] for z in (-0.9, 0.0, 0.9)]
    normal = np.array([0.8, 0, 0.4]) / math.hypot(0.8, 0.4)
    ambient = GROUND_LIGHT + (SKY - GROUND_LIGHT) * (normal[2] + 1) / 2
    half = (TOWARDS + [1, 0, 0]) / np.linalg.norm(TOWARDS + [1, 0, 0])
    shine = SHINE * (normal @ half) ** 24
    assert heights[1] == pytest.approx(ambient + KEY * normal @ TOWARDS + shine, rel=1e-5)
    assert heights[0] < heights[1] < heights[2]


def test_joining_keeps_every_part_where_it_was():
    one, two = unit_cube(), box((1, 1, 1), (2, 3, 4), GREEN)
    both = join([one, two])
    np.testing.assert_array_equal(both.vertices[both.faces[12:]], two.vertices[two.faces])
    np.testing.assert_array_equal(both.colours, [RED] * 12 + [GREEN] * 12)
    assert both.normals.shape == (24, 3, 3)


def test_srgb_and_linear_light_undo_each_other():
    values = np.arange(256) / 255
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, rtol=0, atol=1e-7)
    assert to_linear(np.array([0.0, 0.04045, 0.5, 1.0])) == pytest.approx([0, 0.0031308, 0.2140411, 1], rel=1e-5)
    assert to_srgb(np.array([-1.0, 2.0])) == pytest.approx([0, 1], abs=1e-12)


def test_a_point_lands_on_the_pixel_that_core_cameras_says():
    size, focal = 64, 80.0
    for c2w in camera_sphere(6, (1, 2, 3)):
        point = np.array([0.23, -0.11, 0.17])
        local = (point - c2w[:, 3]) @ c2w[:, :3]
        column, row = (size / 2 + focal * np.array([local[0], -local[1]]) / -local[2]).astype(int)
        image = picture(box(point - 2e-3, point + 2e-3), c2w, focal, size, samples=16)
        assert np.unravel_index(image[..., 3].argmax(), (size, size)) == (row, column)
        full = torch.ones(1)
        view = cameras.View(torch.tensor(c2w[None]).float(), *(full * v for v in (focal, focal, size / 2, size / 2)))
        origins, directions = cameras.rays(view, torch.tensor([[[column + 0.5, row + 0.5]]]).float(), f=1)
        away = torch.tensor(point).float() - origins[0, 0]
        off = (away - (away @ directions[0, 0]) * directions[0, 0]).norm()
        assert off < math.sqrt(0.5) * -local[2] / focal + 1e-5  # within half a pixel's diagonal


def test_rays_and_pictures_agree_on_depth():
    c2w = looking_along_x(3.0)
    full = torch.ones(1)
    view = cameras.View(torch.tensor(c2w[None]).float(), full * 50, full * 50, full * 30, full * 30)
    origins, directions = cameras.rays(view, cameras.pixel_centres(60, 60)[None], f=1)
    cube = torch.tensor([[-0.5] * 3, [0.5] * 3])
    _, _, meets = cameras.clip_to_box(origins[0], directions[0], cube)
    image = picture(unit_cube(), c2w, 50.0, 60, samples=1)
    np.testing.assert_array_equal(image[..., 3] == 255, meets.reshape(60, 60).numpy())


def test_a_light_is_plain_data():
    # From above only, without a key light: the top is white, the bottom black, the sides half as bright.
    caster = Raycaster(box((-1, -1, -1), (1, 1, 1), (1.0, 1.0, 1.0)), Light((0, 0, 1), key=0, sky=1, ground=0))
    assert shade_one(caster, (0, 0, 3), (0, 0, 0)) == pytest.approx([1, 1, 1])
    assert shade_one(caster, (0, 0, -3), (0, 0, 0)) == pytest.approx([0, 0, 0])
    assert shade_one(caster, (3, 0, 0), (0, 0, 0)) == pytest.approx([0.5, 0.5, 0.5])


def test_images_need_not_be_square_nor_centred():
    camera = Camera(looking_along_x(3.0), fx=50.0, fy=25.0, cx=12.0, cy=31.0, width=30, height=40)
    alpha = np.zeros((40, 30), np.uint8)
    alpha[26:36, 2:22] = 255  # 20 x 10 pixels around (12, 31)
    np.testing.assert_array_equal(Raycaster(unit_cube()).render(camera)[..., 3], alpha)


@pytest.mark.parametrize(("cx", "columns"), [(-5.0, 5), (35.0, 5), (-30.0, 0), (60.0, 0)])
def test_what_lies_beyond_the_image_is_cut_off(cx, columns):
    camera = Camera(looking_along_x(3.0), 50.0, 50.0, cx, 15.0, 30, 30)
    assert Raycaster(unit_cube()).render(camera)[15, :, 3].tolist().count(255) == columns


def test_a_camera_inside_sees_all_around():
    assert (picture(box((-1,) * 3, (1,) * 3), looking_along_x(0.2), 20.0, 16)[..., 3] == 255).all()


def test_a_square_camera_sees_the_angle_it_is_told():
    focal = focal_length(2 * math.degrees(math.atan(0.5 / 2.5)), 24)
    camera = square_camera(looking_along_x(3.0), focal, 24)
    assert (Raycaster(unit_cube()).render(camera)[..., 3] == 255).all()
    assert focal == pytest.approx(60) and camera[1:] == (focal, focal, 12.0, 12.0, 24, 24)


def panes(count: int, alpha: float) -> Mesh:
    """Red glass before blue glass before red glass..., each of one opacity, seen along x."""
    corners = np.array([[0, -1, -1], [0, 1, -1], [0, 0, 1]])
    vertices = np.concatenate([corners - [0.05 * k, 0, 0] for k in range(count)])
    colours = np.array([[1, 0, 0, alpha] if k % 2 == 0 else [0, 0, 1, alpha] for k in range(count)], np.float32)
    paint = Paint(
        colours[:, None].repeat(3, 1), np.zeros((count, 3, 2)), np.full(count, -1), np.zeros(count), pyramids=None
    )
    normals = np.broadcast_to([1.0, 0, 0], (count, 3, 3))
    return Mesh(vertices, np.arange(3 * count).reshape(-1, 3), normals, np.empty((0, 3)), paint)


def test_glass_lets_through_what_its_opacity_leaves():
    plain = Light((0, 0, 1), key=0, sky=1, ground=1)
    light, cover = Raycaster(panes(3, 0.5), plain).shade(np.array([2.0, 0, 0]), np.array([[-1.0, 0, 0], [0, 0, 1]]))
    np.testing.assert_allclose(light, [[0.5 + 0.125, 0, 0.25], [0, 0, 0]])
    np.testing.assert_allclose(cover, [0.875, 0])


def test_a_ray_ends_after_many_layers():
    plain = Light((0, 0, 1), key=0, sky=1, ground=1)
    _, cover = Raycaster(panes(40, 0.1), plain).shade(np.array([2.0, 0, 0]), np.array([[-1.0, 0, 0]]))
    assert cover[0] == pytest.approx(1 - 0.9**LAYERS)


def test_painted_surfaces_are_turned_by_their_face_where_normals_lean_away():
    # Near two of its corners the interpolated normal points away from the viewer, though the face is seen.
    leaning = panes(1, 1.0)._replace(normals=np.array([[[1.2, 0, 1], [-0.1, 0, 1], [-0.1, 0, 1]]]))
    caster = Raycaster(leaning, Light((0, 0, 1), key=0, sky=1, ground=0))
    assert shade_one(caster, (2.0, 0.9, -0.95), (0, 0.9, -0.95))[0] > 0.99  # its normal is up, and stays up
