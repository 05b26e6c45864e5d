"""One step's losses with an autoencoder of two lines."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, pixel_shuffle

from tda_nerfstudio.base.randomness import seeded
from tda_nerfstudio.core import objective as module
from tda_nerfstudio.core.cameras import orbit
from tda_nerfstudio.core.losses import latent_loss
from tda_nerfstudio.core.objective import Batch, Parts, latent_variance, objective, render_batch, render_parts
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig
from tda_nerfstudio.learning.schedule import RgbBaseline, StageOne, StageTwo

SAMPLING = SamplingConfig(coarse=6, fine=6)
HEIGHT, WIDTH = 6, 8
VIEWS = 4


class Blocks(nn.Module):
    """Halve images by averaging; double them by repeating."""

    f, channels, sub = 2, 3, 1

    def __init__(self) -> None:
        super().__init__()
        self.encoder_gain = nn.Parameter(torch.ones(()))
        self.decoder_gain = nn.Parameter(torch.ones(()))
        self.register_buffer("background", torch.tensor([0.5, 0.25, -0.5]))

    def encode(self, images, noise=None):
        return self.encoder_gain * avg_pool2d(2 * images - 1, 2)

    def decode(self, latents):
        return (self.decoder_gain * interpolate(latents, scale_factor=2) + 1) / 2

    def normalise(self, z):
        return 0.5 * z

    def normalise_moving(self, z):
        return self.normalise(z)

    def denormalise(self, y):
        return 2 * y


class Quarters:
    """Latent pixels of 2 x 2 parts, each of which has a background of its own."""

    f, channels, sub = 4, 12, 2
    background = torch.linspace(-0.9, 0.9, 12)


class Untouchable(Blocks):
    """Fail when images are asked for."""

    def encode(self, images, noise=None):
        raise AssertionError("encoded")

    def decode(self, latents):
        raise AssertionError("decoded")


@pytest.fixture
def scenes() -> LatentScenes:
    return LatentScenes(4, 3, TriPlaneConfig(4, 2, 2, 2, 8), seed=1)


def batch(height: int = HEIGHT, width: int = WIDTH, **parts) -> Batch:
    """Two views of scene 3 and two of scene 0, with their images."""
    view = orbit(VIEWS, 3.0, 20.0, 7.0, (width, height), torch.zeros(3))
    images = torch.rand(VIEWS, 3, height, width, generator=torch.Generator().manual_seed(2))
    given = {"images": images} | parts
    return Batch(torch.tensor([3, 0]), torch.tensor([0, 0, 1, 1]), view, height, width, **given)


def sparse_rows(parameter) -> tuple[torch.Tensor, torch.Tensor]:
    gradient = parameter.grad.coalesce()
    return gradient.indices()[0], gradient.values()


def cached() -> torch.Tensor:
    with torch.no_grad():
        codec = Blocks()
        return codec.normalise(codec.encode(batch().images))


def parts_of(index: torch.Tensor) -> Parts:
    """Some of the cached latents, whose pixels have a single part."""
    latents = cached()
    seen = latents.flatten(2).gather(2, index[:, None].expand(-1, 3, -1))
    return Parts(index, seen, latent_variance(latents, together=False)[..., 0])


def step(phase: Phase, scenes, codec=None, data=None, seed: int = 0, at: int = 0) -> dict[str, torch.Tensor]:
    data = batch(latents=cached()) if data is None else data
    return objective(phase, scenes, codec or Blocks(), data, SAMPLING, seed, at)


def phase(losses: dict[str, float], *groups: str, noise: float = 0.0) -> Phase:
    return Phase("a", 1, losses, dict.fromkeys(groups, 1e-3), latent_noise=noise)


JOINT = phase({"ae": 1.0, "latent": 1.0, "rgb": 1.0, "tv": 1.0}, "micro", "encoder", "decoder", noise=0.1)


@pytest.mark.parametrize(
    "schedule",
    [
        StageOne(),
        StageOne(space="standard"),
        StageOne(space="colours"),
        StageTwo(),
        StageTwo(shared="finetune"),
        RgbBaseline(),
    ],
    ids=str,
)
def test_each_phase_gets_its_losses_and_no_other(schedule, scenes):
    for one in schedule.phases():
        losses = step(one, scenes)
        assert set(losses) == set(one.losses)
        assert all(loss.shape == () and float(loss) > 0 for loss in losses.values())


def test_losses_come_in_the_order_a_latent_travels(scenes):
    joint = phase({"tv": 1.0, "rgb": 1.0, "latent": 1.0, "ae": 1.0}, "encoder")
    assert list(step(joint, scenes)) == ["ae", "latent", "rgb", "tv"]


def test_weights_multiply(scenes):
    weights = {"ae": 0.5, "latent": 2.0, "rgb": 4.0, "tv": 0.25}
    plain, weighted = step(JOINT, scenes), step(phase(weights, "micro", "encoder", "decoder", noise=0.1), scenes)
    assert {name: float(loss / plain[name]) for name, loss in weighted.items()} == weights


def test_losses_by_hand_over_empty_scenes(scenes):
    with torch.no_grad():
        scenes.head.weight.zero_()
        scenes.head.bias.fill_(-60.0)  # nothing but background
    data, codec = batch(), Blocks()
    losses = step(JOINT, scenes, codec, data)
    encoded, empty = cached(), codec.background[:, None, None]
    expected = ((empty - encoded).square() / encoded.var((0, 2, 3))[:, None, None]).mean()
    torch.testing.assert_close(losses["latent"], expected)
    torch.testing.assert_close(losses["rgb"], ((2 * empty + 1) / 2 - data.images).square().mean())


def test_noise_on_latents_is_a_share_of_each_channels_deviation(scenes):
    """Blocks of one colour survive encoding and decoding: all that is left is the noise."""
    small = (
        torch.rand(VIEWS, 3, 3, 4, generator=torch.Generator().manual_seed(4))
        * torch.tensor([1.0, 0.1, 0.5])[:, None, None]
    )
    data = batch(images=interpolate(small, scale_factor=2))
    none, some = (
        step(phase({"ae": 1.0}, "encoder", noise=noise), scenes, data=data, seed=5, at=6) for noise in (0, 0.3)
    )
    assert float(none["ae"]) < 1e-12
    deviation = (2 * small - 1).std((0, 2, 3), keepdim=True)
    noise = 0.3 * deviation * torch.randn(VIEWS, 3, 3, 4, generator=seeded(5, 6, "latents"))
    torch.testing.assert_close(some["ae"], (noise / 2).square().mean())


def test_noise_is_no_way_for_the_encoder_to_lower_its_loss(scenes):
    """Were the deviation not detached, shrinking it would pay."""
    codec, data = Blocks(), batch()
    loss = step(phase({"ae": 1.0}, "encoder", noise=0.5), scenes, codec, data, seed=5, at=6)["ae"]
    (felt,) = torch.autograd.grad(loss, codec.encoder_gain)
    z = codec.encode(data.images)
    noise = 0.5 * z.std((0, 2, 3), keepdim=True) * torch.randn(z.shape, generator=seeded(5, 6, "latents"))
    fixed = (codec.decode(z + noise.detach()) - data.images).square().mean()
    torch.testing.assert_close(felt, torch.autograd.grad(fixed, codec.encoder_gain)[0])


def test_latents_and_rays_draw_from_generators_of_their_own(scenes, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "seeded", lambda *key: drawn.append(key) or seeded(*key))
    step(JOINT, scenes, seed=3, at=7)
    assert drawn == [(3, 7, "latents"), *((f"3/7/{i}", 0, "rays") for i in range(2))]  # one for each scene


def test_a_scene_with_a_seed_of_its_own_is_drawn_alike_in_any_batch(scenes):
    whole = batch(images=None, latents=cached())
    seeds = tuple(f"own {i}" for i in range(len(whole.scene)))

    def render(data, at):
        planes = scenes.planes(data.scene)
        return render_batch(scenes, planes, Untouchable(), data, SamplingConfig(), seed=0, step=at)

    together = render(whole._replace(seeds=seeds), at=5)
    own = {"scene": whole.scene[1:], "slot": torch.tensor([0, 0]), "view": whole.view[2:], "seeds": seeds[1:]}
    alone = render(whole._replace(**own), at=9)
    torch.testing.assert_close(alone, together[2:])
    assert not torch.allclose(render(whole, at=5), render(whole, at=9))


def test_cached_latents_are_what_encoding_gives(scenes):
    fitted = phase({"latent": 1.0}, "micro")
    moving = phase({"latent": 1.0}, "micro", "encoder")
    data = batch(images=None, latents=cached())
    rendered = render_batch(scenes, scenes.planes(data.scene), Blocks(), data, SAMPLING, 0, 0)
    for one, given, together in ((fitted, data, False), (moving, batch(), True)):
        expected = latent_loss(rendered, cached(), latent_variance(cached(), together))
        torch.testing.assert_close(step(one, scenes, data=given)["latent"], expected)


def test_encode_scene_needs_neither_images_nor_the_autoencoder(scenes):
    for one in [*StageTwo(strategy="encode", shared="finetune").phases(), StageOne().phases()[1]]:
        whole, some = (
            batch(images=None, latents=cached()),
            batch(images=None, parts=parts_of(torch.arange(VIEWS)[:, None])),
        )
        assert not one.needs_images
        for data in (whole, some):
            assert set(step(one, scenes, Untouchable(), data)) == {"latent", "tv"}


def test_decode_scene_needs_no_latents(scenes):
    (one,) = StageTwo(strategy="decode").phases()
    assert one.needs_images and set(step(one, scenes, data=batch())) == {"rgb", "tv"}


def test_images_that_do_not_divide_by_f_are_compared_where_they_are(scenes):
    whole, cut = batch(6, 8), batch(5, 7)
    view = whole.view
    cut = cut._replace(view=view, images=whole.images[..., :5, :7].contiguous())
    (one,) = StageTwo(strategy="decode").phases()
    with torch.no_grad():
        planes = scenes.planes(whole.scene)
        decoded = Blocks().decode(
            Blocks().denormalise(module.render_batch(scenes, planes, Blocks(), whole, SAMPLING, 0, 0))
        )
    expected = (decoded[..., :5, :7] - cut.images).square().mean()
    torch.testing.assert_close(step(one, scenes, data=cut)["rgb"], expected)


def test_gradients_reach_the_groups_that_a_loss_depends_on(scenes):
    def reached(name: str) -> set[str]:
        codec = Blocks()
        scenes.zero_grad(set_to_none=True)
        step(JOINT, scenes, codec)[name].backward()
        parts = {"encoder": codec.encoder_gain, "decoder": codec.decoder_gain, "mlp": scenes.head.weight}
        parts |= {"micro": scenes.micro, "weights": scenes.weights, "base": scenes.base}
        return {part for part, parameter in parts.items() if parameter.grad is not None}

    own = {"micro", "weights", "base"}
    assert reached("ae") == {"encoder", "decoder"}
    assert reached("latent") == own | {"mlp", "encoder"}
    assert reached("rgb") == own | {"mlp", "decoder", "encoder"}
    assert reached("tv") == own


def test_shrinking_encoded_and_rendered_latents_together_gains_nothing(scenes, monkeypatch):
    """The derivative with respect to a common scale vanishes: the variance carries its share of the gradient."""
    codec, data = Blocks(), batch()
    unscaled = torch.randn(VIEWS, 3, 3, 4, generator=torch.Generator().manual_seed(8))
    monkeypatch.setattr(module, "render_batch", lambda *_: codec.encoder_gain * unscaled)
    loss = step(phase({"latent": 1.0}, "encoder"), scenes, codec, data)["latent"]
    (together,) = torch.autograd.grad(loss, codec.encoder_gain)
    assert abs(float(together)) < 1e-4 * float(loss)
    with torch.no_grad():
        codec.encoder_gain.fill_(0.3)
    shrunk = step(phase({"latent": 1.0}, "encoder"), scenes, codec, data)["latent"]
    torch.testing.assert_close(shrunk, loss, rtol=1e-4, atol=0)


def test_the_encoder_feels_the_variance(scenes, monkeypatch):
    """Were the variance constant, the derivative with respect to the encoder's gain would be another."""
    codec, data = Blocks(), batch()
    unscaled = torch.randn(VIEWS, 3, 3, 4, generator=torch.Generator().manual_seed(8))
    monkeypatch.setattr(module, "render_batch", lambda *_: unscaled)
    encoded = cached()
    loss = step(phase({"latent": 1.0}, "encoder"), scenes, codec, data)["latent"]
    (felt,) = torch.autograd.grad(loss, codec.encoder_gain)
    variance = encoded.var((0, 2, 3))[:, None, None]
    direct = (2 * (encoded - unscaled) * encoded / variance).mean()  # d/dg of the square
    torch.testing.assert_close(felt, direct - 2 * loss)  # and of 1 / variance, which goes with 1 / g^2


