"""The grid that says where scenes are empty: which cells it marks, which part of a ray it leaves."""

from __future__ import annotations

import math

import pytest
import torch
from ball import ball

from tda_nerfstudio.core.cameras import clip_to_box, orbit, pixel_centres
from tda_nerfstudio.core.occupancy import clip_to_occupied, due_scenes, occupied_cells
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.rendering import Rendering, clip, render_views
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig

BACKGROUND = torch.tensor([0.25, -0.5, 0.75])


def grid_of(*cells: tuple[int, int, int], size: int = 8) -> torch.Tensor:
    """A grid of one scene in which some cells are occupied."""
    grid = torch.zeros(1, size, size, size, dtype=torch.bool)
    for cell in cells:
        grid[(0, *cell)] = True
    return grid


def clip_one(grid: torch.Tensor, start: list[float], end: list[float]) -> tuple[float, float, bool]:
    first, last, met = clip_to_occupied(grid, torch.tensor([0]), torch.tensor([start]), torch.tensor([end]))
    return float(first), float(last), bool(met)


def marked(density: torch.Tensor, colour: float = 1.0, reach: int = 1) -> torch.Tensor:
    """Cells of one channel over a background of 0.5 that count as occupied."""
    return occupied_cells(density, torch.full((*density.shape, 1), colour), torch.tensor([0.5]), reach=reach)


def test_a_cell_counts_from_where_it_changes_the_background_by_a_fiftieth():
    # A cell of a grid of 8 is 2 / 8 long where half the box' longest side is 1; the colour is 0.5 off.
    enough = -math.log(1 - 0.02 / 0.5) / 0.25
    density = torch.zeros(2, 8, 8, 8)
    density[0, 3, 4, 5], density[1, 3, 4, 5] = enough * 1.001, enough * 0.999
    assert marked(density, reach=0).nonzero().tolist() == [[0, 3, 4, 5]]


def test_fog_of_the_backgrounds_colour_is_empty_space():
    assert not marked(torch.full((1, 8, 8, 8), 9.0), colour=0.515).any()
    assert marked(torch.full((1, 8, 8, 8), 9.0), colour=0.45).all()


def test_neighbours_of_a_visible_cell_count_too_but_not_across_the_grid():
    density = torch.zeros(1, 8, 8, 8)
    density[0, 0, 4, 7] = 5.0
    found = marked(density).nonzero()[:, 1:].tolist()
    assert found == [[x, y, z] for x in (0, 1) for y in (3, 4, 5) for z in (6, 7)]


def test_a_ray_along_each_axis_is_cut_to_the_cells_it_meets():
    grid = grid_of((2, 3, 5), (4, 3, 5))
    assert clip_one(grid, [-1, -0.2, 0.4], [1, -0.2, 0.4]) == (2 / 8, 5 / 8, True)  # along x, through both
    assert clip_one(grid, [1, -0.2, 0.4], [-1, -0.2, 0.4]) == (3 / 8, 6 / 8, True)  # and back
    assert clip_one(grid, [-0.4, -1, 0.4], [-0.4, 1, 0.4]) == (3 / 8, 4 / 8, True)  # along y, through the first
    assert clip_one(grid, [0.1, -0.2, -1], [0.1, -0.2, 1]) == (5 / 8, 6 / 8, True)  # along z, through the second


def test_a_ray_through_empty_cells_alone_is_left_whole_and_said_to_meet_nothing():
    assert clip_one(grid_of((2, 3, 5)), [-1, 0.9, 0.4], [1, 0.9, 0.4]) == (0.0, 1.0, False)


def test_every_scene_has_its_own_cells():
    grid = torch.cat([grid_of((1, 3, 3)), grid_of((6, 3, 3))])
    start, end = (torch.tensor([[x, -0.2, -0.2]] * 2) for x in (-1.0, 1.0))
    first, last, met = clip_to_occupied(grid, torch.tensor([1, 0]), start, end)
    assert met.all() and first.tolist() == [6 / 8, 1 / 8] and last.tolist() == [7 / 8, 2 / 8]


@pytest.mark.parametrize("seed", range(3))
def test_no_ray_steps_over_or_beside_what_a_marked_block_surrounds(seed):
    """Any ray through a visible cell looks at that cell's whole passage, whatever its direction."""
    generator, count, size = torch.Generator().manual_seed(seed), 1000, 32
    cells = torch.randint(0, size, (count, 3), generator=generator)
    points = (cells + torch.rand(count, 3, generator=generator)) / size * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    near, far, hit = clip_to_box(points - 9 * directions, directions, torch.tensor([[-1.0] * 3, [1.0] * 3]))
    assert hit.all()
    density = torch.zeros(count, size, size, size)
    density[torch.arange(count), cells[:, 0], cells[:, 1], cells[:, 2]] = 9.0
    start, end = (points + (at - 9)[:, None] * directions for at in (near, far))
    first, last, met = clip_to_occupied(marked(density), torch.arange(count), start, end)
    share = (9 - near) / (far - near)
    assert met.all() and (first <= share).all() and (share <= last).all()


