"""Rendering of small scenes against a slow twin and by hand."""

from __future__ import annotations

import math

import pytest
import slow_twin
import torch
from ball import ball

from tda_nerfstudio.core.cameras import View, orbit, pixel_centres
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.rendering import Rendering, bundled, jittered_pixels, render_rays, render_views, unbundled
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig

BACKGROUND = torch.tensor([0.25, -0.5, 0.75], dtype=torch.float64)
SAMPLING = SamplingConfig(coarse=10, fine=12)


@pytest.fixture
def scenes() -> LatentScenes:
    """Three scenes of rough planes in a box of three different sides; dense enough to be half opaque."""
    scenes = LatentScenes(3, 3, TriPlaneConfig(5, 2, 3, 2, 8), seed=1).double()
    with torch.no_grad():
        scenes.box.copy_(torch.tensor([[-1.0, -0.5, -0.8], [0.6, 0.7, 0.4]]))
        scenes.micro.mul_(200)
        scenes.base.mul_(20)
        scenes.head.weight.mul_(3)
    return scenes


def some_rays(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays from around the box towards points in and near it; one starts inside, one turns away."""
    generator = torch.Generator().manual_seed(seed)
    origins = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    origins = 3 * origins / origins.norm(dim=-1, keepdim=True)
    origins[0] = torch.tensor([0.1, 0.2, -0.1])
    targets = 0.5 * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    directions = targets - origins
    directions[1] *= -1
    return origins, directions / directions.norm(dim=-1, keepdim=True)


def render(scenes, slot, origins, directions, jitter=None, sampling=SAMPLING) -> Rendering:
    """Render bundles [bundle, ray, 3], or single rays [ray, 3]."""
    planes = scenes.planes(torch.arange(len(scenes)))
    if directions.ndim == 2:
        directions, jitter = directions[:, None], None if jitter is None else jitter[:, None]
    return render_rays(scenes, planes, slot, origins, directions, BACKGROUND, sampling, jitter)


def fill(scenes: LatentScenes, raw_density: float, raw_colour: float = 0.0) -> LatentScenes:
    """Make the box homogeneous."""
    with torch.no_grad():
        scenes.head.weight.zero_()
        scenes.head.bias.fill_(raw_colour)
        scenes.head.bias[0] = raw_density
    return scenes


@pytest.mark.parametrize("jittered", [False, True])
def test_values_and_gradients_are_those_of_the_slow_twin(scenes, jittered):
    origins, directions = some_rays(24)
    slot = torch.arange(24) % 3
    jitter = torch.rand(24, 12, generator=torch.Generator().manual_seed(5)).double() if jittered else None
    out = render(scenes, slot, origins, directions, jitter)

    planes = [slow_twin.fuse_planes(scenes, scene) for scene in range(3)]
    rows = []
    for ray in range(24):
        share = 0.5 if jitter is None else jitter[ray]
        where = (planes[slot[ray]], origins[ray], directions[ray])
        rows.append(slow_twin.render_ray(scenes, *where, BACKGROUND, 10, 12, share))
    latent, opacity, depth = (torch.stack([torch.as_tensor(row[i]).double() for row in rows]) for i in range(3))
    hit = opacity > 0
    assert 16 <= hit.sum() < 24 and opacity[hit].min() < 0.1 and opacity.max() > 0.8
    torch.testing.assert_close(out.latent, latent, rtol=0, atol=1e-9)
    torch.testing.assert_close(out.opacity, opacity, rtol=0, atol=1e-9)
    torch.testing.assert_close(out.depth[hit], depth[hit], rtol=0, atol=1e-9)

    above = torch.randn(24, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    leaves = list(scenes.parameters())
    losses = [(one * above).sum() for one in (out.latent, latent)]
    for ours, theirs in zip(*(torch.autograd.grad(loss, leaves) for loss in losses), strict=True):
        ours = ours.to_dense() if ours.is_sparse else ours
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9 * float(theirs.abs().max()) + 1e-12)


def some_bundles(count: int, spread: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bundles of 2 x 2 rays around rays from around the box: origins, directions, and the middle of each bundle."""
    origins, along = some_rays(count)
    aside = torch.linalg.cross(along, torch.tensor([[0.3, -0.2, 0.9]]).double().expand(count, -1))
    aside = torch.nn.functional.normalize(aside, dim=-1)
    above = torch.linalg.cross(along, aside)
    corners = [aside * x + above * y for y in (-spread, spread) for x in (-spread, spread)]
    directions = torch.nn.functional.normalize(along[:, None] + torch.stack(corners, 1), dim=-1)
    return origins, directions, along


def test_a_bundle_s_values_are_those_of_the_slow_twin_led_by_its_middle(scenes):
    origins, directions, middle = some_bundles(12, 0.05)
    slot, jitter = torch.arange(12) % 3, torch.rand(12, 4, 12, generator=torch.Generator().manual_seed(5)).double()
    with torch.no_grad():
        out = render(scenes, slot, origins, directions, jitter)
        planes = [slow_twin.fuse_planes(scenes, scene) for scene in range(3)]
    for bundle in range(12):
        for ray in range(4):
            where = (planes[slot[bundle]], origins[bundle], directions[bundle, ray])
            share = jitter[bundle, ray]
            with torch.no_grad():
                twin = slow_twin.render_ray(scenes, *where, BACKGROUND, 10, 12, share, guide=middle[bundle])
            row = 4 * bundle + ray
            torch.testing.assert_close(out.latent[row], twin[0], rtol=0, atol=1e-9)
            torch.testing.assert_close(out.opacity[row], torch.as_tensor(twin[1]).double(), rtol=0, atol=1e-9)
            assert not twin[1] or float(out.depth[row]) == pytest.approx(float(twin[2]), abs=1e-9)
    assert 24 <= (out.opacity > 0).sum() < 48


def test_bundles_share_a_coarse_pass_and_look_like_their_rays_alone():
    """Neighbouring rays find a smooth surface at almost the same depth."""
    ball_alone = LatentScenes(1, 3, TriPlaneConfig(12, 2, 3, 2, 8), seed=1).double()
    ball(ball_alone, 0, (0.2, -0.1, 0.1), 0.5)
    origins, directions, _ = some_bundles(200, 0.005)
    slot = torch.zeros(200, dtype=torch.long)
    given = (slot.repeat_interleave(4), origins.repeat_interleave(4, 0), directions.flatten(0, 1))
    together, alone = render(ball_alone, slot, origins, directions), render(ball_alone, *given)
    error, seen = (together.latent - alone.latent).abs(), alone.opacity > 0.5
    assert 100 < seen.sum() < 700 and (alone.latent[seen] - BACKGROUND).abs().amax(1).min() > 0.3
    assert 0 < error.max() < 0.02 and error.mean() < 1e-3
    torch.testing.assert_close(together.opacity, alone.opacity, rtol=0, atol=0.03)


@pytest.mark.parametrize(("side", "together"), [(1, 1), (2, 1), (2, 2), (4, 2), (6, 2), (6, 3)])
def test_bundles_can_be_undone_and_hold_neighbours(side, together):
    rays = torch.arange(3 * side**2 * 2).view(3, side**2, 2)
    bundles = bundled(rays, side, together)
    assert bundles.shape == (3, (side // together) ** 2, together**2, 2)
    assert torch.equal(unbundled(bundles, side, together), rays)
    place = bundled(torch.arange(side**2)[None], side, together)[0]
    for number, bundle in enumerate(place):
        top, left = (together * at for at in divmod(number, side // together))
        assert bundle.tolist() == [side * (top + y) + left + x for y in range(together) for x in range(together)]


def test_rays_that_miss_get_exactly_the_background(scenes):
    origins = torch.tensor([[5.0, 5.0, 5.0], [3.0, 0.0, 0.0], [3.0, 0.0, 0.0]], dtype=torch.float64)
    directions = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], dtype=torch.float64)
    out = render(scenes, torch.zeros(3, dtype=torch.long), origins, directions)
    assert (out.latent[:2] == BACKGROUND).all() and (out.opacity[:2] == 0).all()
    assert (out.latent[2] != BACKGROUND).all() and out.opacity[2] > 0


def test_an_image_without_a_single_hit_is_background(scenes):
    origins, directions = torch.full((4, 3), 5.0).double(), torch.tensor([[0.0, 1.0, 0.0]]).double().expand(4, -1)
    out = render(scenes, torch.zeros(4, dtype=torch.long), origins, directions)
    assert (out.latent == BACKGROUND).all() and (out.opacity == 0).all() and torch.isfinite(out.depth).all()


def test_a_homogeneous_box_by_hand(scenes):
    fill(scenes, raw_density=2.0, raw_colour=1.0)
    origins = torch.tensor([[3.0, 0.1, 0.1]], dtype=torch.float64)
    out = render(scenes, torch.tensor([0]), origins, torch.tensor([[-1.0, 0.0, 0.0]], dtype=torch.float64))
    # The way through is the box' longest side, 1.6, which is 2 in the units of densities.
    opacity = 1 - math.exp(-2 * math.log1p(math.e))
    colour = 2 * (1.002 / (1 + math.exp(-1)) - 0.001) - 1
    assert float(out.opacity) == pytest.approx(opacity, rel=1e-6)
    torch.testing.assert_close(out.latent[0], colour * opacity + (1 - opacity) * BACKGROUND, rtol=0, atol=1e-6)


def test_depth_of_an_opaque_and_of_an_empty_box(scenes):
    origins = torch.tensor([[3.0, 0.1, 0.1], [0.0, 0.0, -2.0]], dtype=torch.float64)
    directions = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    slot, near, far = torch.zeros(2, dtype=torch.long), torch.tensor([2.4, 1.2]), torch.tensor([4.0, 2.4])
    sampling = SamplingConfig(coarse=32, fine=32)
    opaque = render(fill(scenes, 1e4), slot, origins, directions, sampling=sampling)
    torch.testing.assert_close(opaque.opacity, torch.ones(2).double())
    behind = opaque.depth - near
    assert (behind > 0).all() and (behind < (far - near) / 32).all()  # within the first coarse interval
    empty = render(fill(scenes, -40.0), slot, origins, directions, sampling=sampling)
    torch.testing.assert_close(empty.depth, torch.zeros(2).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(empty.latent, BACKGROUND.expand(2, -1), rtol=0, atol=1e-6)


def test_two_scenes_at_once_are_each_alone(scenes):
    origins, directions = some_rays(20)
    slot = torch.arange(20) % 2
    directions = directions[:, None]
    together = render_rays(scenes, scenes.planes(torch.tensor([2, 0])), slot, origins, directions, BACKGROUND, SAMPLING)
    for position, scene in enumerate((2, 0)):
        mine, zero = slot == position, torch.zeros(10, dtype=torch.long)
        planes = scenes.planes(torch.tensor([scene]))
        alone = render_rays(scenes, planes, zero, origins[mine], directions[mine], BACKGROUND, SAMPLING)
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[mine], other, rtol=0, atol=1e-12)


def views_of(scenes, side: int = 1, chunk: int = 32768, generator=None, slots=(1, 0), **options) -> Rendering:
    view = View(*(part.double() for part in orbit(2, 3.0, 25.0, 40.0, (32, 24), torch.tensor([-0.2, 0.1, -0.2]))))
    sampling = SamplingConfig(coarse=10, fine=12, side=side, rays_per_chunk=chunk, **options)
    planes, centres = scenes.planes(torch.arange(3)), pixel_centres(3, 4).double().expand(2, -1, -1)
    generators = [generator] * 2 if generator else []
    return render_views(scenes, planes, torch.tensor(slots), view, centres, 8, BACKGROUND, sampling, generators)


def test_views_are_rows_of_pixels_of_their_own_scenes(scenes):
    both = views_of(scenes)
    assert both.latent.shape == (24, 3) and both.opacity.shape == both.depth.shape == (24, 1)
    assert both.opacity[:12].max() > 0.5
    swapped = views_of(scenes, slots=(0, 0))
    assert torch.equal(swapped.latent[12:], both.latent[12:])
    assert (swapped.latent[:12] - both.latent[:12]).abs().max() > 0.05


@pytest.mark.parametrize("chunk", [1, 7, 24, 96])
def test_chunks_change_nothing(scenes, chunk):
    for one, other in zip(views_of(scenes, side=2, chunk=chunk), views_of(scenes, side=2), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_without_a_generator_rendering_is_deterministic(scenes):
    state = torch.get_rng_state()
    first, second = views_of(scenes, side=2), views_of(scenes, side=2)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert torch.equal(state, torch.get_rng_state())


def test_a_generator_alone_decides_the_jitter(scenes):
    seeds = (1, 1, 2)
    state = torch.get_rng_state()
    first, again, other = (views_of(scenes, generator=torch.Generator().manual_seed(seed)).latent for seed in seeds)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


def test_side_two_is_the_mean_of_four_rays(scenes):
    view = View(*(part.double() for part in orbit(2, 3.0, 25.0, 40.0, (32, 24), torch.tensor([-0.2, 0.1, -0.2]))))
    planes, centres = scenes.planes(torch.arange(3)), pixel_centres(3, 4).double().expand(2, -1, -1)
    corners = []
    for shift in ([-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]):
        at = centres + torch.tensor(shift).double()
        sampling = SamplingConfig(coarse=10, fine=12, side=1)
        corners.append(render_views(scenes, planes, torch.tensor([1, 0]), view, at, 8, BACKGROUND, sampling))
    whole = views_of(scenes, side=2, coarse_side=1)
    mean = torch.stack([corner.latent for corner in corners]).mean(0)
    torch.testing.assert_close(whole.latent, mean, rtol=0, atol=1e-12)
    for name in ("opacity", "depth"):  # those of each ray, row by row
        rays = torch.cat([getattr(corner, name) for corner in corners], 1)
        torch.testing.assert_close(getattr(whole, name), rays, rtol=0, atol=1e-12)
    assert (whole.latent - views_of(scenes, side=1).latent).abs().max() > 1e-3


@pytest.mark.parametrize(("sub", "side", "coarse_side"), [(2, 2, 1), (2, 4, 1), (2, 4, 2), (4, 4, 1), (4, None, 1)])
def test_parts_of_a_latent_pixel_are_the_pixels_of_a_finer_grid(scenes, sub, side, coarse_side):
    view = View(*(part.double() for part in orbit(2, 3.0, 25.0, 40.0, (32, 24), torch.tensor([-0.2, 0.1, -0.2]))))
    planes, slot = scenes.planes(torch.arange(3)), torch.tensor([1, 0])

    def image(f: int, side: int | None, background: torch.Tensor) -> torch.Tensor:
        centres = pixel_centres(24 // f, 32 // f).double().expand(2, -1, -1)
        sampling = SamplingConfig(coarse=10, fine=12, side=side, coarse_side=coarse_side)
        latent = render_views(scenes, planes, slot, view, centres, f, background, sampling).latent
        return latent.view(2, 24 // f, 32 // f, -1).permute(0, 3, 1, 2)

    parts = image(8, side, BACKGROUND.repeat_interleave(sub**2))
    fine = torch.nn.functional.pixel_unshuffle(image(8 // sub, (side or sub) // sub, BACKGROUND), sub)
    torch.testing.assert_close(parts, fine, rtol=0, atol=1e-12)
    assert (fine[:, 0] - fine[:, 1]).abs().max() > 0.01


def test_rays_follow_the_parts_unless_they_are_given():
    default = SamplingConfig()
    assert [default.rays(sub) for sub in (1, 2, 4)] == [2, 2, 4]
    given = SamplingConfig(side=1, train_side=3)
    assert (given.rays(4), given.rays(4, training=True)) == (1, 3)


def test_two_by_two_rays_share_a_coarse_pass_where_sides_are_even():
    assert [SamplingConfig().together(side) for side in (1, 2, 3, 4)] == [1, 2, 1, 2]
    assert [SamplingConfig(coarse_side=1).together(side) for side in (1, 2, 3, 4)] == [1] * 4


def test_every_part_has_its_own_background_and_one_ray_serves_all():
    empty = fill(LatentScenes(3, 3, TriPlaneConfig(5, 2, 3, 2, 8)).double(), -50.0)
    view = View(*(part.double() for part in orbit(2, 3.0, 25.0, 40.0, (32, 24), torch.zeros(3))))
    centres, background = pixel_centres(3, 4).double().expand(2, -1, -1), torch.linspace(-1, 1, 12).double()
    for side in (1, 2, 3):
        sampling = SamplingConfig(coarse=10, fine=12, side=side)
        out = render_views(
            empty, empty.planes(torch.arange(3)), torch.tensor([1, 0]), view, centres, 8, background, sampling
        )
        torch.testing.assert_close(out.latent, background.expand(24, -1), rtol=0, atol=1e-9)


def test_every_pixel_may_have_its_own_background():
    empty = fill(LatentScenes(3, 3, TriPlaneConfig(5, 2, 3, 2, 8)).double(), -50.0)
    view = View(*(part.double() for part in orbit(2, 3.0, 25.0, 40.0, (32, 24), torch.zeros(3))))
    centres = pixel_centres(3, 4).double().expand(2, -1, -1)
    background = torch.linspace(-1, 1, 2 * 12 * 3).double().view(2, 12, 3)
    given = (empty, empty.planes(torch.arange(3)), torch.tensor([1, 0]), view, centres, 8)
    out = render_views(*given, background, SAMPLING)
    torch.testing.assert_close(out.latent, background.flatten(0, 1), rtol=0, atol=1e-9)


def test_every_generator_draws_for_its_share_of_the_views(scenes):
    view = View(*(part.double() for part in orbit(4, 3.0, 25.0, 40.0, (32, 24), torch.zeros(3))))
    planes, slot = scenes.planes(torch.arange(3)), torch.tensor([1, 1, 0, 0])
    centres, occupied = pixel_centres(3, 4).double().expand(4, -1, -1), scenes.occupied

    def train(rows: slice, *seeds: int) -> torch.Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        given = (scenes, planes, slot[rows], view[rows], centres[rows], 8, BACKGROUND, SAMPLING)
        return render_views(*given, generators, occupied).latent

    halves = torch.cat([train(slice(2), 7), train(slice(2, 4), 8)])
    torch.testing.assert_close(train(slice(4), 7, 8), halves, rtol=0, atol=1e-12)


def test_training_uses_its_own_number_of_rays(scenes):
    """With side 64 for images and 1 for training, the noise drawn is that of one ray a pixel."""
    generator, counted = (torch.Generator().manual_seed(3) for _ in range(2))
    views_of(scenes, side=64, generator=generator, train_side=1)
    for shape in [(12, 1, 2)] * 2 + [(12, 12)] * 2:  # view after view: where in the pixel, then where along the ray
        torch.rand(shape, generator=counted)
    assert torch.equal(generator.get_state(), counted.get_state())


@pytest.mark.parametrize("side", [1, 2])
def test_noise_stays_inside_its_part_of_the_pixel(side):
    centres = pixel_centres(2, 2)[None]
    still = jittered_pixels(centres, side, None)
    noise = torch.rand(1, 4, side * side, 2, generator=torch.Generator().manual_seed(0))
    moved = (jittered_pixels(centres, side, noise) - still).abs()
    assert moved.max() <= 0.5 / side and moved.max() > 0.35 / side
    lowest = jittered_pixels(centres, side, torch.zeros_like(noise))
    torch.testing.assert_close(still - lowest, torch.full_like(still, 0.5 / side))


def test_one_ray_without_jitter_passes_the_centre_in_training_too(scenes):
    """What is left to chance is where along the ray samples lie: the same as without jitter, up to that."""

    def train(**options) -> torch.Tensor:
        seeds = range(40)
        drawn = [views_of(scenes, generator=torch.Generator().manual_seed(seed), **options).opacity for seed in seeds]
        return torch.stack(drawn)

    still, moved = train(train_side=1, jitter=False), train(train_side=1)
    assert still.std(0).max() < moved.std(0).max() / 5
    torch.testing.assert_close(still.mean(0), views_of(scenes).opacity, rtol=0, atol=0.01)