def test_a_dead_channel_does_not_divide_by_zero():
    latents = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    latents[:, 1] = 0.7
    variance = latent_variance(latents, together=True)
    assert variance.shape == (1, 3, 1, 1) and float(variance[0, 1]) == pytest.approx(1e-4)
    torch.testing.assert_close(variance[0, 0, 0, 0], latents[:, 0].var())


def test_each_view_has_a_variance_of_its_own_when_the_encoder_stands_still():
    latents = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    latents[:, 1] = 0.7
    variance = latent_variance(latents, together=False)
    assert variance.shape == (4, 3, 1, 1)
    torch.testing.assert_close(variance[2, 0, 0, 0], latents[2, 0].var())
    torch.testing.assert_close(variance[2, 1, 0, 0], 0.1 * latents[2].var((1, 2)).mean())
    assert float(latent_variance(torch.zeros(1, 3, 5, 5), together=False).min()) == pytest.approx(1e-4)


@pytest.mark.parametrize("together", [False, True])
def test_a_view_of_a_single_latent_pixel_has_a_variance(together: bool):
    latents = torch.randn(1, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    assert latent_variance(latents, together).flatten().tolist() == [pytest.approx(1e-4)] * 3
    if together:
        two = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)
        assert float(latent_variance(two, together)) == pytest.approx(2.0)


