"""Fixtures: configurations and pipelines of tiny runs, made in this process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import pytest

from tda_nerfstudio.learning.learner import Learner


@pytest.fixture(scope="session")
def configure(tiny_atlas: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable:
    """Give tests `configure(method, scenes, steps, data, output)`: a tiny run's configuration, on the CPU, resolved.

    A step sees eight images, or as many random parts of latent pixels as eight images have. With kind `colours` and
    `fine`, whose images have four times as many parts, those are two images.
    """
    from tda_nerfstudio import methods
    from tda_nerfstudio.plugin.resolve import resolve

    def make(
        method: str = "tda-ae",
        scenes: tuple[str, ...] = ("0:4",),
        steps: int = 12,
        data: Path = tiny_atlas,
        output: Path | None = None,
        hold_out: int = 8,
        kind: str = "light",
        start: int = 0,
    ):
        config = deepcopy(getattr(methods, method.replace("-", "_")).config)
        config.output_dir = output or tmp_path_factory.mktemp("run")
        config.machine.device_type, config.vis, config.max_num_iterations = "cpu", "tensorboard", steps
        config.pipeline.datamanager.data = data
        config.pipeline.datamanager.dataparser.scenes = scenes
        config.pipeline.datamanager.dataparser.eval_every = hold_out
        config.pipeline.datamanager.scenes_per_step, config.pipeline.datamanager.views_per_scene = 4, 2
        config.pipeline.datamanager.rays_per_view = 64  # of the 256 parts of each of eight views
        schedule, model = config.pipeline.schedule, config.pipeline.model
        model.triplane.resolution = 16
        if method == "tda-ae":
            model.triplane.bases, model.triplane.starter = 3, 8
            model.autoencoder.kind = kind
            model.autoencoder.f, model.autoencoder.width, model.autoencoder.blocks = 4, 16, 1
            schedule.warmup_visits = schedule.latent_visits = schedule.joint_visits = 8
            schedule.start_visits = start
        config.set_timestamp()
        resolve(config)
        return config

    return make


@pytest.fixture
def pipeline(configure: Callable):
    """Build an untrained stage 1 of four scenes, its phases planned as four steps each."""
    config = configure()
    return config.pipeline.setup(device="cpu", test_mode="val")


@pytest.fixture
def learner(pipeline):
    """The learner of these four scenes, before its first step."""
    return pipeline.learner


@contextmanager
def cut_in_step(last: int) -> Iterator[None]:
    """Expect a run that is trained inside to end, as a SIGTERM comes in the middle of one of its steps."""
    whole = Learner.step

    def cut(self: Learner, step: int):
        if step == last:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, step)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Learner, "step", cut)
        yield