@pytest.fixture
def scenes() -> LatentScenes:
    """Three scenes of rough planes in an oblong box, half opaque."""
    scenes = LatentScenes(3, 3, TriPlaneConfig(12, 2, 3, 2, 8, grid=8), seed=1)
    with torch.no_grad():
        scenes.box.copy_(torch.tensor([[-1.0, -0.5, -0.8], [0.6, 0.7, 0.4]]))
        scenes.micro.mul_(200)
        scenes.head.weight.mul_(3)
    return scenes


@pytest.mark.parametrize("cells", [4, 8, 12, 16])
def test_cells_are_what_their_centres_are(scenes, cells):
    scenes.config.grid = cells
    planes = scenes.planes(torch.tensor([2])).detach()
    density, colour = scenes.cells(planes[0])
    line = (torch.arange(cells) + 0.5) / cells
    share = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    points = torch.lerp(scenes.box[0], scenes.box[1], share)
    wanted = scenes.density_and_colour(scenes.features(planes, points, torch.zeros(len(points), dtype=torch.long)))
    assert wanted[0].std() > 0.1 and wanted[1].std() > 0.01
    torch.testing.assert_close(density, wanted[0].view(cells, cells, cells), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(colour, wanted[1].view(cells, cells, cells, 3), rtol=1e-4, atol=1e-5)


def look(scenes, occupied: torch.Tensor | None, generator=None, explore: float = 0.0, samples: int = 48) -> Rendering:
    view = orbit(3, 3.0, 25.0, 120.0, (64, 64), scenes.box.mean(0))
    planes, slot = scenes.planes(torch.tensor([0])), torch.zeros(3, dtype=torch.long)
    sampling = SamplingConfig(coarse=samples, fine=samples, explore=explore)
    centres = pixel_centres(8, 8).expand(3, -1, -1)
    generators = [generator] * 3 if generator else []
    return render_views(scenes, planes, slot, view, centres, 8, BACKGROUND, sampling, generators, occupied)


def test_a_ball_looks_the_same_through_the_grid_that_it_makes(scenes):
    ball(scenes, 0, (0.2, -0.1, 0.3), 0.4)
    whole = look(scenes, None)
    scenes.refresh(torch.tensor([0]), BACKGROUND, grow=False)
    assert 0.05 < scenes.occupied[0].float().mean() < 0.6 and scenes.occupied[1:].all()
    through = look(scenes, scenes.occupied[:1])
    assert whole.opacity.max() > 0.9 and (whole.opacity < 0.01).float().mean() > 0.3
    assert (through.latent - whole.latent).abs().max() < 0.02
    assert (through.opacity - whole.opacity).abs().max() < 0.02
    assert ((through.depth - whole.depth).abs() * (whole.opacity > 0.1)).max() < 0.03


def test_empty_rays_are_dropped_and_the_others_cut(scenes):
    ball(scenes, 0, (0.2, -0.1, 0.3), 0.3)
    scenes.refresh(torch.tensor([0]), BACKGROUND, grow=False)
    origins = torch.tensor([[3.0, 0.0, 0.0], [3.0, 0.0, -0.7], [3.0, 5.0, 0.0]])
    origins[0, 1:] = scenes.box.mean(0)[1:] + torch.tensor([-0.06, 0.18])
    directions, slot = torch.tensor([[-1.0, 0.0, 0.0]]).expand(3, -1), torch.zeros(3, dtype=torch.long)
    index, near, far = clip(scenes, slot, origins, directions)
    assert index.tolist() == [0, 1] and torch.allclose(far - near, torch.tensor(1.6))
    index, near, far = clip(scenes, slot, origins, directions, scenes.occupied[:1])
    assert index.tolist() == [0]  # the second passes below the ball
    # The ball spans x from -0.28 to 0.2 in the world, in cells of 0.2: six of the eight cells with their margin.
    assert 0.48 < float(far - near) < 1.25 and float(near) < 2.8 and float(far) > 3.28
    explore = torch.tensor([False, True, True])
    assert clip(scenes, slot, origins, directions, scenes.occupied[:1], explore)[0].tolist() == [0, 1]


def test_rays_that_meet_nothing_are_background_to_the_bit(scenes):
    empty = torch.zeros(1, 8, 8, 8, dtype=torch.bool)
    out = look(scenes, empty)
    assert (out.latent == BACKGROUND).all() and (out.opacity == 0).all()
    assert look(scenes, None).opacity.max() > 0.1


def test_pixels_that_explore_see_what_the_grid_hides(scenes):
    ball(scenes, 0, (0.0, 0.0, 0.0), 0.5)
    empty = torch.zeros(1, 8, 8, 8, dtype=torch.bool)
    seen = [
        look(scenes, empty, generator=torch.Generator().manual_seed(0), explore=e).opacity for e in (0.0, 0.25, 1.0)
    ]
    assert seen[0].max() == 0
    shown = (seen[2] > 0.05).sum()
    assert 0.1 * shown < (seen[1] > 0.05).sum() < 0.5 * shown
    both = seen[1] > 0
    torch.testing.assert_close(seen[1][both], seen[2][both])  # a pixel explores with all of its rays


def test_growing_keeps_what_was_occupied(scenes):
    ball(scenes, 0, (0.5, 0.5, 0.5), 0.4)
    before = grid_of((0, 0, 0), (1, 1, 1))
    scenes.occupied[:1] = before
    scenes.refresh(torch.tensor([0]), BACKGROUND, grow=True)
    assert scenes.occupied[0, 0, 0, 0] and scenes.occupied[0, 1, 1, 1] and scenes.occupied[0, 6, 6, 6]
    scenes.refresh(torch.tensor([0]), BACKGROUND, grow=False)
    assert not scenes.occupied[0, 0, 0, 0] and scenes.occupied[0, 6, 6, 6]


def test_nothing_becomes_occupied_outside_a_scene_s_hull(scenes):
    for scene in (0, 1):
        ball(scenes, scene, (0.0, 0.0, 0.0), 0.6)
    upper = torch.zeros(8, 8, 8, dtype=torch.bool)
    upper[..., 4:] = True
    scenes.refresh(torch.tensor([0, 1]), BACKGROUND, grow=False, within={1: upper})
    assert scenes.occupied[0, ..., :4].any() and scenes.occupied[0, ..., 4:].any()
    assert torch.equal(scenes.occupied[1], scenes.occupied[0] & upper)
    before = scenes.occupied[1].clone()
    before[0, 0, 0] = True
    scenes.occupied[1] = before
    scenes.refresh(torch.tensor([1]), BACKGROUND, grow=True, within={1: upper})
    assert torch.equal(scenes.occupied[1], before)  # growing alone takes no cell away, wherever it lies


def test_an_object_that_leaves_the_class_s_space_is_learnt_all_the_same():
    """Fit a scene whose ball lies where the class' grid is empty: with exploring the grid grows around it."""
    torch.manual_seed(0)
    truth = LatentScenes(1, 3, TriPlaneConfig(12, 2, 0, 0, 8, grid=8), seed=3)
    ball(truth, 0, (0.3, 0.0, -0.3), 0.4)
    with torch.no_grad():
        truth.head.bias[1:] = torch.tensor([2.0, -2.0, 1.0])
        target = look(truth, None).latent
    roof = torch.zeros(1, 8, 8, 8, dtype=torch.bool)
    roof[..., 7] = True
    errors = {}
    for explore in (0.0, 0.06):
        scenes = LatentScenes(1, 3, TriPlaneConfig(12, 4, 0, 0, 16, grid=8), seed=4)
        scenes.occupied.copy_(roof)
        with torch.no_grad():
            scenes.head.bias[0] = -3.0  # the class' mean is empty here
        adam = torch.optim.Adam(list(scenes.hidden.parameters()) + list(scenes.head.parameters()), 1e-2)
        rows = torch.optim.SparseAdam([scenes.micro], 3e-2)
        for step in range(160):
            generator = torch.Generator().manual_seed(step)
            out = look(scenes, scenes.occupied, generator, explore, samples=10)
            (out.latent - target).square().mean().backward()
            for optimizer in (adam, rows):
                optimizer.step()
                optimizer.zero_grad()
            if step % 16 == 15:
                scenes.refresh(torch.tensor([0]), BACKGROUND, grow=True)
        with torch.no_grad():
            errors[explore] = float((look(scenes, scenes.occupied).latent - target).square().mean())
        assert (scenes.occupied | ~roof).all()
    assert errors[0.06] < 0.01 * float((target - BACKGROUND).square().mean())
    assert errors[0.0] > 10 * errors[0.06]


def test_scenes_are_looked_at_every_few_rounds_and_only_grow_in_the_first_quarter_of_a_phase():
    for round_, grow in ((0, True), (1, None), (15, None), (16, True), (31, None), (32, False), (64, False)):
        due, found = due_scenes(torch.tensor([3]), [round_], round_ / 128)
        assert due.tolist() == ([] if grow is None else [3]) and grow in (None, found)


def test_of_a_step_s_scenes_those_are_looked_at_whose_own_round_has_come():
    scene = torch.tensor([4, 2, 9])
    for rounds, expected in (([15, 16, 16], [2, 9]), ([16, 16, 16], [4, 2, 9]), ([16, 17, 17], [4]), ([1, 1, 2], [])):
        due, grow = due_scenes(scene, rounds, 0.5)
        assert due.tolist() == expected and grow is False
    assert due_scenes(scene, [0, 0, 0], 0.1)[1] is True
