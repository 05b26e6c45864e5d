"""Train the light autoencoder on broad data: seeded, resumable to the same bits, any length in steps or minutes."""

from __future__ import annotations

import itertools
import json
import math
import shlex
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from torch import Tensor

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.autoencoder.muon import Muon
from tda_nerfstudio.base.atomic import require_writable, save_tensors, write_text
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.interrupts import signals_deferred
from tda_nerfstudio.core.objective import perturbed
from tda_nerfstudio.making.procedural.broad import BroadImages
from tda_nerfstudio.making.procedural.sprites import SpritePool
from tda_nerfstudio.studies.unseen import Images, reconstruct_in_batches, unseen_sets

RATE, LAST_RATE, RAMP = 1e-3, 0.02, 100
"""Muon's learning rate at its peak, the share of it at the end, and steps to get to the peak."""
FLOOR = 1e-5
"""Mean squared error (50 dB) below which an image hardly counts any more."""
NOISE = 0.05
"""Noise on latents before decoding, as a share of their standard deviation: scenes do not render them exactly."""
SAVE_EVERY, VALIDATE_EVERY = 60.0, 150.0
"""Seconds between checkpoints, and seconds of training between validations."""
VALIDATION = 32
"""Images of each test set that the curve is drawn with."""


@dataclass(frozen=True)
class Recipe:
    """What a pre-training run depends on: to the bit, when its length is in steps."""

    channels: int = 48
    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    batch: int = 16
    sprites: int = 4096
    data: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        length = self.minutes if self.steps is None else self.steps
        if (self.steps is None) == (self.minutes is None) or length is None or length <= 0:
            raise TdaError("Say how long to train: --steps N (reproducible to the bit) or --minutes M, one of them.")
        if min(self.batch, self.sprites) < 1:
            raise TdaError(f"--batch and --sprites must be at least 1, not {self.batch} and {self.sprites}.")

    def progress(self, step: int, seconds: float) -> float:
        """Share of the run that is done at a step."""
        return step / self.steps if self.steps is not None else seconds / (60 * (self.minutes or 1))


def rate_share(step: int, progress: float) -> float:
    """Factor on the learning rate: a ramp up, then half a cosine down."""
    fall = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return min(1.0, (step + 1) / RAMP) * (LAST_RATE + (1 - LAST_RATE) * fall)


def pretraining_loss(output: Tensor, truth: Tensor) -> Tensor:
    """Mean over images in [0, 1] of the root of their mean squared error.

    A mean of squares is ruled by the worst images; a mean of PSNRs by plain ones, which need nothing more.
    """
    return ((output - truth).square().flatten(1).mean(1) + FLOOR).sqrt().mean()