def test_noise_on_a_single_latent_pixel_is_finite():
    assert torch.equal(module.perturbed(torch.ones(1, 3, 1, 1), 0.1, 0, 0), torch.ones(1, 3, 1, 1))


def test_a_scene_that_diverges_leaves_the_others_gradients_as_they_are(scenes):
    (one,) = StageTwo(strategy="encode").phases()
    latents = cached()
    whole = step(one, scenes, Untouchable(), batch(images=None, latents=latents))
    sum(whole.values()).backward()
    rows = {int(i): v for i, v in zip(*sparse_rows(scenes.micro), strict=True)}
    latents[:2] = float("nan")  # the views of scene 3
    scenes.zero_grad()
    sum(step(one, scenes, Untouchable(), batch(images=None, latents=latents)).values()).backward()
    again = {int(i): v for i, v in zip(*sparse_rows(scenes.micro), strict=True)}
    assert again[3].isnan().any()
    torch.testing.assert_close(again[0], rows[0])


def test_chosen_parts_are_compared_with_their_own_latents(scenes):
    fit = phase({"latent": 1.0}, "micro")
    whole = step(fit, scenes, data=batch(latents=cached()))
    every = parts_of(torch.arange(12).expand(VIEWS, -1))
    listed = step(fit, scenes, data=batch(images=None, parts=every))
    torch.testing.assert_close(listed["latent"], whole["latent"])


