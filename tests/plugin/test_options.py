"""What `ns-train tda-...` offers: options that do something, the dozen that matter most first."""

from __future__ import annotations

import sys

import pytest
import tyro

from tda_nerfstudio import methods
from tda_nerfstudio.plugin.options import described

DEAD = [
    "--optimizers.micro.optimizer.lr=0.1",
    "--optimizers.decoder.scheduler=None",
    "--method-name=mine",
    "--prompt=a",
    "--relative-model-dir=a",
    "--load-scheduler=False",
    "--use-grad-scaler=True",
    "--gradient-accumulation-steps=micro",
    "--machine.num-devices=2",
    "--machine.num-machines=2",
    "--machine.machine-rank=1",
    "--machine.dist-url=auto",
    "--logging.local-writer.enable=True",
    "--logging.local-writer.max-log-size=3",
    "--viewer.num-rays-per-chunk=3",
    "--viewer.relative-log-filename=a",
    "--pipeline.steps=3",
    "--pipeline.datamanager.seed=3",
    "--pipeline.datamanager.camera-res-scale-factor=0.5",
    "--pipeline.datamanager.patch-size=2",
    "--pipeline.datamanager.pixel-sampler.num-rays-per-batch=3",
    "--pipeline.datamanager.train-num-rays-per-batch=3",
    "--pipeline.datamanager.train-num-images-to-sample-from=3",
    "--pipeline.datamanager.train-num-times-to-repeat-images=3",
    "--pipeline.datamanager.eval-num-rays-per-batch=3",
    "--pipeline.datamanager.eval-num-images-to-sample-from=3",
    "--pipeline.datamanager.eval-num-times-to-repeat-images=3",
    "--pipeline.datamanager.eval-image-indices=3",
    "--pipeline.datamanager.images-on-gpu=True",
    "--pipeline.datamanager.masks-on-gpu=True",
    "--pipeline.model.enable-collider=True",
    "--pipeline.model.collider-params=None",
    "--pipeline.model.loss-coefficients.rgb-loss-coarse=3",
    "--pipeline.model.eval-num-rays-per-chunk=3",
    "--pipeline.model.prompt=a",
    "--pipeline.model.seed=3",
    "--pipeline.model.autoencoder.architecture=None",
]
ALIVE = [
    "--vis=tensorboard",
    "--machine.seed=3",
    "--machine.device-type=cpu",
    "--logging.steps-per-log=3",
    "--logging.profiler=basic",
    "--viewer.websocket-port=7123",
    "--viewer.websocket-host=0.0.0.0",
    "--viewer.quit-on-train-completion=False",
    "--steps-per-save=3",
    "--log-gradients=True",
    "--mixed-precision=True",
    "--pipeline.schedule.rates.micro=0.3",
    "--pipeline.datamanager.dataparser.test-views=r_1",
]


def parse(words: list[str]):
    """Read a command line as ns-train does; it knows our methods alone, as it takes seconds to say no for fifty."""
    specifications = (methods.tda_ae, methods.tda_scenes, methods.tda_rgb)
    ours = {str(given.config.method_name): given.config for given in specifications}
    union = tyro.extras.subcommand_type_from_defaults(defaults=ours)
    return tyro.cli(tyro.conf.SuppressFixed[tyro.conf.FlagConversionOff[union]], args=words)


@pytest.mark.parametrize("option", DEAD)
def test_an_option_that_would_do_nothing_is_refused(option: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["tda-scenes", option])
    assert caught.value.code == 2
    assert "Unrecognized" in capsys.readouterr().err


@pytest.mark.parametrize("option", ALIVE)
@pytest.mark.parametrize("method", ["tda-ae", "tda-scenes", "tda-rgb"])
def test_an_option_that_does_something_arrives(method: str, option: str) -> None:
    name, value = option.removeprefix("--").split("=")
    found = parse([method, option])
    for word in name.replace("-", "_").split("."):
        found = found[word] if isinstance(found, dict) else getattr(found, word)
    assert str(found[0] if isinstance(found, tuple) else found) == value


def test_the_viewer_listens_on_this_machine_alone_and_ends_with_the_run() -> None:
    for method in (methods.tda_ae, methods.tda_scenes, methods.tda_rgb):
        assert method.config.viewer.websocket_host == "127.0.0.1"
        assert method.config.viewer.quit_on_train_completion


def test_beside_other_methods_ours_have_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ns-train", "--help"])
    assert described("tda-ae", "Stage 1.", {"--x N": "what"}) == "Stage 1."
    monkeypatch.setattr(sys, "argv", ["ns-train", "tda-ae", "--help"])
    text = described("tda-ae", "Stage 1.", {"--x N": "what"})
    assert text.startswith("Stage 1. What matters most:\n\n  --data ATLAS ")
    assert text.endswith("\n  --x N                                         what")


@pytest.mark.slow
def test_help_begins_with_what_matters_most(command) -> None:
    result = command("ns-train", "tda-scenes", "--help", COLUMNS="80", PYTHONWARNINGS="ignore")
    assert result.code == 0
    lines = result.text.splitlines()
    assert len(lines) < 340  # of 512
    first = "\n".join(lines[:40])
    for option in (
        "--data",
        "--output-dir",
        "--pipeline.autoencoder",
        "--pipeline.store",
        "--pipeline.scenes-per-wave",
        "--pipeline.schedule.strategy",
        "--pipeline.schedule.encode-visits",
        "--pipeline.schedule.decode-visits",
        "--pipeline.datamanager.dataparser.scenes",
        "--max-num-iterations",
        "--timestamp",
        "--load-config",
        "--vis",
        "--viewer.websocket-port",
    ):
        assert f"  {option} " in first, option
        assert f"│ {option} " in result.text, option
    assert all(len(line) <= 80 for line in lines[4:40])
    assert "--optimizers" not in result.text