class Pretraining:
    """A run in its folder: recipe.json, log.jsonl and checkpoints/last.pt."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe
        self.checkpoint = folder / "checkpoints" / "last.pt"
        self.config = resolve(AutoencoderConfig(channels=recipe.channels, start="scratch"))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model: Autoencoder = build(self.config, recipe.seed).to(self.device)
        self.optimizer = Muon(self.model.parameters(), RATE)
        self.step, self.seconds = 0, 0.0
        self._claim()

    def _claim(self) -> None:
        """Take the folder, or go on with what it holds. Raises TdaError when that is another run."""
        path, own = self.folder / "recipe.json", json.dumps(asdict(self.recipe), indent=1)
        if not path.exists():
            write_text(path, own)
        elif path.read_text() != own:
            raise TdaError(
                f"{self.folder} holds a run with another recipe:\n{path.read_text()}\nName another folder, or repeat"
                " that run's options to go on with it."
            )
        if self.checkpoint.exists():
            try:
                state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            except Exception as error:
                raise TdaError(f"{self.checkpoint} cannot be read ({error}). Remove it to start again.") from error
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = state["step"], state["seconds"]

    @property
    def progress(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        return min(self.recipe.progress(self.step, self.seconds), 1.0)

    def save(self) -> None:
        """Replace the checkpoint."""
        state = {"step": self.step, "seconds": self.seconds}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_tensors(self.checkpoint, state)

    def train(self, images: Images) -> Tensor:
        """Take one step; its randomness follows from (seed, step)."""
        truth = images.to(self.device).float() / 255
        latents = self.model.encode(truth)
        output = self.model.decode(perturbed(latents, NOISE, self.recipe.seed, self.step))
        loss = pretraining_loss(output, truth)
        self.optimizer.zero_grad()
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * rate_share(self.step, self.progress)
        self.optimizer.step()
        self.step += 1
        return loss.detach()

    def batches(self, dataset: BroadImages, workers: int) -> Iterator[Images]:
        """Serve the batches that are still to come. Batch i holds images i B to i B + B - 1, however many workers."""
        start, size = self.step, self.recipe.batch
        stop = None if self.recipe.steps is None else self.recipe.steps * size
        yield from torch.utils.data.DataLoader(
            dataset,
            size,
            sampler=itertools.islice(itertools.count(), start * size, stop),  # type: ignore[arg-type]
            num_workers=workers,
            worker_init_fn=_leave_signals_to_the_parent if workers else None,
        )

    def validate(self, sets: dict[str, Images]) -> dict[str, float]:
        """Score the first images of each test set and add a line to the log."""
        quality = {}
        for name, images in sets.items():
            chosen = torch.linspace(0, len(images) - 1, min(VALIDATION, len(images))).long()
            quality[name] = round(float(reconstruct_in_batches(self.model, images[chosen])[1].mean()), 3)
        line = {"step": self.step, "seconds": round(self.seconds, 2), "psnr": quality}
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        return quality


def _leave_signals_to_the_parent(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def pretrain(
    folder: Path, recipe: Recipe, pool: Path | None = None, tests: tuple[Path, ...] = (), workers: int = 0
) -> Pretraining:
    """Train to the end of the recipe, or to a signal: then save, say how to go on, and leave with its exit code."""
    require_writable(folder)
    run = Pretraining(folder, recipe)
    pool = pool or folder / "sprites"
    sets = unseen_sets(pool, tests)
    dataset = BroadImages(SpritePool(pool, recipe.sprites, recipe.seed), recipe.seed, [Path(p) for p in recipe.data])
    stopped: list[int] = []
    with signals_deferred(stopped.append), _Display(run) as display:
        saved, validated, before = time.monotonic(), run.seconds, time.monotonic()
        for images in run.batches(dataset, workers):
            if run.progress >= 1:
                break
            display.loss(run.train(images))
            now = time.monotonic()
            run.seconds += now - before
            if run.seconds - validated > VALIDATE_EVERY:
                display.quality(run.validate(sets))
                validated = run.seconds
            if stopped or now - saved > SAVE_EVERY:
                run.save()
                saved = now
            if stopped:
                break
            before = time.monotonic()  # what validating and saving took is not training
    if stopped:
        print(f"Saved step {run.step}. Go on with:\n  {resume_command(run, pool, tests, workers)}", flush=True)
        raise SystemExit(128 + stopped[0])
    run.save()
    print(f"Done after {run.step} steps: {run.validate(sets)}")
    return run


def resume_command(run: Pretraining, pool: Path, tests: tuple[Path, ...], workers: int) -> str:
    """Spell the command that continues a run."""
    words: list[Any] = ["tda", "ae", "pretrain", run.folder]
    for name, value in asdict(run.recipe).items():
        if value not in (None, ()):
            words += [f"--{name}", *(value if isinstance(value, tuple) else [value])]
    words += ["--pool", pool, "--workers", workers, *(["--tests", *tests] if tests else [])]
    return shlex.join(str(word) for word in words)


class _Display(Progress):
    """A progress bar with loss, quality and the time left."""

    def __init__(self, run: Pretraining) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        super().__init__(*columns, speed_estimate_period=300)
        self._bar = self.add_task("", total=1.0, completed=run.progress)  # type: ignore[arg-type]
        self._run, self._loss, self._quality = run, None, ""

    def loss(self, loss: Tensor) -> None:
        """Show a step and a moving mean of its loss."""
        self._loss = loss if self._loss is None else torch.lerp(self._loss, loss, 0.02)
        if self._run.step % 10 == 0:
            text = f"step {self._run.step}  loss {float(self._loss):.5f}{self._quality}"
            self.update(self._bar, completed=self._run.progress, description=text)

    def quality(self, quality: dict[str, float]) -> None:
        """Print the PSNR of each test set, and show their mean from now on."""
        self._quality = f"  {sum(quality.values()) / len(quality):.2f} dB"
        words = ", ".join(f"{name} {value:.2f}" for name, value in quality.items())
        self.console.print(f"step {self._run.step}: {words} dB", highlight=False, markup=False)