def test_chosen_parts_alone_are_rendered_and_the_variance_given_divides_their_error(scenes):
    # One part of each view: views differ, so that a mix-up of views or parts would show.
    index, fit = torch.tensor([[2], [7], [11], [4]]), phase({"latent": 1.0}, "micro")
    data = batch(images=None, parts=parts_of(index))
    loss = step(fit, scenes, data=data)["latent"]
    rendered = render_parts(scenes, scenes.planes(data.scene), Blocks(), data, SAMPLING, 0, 0)
    assert rendered.shape == (VIEWS, 3, 1)
    seen = torch.stack([cached()[view, :, at // 4, at % 4] for view, at in enumerate((2, 7, 11, 4))])
    expected = ((rendered[..., 0] - seen).square() / latent_variance(cached(), together=False)[..., 0, 0]).mean()
    torch.testing.assert_close(loss, expected)
    one_for_all = data.parts._replace(variance=torch.full((1, 1, 1), 0.2))
    loss = step(fit, scenes, data=data._replace(parts=one_for_all))["latent"]
    torch.testing.assert_close(loss, (rendered[..., 0] - seen).square().mean() / 0.2)


@pytest.fixture
def rough() -> LatentScenes:
    """Scenes whose neighbouring parts differ."""
    scenes = LatentScenes(4, 3, TriPlaneConfig(6, 2, 2, 2, 8), seed=1)
    with torch.no_grad():
        scenes.micro.mul_(100)
        scenes.base.mul_(10)
        scenes.head.weight.mul_(3)
    return scenes


@pytest.mark.parametrize(("height", "width"), [(8, 16), (7, 10)])
def test_parts_are_rendered_as_the_whole_view_has_them(height, width, rough, monkeypatch):
    """Without noise, a part's only ray is that of the whole view, if each ray has a coarse pass of its own there.

    By default 2 x 2 rays of a whole view share one: that is close to this, for bundles as small as those of real images
    (see test_rendering), which these are not.
    """
    monkeypatch.setattr(module, "generators_of", lambda *_: [])
    codec, data = Quarters(), batch(height, width)
    rows, columns = 2 * -(-height // 4), 2 * -(-width // 4)
    index = torch.stack([torch.randperm(rows * columns, generator=seeded(view, 0, "parts")) for view in range(VIEWS)])
    chosen = data._replace(parts=Parts(index, torch.empty(0), torch.empty(0)))

    def render(how, data, coarse_side: int) -> torch.Tensor:
        sampling = SamplingConfig(coarse=12, fine=12, coarse_side=coarse_side)
        return how(rough, rough.planes(data.scene), codec, data, sampling, 0, 0)

    whole = pixel_shuffle(render(render_batch, data, 1), 2).flatten(2)
    seen = whole.gather(2, index[:, None].expand(-1, 3, -1))
    assert seen.shape == (VIEWS, 3, rows * columns) and seen.std(2).min() > 0.01
    for coarse_side in (1, 2):  # a part has a single ray: there is nothing to share
        torch.testing.assert_close(render(render_parts, chosen, coarse_side), seen, rtol=0, atol=1e-6)


def test_a_part_of_an_empty_scene_has_the_background_of_its_place_in_the_latent_pixel(scenes):
    with torch.no_grad():
        scenes.head.weight.zero_()
        scenes.head.bias.fill_(-60.0)
    codec, index = Quarters(), torch.arange(32).expand(VIEWS, -1)
    data = batch(8, 16, parts=Parts(index, torch.empty(0), torch.empty(0)))
    parts = render_parts(scenes, scenes.planes(data.scene), codec, data, SAMPLING, 0, 0)
    expected = pixel_shuffle(codec.background[:, None, None].expand(-1, 2, 4), 2).flatten(1)
    torch.testing.assert_close(parts, expected.expand(VIEWS, -1, -1))


def test_a_scene_s_parts_are_drawn_by_its_own_seed(rough):
    data = batch(parts=Parts(torch.tensor([[0, 5]] * VIEWS), torch.empty(0), torch.empty(0)), seeds=("a", "b"))

    def render(*seeds: str) -> torch.Tensor:
        planes = rough.planes(data.scene)
        return render_parts(rough, planes, Quarters(), data._replace(seeds=seeds), SAMPLING, 0, 0)

    first, other = render("a", "b"), render("a", "c")
    assert torch.equal(first[:2], other[:2]) and not torch.equal(first[2], other[2])


def test_rendered_views_are_those_of_their_scenes(scenes):
    data = batch()
    planes = scenes.planes(data.scene)
    rendered = module.render_batch(scenes, planes, Blocks(), data, SAMPLING, 0, 0)
    assert rendered.shape == (VIEWS, 3, 3, 4)
    with torch.no_grad():
        scenes.micro[0] += 3.0  # slot 1: views 2 and 3
        after = module.render_batch(scenes, scenes.planes(data.scene), Blocks(), data, SAMPLING, 0, 0)
    assert torch.equal(after[:2], rendered[:2])
    assert not torch.equal(after[2], rendered[2]) and not torch.equal(after[3], rendered[3])


def test_seed_and_step_decide_every_value(scenes):
    first, again = (step(JOINT, scenes, seed=3, at=7) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    for seed, at in ((3, 8), (4, 7)):
        other = step(JOINT, scenes, seed=seed, at=at)
        assert {name for name in first if not torch.equal(first[name], other[name])} == {"ae", "latent", "rgb"}


def test_steps_leave_the_global_randomness_alone(scenes):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    step(JOINT, scenes)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_encoder_feels_l_rgb_as_if_its_own_latents_were_decoded(scenes):
    codec, data = Blocks(), batch()
    losses = step(phase({"latent": 0.0, "rgb": 1.0}, "encoder"), scenes, codec, data)
    (felt,) = torch.autograd.grad(losses["rgb"], codec.encoder_gain, retain_graph=True)
    planes = scenes.planes(data.scene)
    rendered = module.render_batch(scenes, planes, codec, data, SAMPLING, 0, 0).detach()
    latents = codec.encode(data.images)  # the gain is 1: a latent's derivative by it is the latent
    error = codec.decode(codec.denormalise(rendered)) - data.images
    by_hand = (error * interpolate(latents, scale_factor=2)).mean()  # d/dg mean((D + g z / 2 - x)^2)
    torch.testing.assert_close(felt, by_hand)


def test_frozen_encoders_leave_l_rgb_as_it_is(scenes):
    data = batch()
    given = step(phase({"rgb": 1.0}), scenes, data=data)["rgb"]
    seen = step(phase({"latent": 0.0, "rgb": 1.0}, "encoder"), scenes, data=data)["rgb"]
    torch.testing.assert_close(given, seen)
