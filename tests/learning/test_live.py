"""Looking at training: what is seen is right, and seeing changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.core.metrics import high_frequency_share, psnr
from tda_nerfstudio.core.showing import reconstruct
from tda_nerfstudio.learning import live as live_module


def held_out_truth(pipeline, scene: int = 0) -> Tensor:
    """The first held-out image of a scene, [1, 3, height, width]."""
    views = pipeline.datamanager.views
    return views.images(views.held_out, torch.tensor([views.held_out.offsets[scene]]))


def test_a_sight_shows_what_model_and_autoencoder_make_of_the_first_held_out_view(pipeline) -> None:
    sight, truth = pipeline.live.look(), held_out_truth(pipeline)
    assert (sight.scene, sight.held_out, sight.step) == ("vehicle_0000", True, 0)
    assert {name: tuple(image.shape) for name, image in sight.images.items()} == {
        "truth": (3, 32, 32),
        "encoded": (3, 16, 16),  # f = 4, with 2 x 2 parts
        "rendered": (3, 16, 16),
        "decoded": (3, 32, 32),
        "reconstructed": (3, 32, 32),
        "started": (3, 32, 32),
    }
    views, model = pipeline.datamanager.views, pipeline.model
    _, decoded = model.render(0, views.held_out.view[torch.tensor([0])], 32, 32)
    torch.testing.assert_close(sight.images["decoded"], decoded[0])
    assert sight.psnr["decoded"] == pytest.approx(float(psnr(decoded, truth)))
    latents, _ = reconstruct(model.autoencoder, truth)
    assert sight.shares["encoded"] == pytest.approx(high_frequency_share(latents))
    assert torch.equal(sight.images["truth"], truth[0])


def test_the_starting_autoencoder_stays_as_it_was_also_in_a_run_that_is_resumed(pipeline, configure) -> None:
    config = pipeline.model.config
    _, expected = reconstruct(build(config.autoencoder, config.seed), held_out_truth(pipeline))
    with torch.no_grad():
        for parameter in pipeline.model.autoencoder.parameters():
            parameter.mul_(0.5)
    sight = pipeline.live.look()
    torch.testing.assert_close(sight.images["started"], expected[0])
    assert not torch.allclose(sight.images["reconstructed"], expected[0], atol=0.01)
    resumed = configure().pipeline.setup(device="cpu", test_mode="val")
    resumed.load_pipeline(pipeline.state_dict(), 5)
    again = resumed.live.look()
    assert again.step == 5
    torch.testing.assert_close(again.images["started"], expected[0])
    torch.testing.assert_close(again.images["reconstructed"], sight.images["reconstructed"])


def test_looking_changes_nothing_that_learning_depends_on(pipeline) -> None:
    pipeline.learner.step(0)
    before = {name: tensor.clone() for name, tensor in pipeline.state_dict().items()}
    gradients = {name: p.requires_grad for name, p in pipeline.named_parameters()}
    random = torch.get_rng_state()
    pipeline.live.look()
    assert torch.equal(torch.get_rng_state(), random)
    assert pipeline.state_dict().keys() == before.keys()  # the starting autoencoder is no part of the pipeline
    assert all(torch.equal(tensor, before[name]) for name, tensor in pipeline.state_dict().items())
    assert {name: p.requires_grad for name, p in pipeline.named_parameters()} == gradients


def test_a_sight_follows_the_active_scene_and_each_scene_has_its_curve(pipeline) -> None:
    pipeline.live.look()
    pipeline.select_scene("vehicle_0002")
    pipeline.live.note(3, {"rgb": torch.tensor(0.25)})
    sight = pipeline.live.look()
    assert (sight.scene, sight.step) == ("vehicle_0002", 3)
    assert torch.equal(sight.images["truth"], held_out_truth(pipeline, 2)[0])
    assert pipeline.live.shares("vehicle_0002")["encoded"] == ([3], [sight.shares["encoded"]])
    assert pipeline.live.shares("vehicle_0000")["rendered"][0] == [0]
    assert pipeline.live.losses() == {"rgb": ([3], [0.25])}


def test_a_scene_without_held_out_views_shows_a_training_view(configure) -> None:
    pipeline = configure(hold_out=0).pipeline.setup(device="cpu", test_mode="val")
    pipeline.datamanager.views.held_out.counts[0] = 0
    sight, views = pipeline.live.look(), pipeline.datamanager.views
    assert not sight.held_out and sight.label == views.train.labels[0]


def test_few_reconstructions_are_kept(pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "KEPT", 2)
    for scene in ("vehicle_0000", "vehicle_0001", "vehicle_0000", "vehicle_0002"):
        pipeline.select_scene(scene)
        pipeline.live.look()
    assert [scene for scene, _ in pipeline.live._started] == ["vehicle_0000", "vehicle_0002"]


def test_other_methods_show_what_they_have(configure, stage_one, outputs) -> None:
    scenes = configure(method="tda-scenes", output=outputs).pipeline.setup(device="cpu", test_mode="val")
    assert [*scenes.live.look().images] == ["truth", "encoded", "rendered", "decoded", "reconstructed"]
    rgb = configure(method="tda-rgb").pipeline.setup(device="cpu", test_mode="val")
    assert [*rgb.live.look().images] == ["truth", "decoded"]
