"""What a run will cost, measured before its first step."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import torch
from rich.table import Table

from tda_nerfstudio.base.errors import counted
from tda_nerfstudio.base.hardware import peak_memory
from tda_nerfstudio.learning.schedule import Span
from tda_nerfstudio.plugin.progress import in_short, in_words
from tda_nerfstudio.plugin.waves import Wave, wave_at

if TYPE_CHECKING:
    from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline


class Forecast(NamedTuple):
    """What a run will cost."""

    table: Table
    summary: str
    seconds: dict[str, float]
    """Of a step, by phase."""


def forecast(pipeline: TdaPipeline, waves: list[Wave], start: int) -> Forecast:
    """Tabulate steps, visits, minutes, memory and bytes on disk of the steps that are left, of all waves together.

    Each phase's losses and gradients are computed twice on its first batch, the second time on the clock, and thrown
    away: nothing that trains changes. Optimizer steps and evaluations come on top.
    """
    table = Table(title="Forecast", title_justify="left")
    for heading in ("phase", "steps", "visits a scene", "s a step", "time"):
        table.add_column(heading, justify="left" if heading == "phase" else "right")
    total, by_phase = 0.0, {}
    now = wave_at(waves, start)
    pipeline.serve(now)
    for span in now.spans:
        alike = [other for wave in waves for other in wave.spans if other.phase.name == span.phase.name]
        steps = sum(max(other.end - max(other.start, start), 0) for other in alike)
        seconds = dry_step(pipeline, span) if steps else 0.0
        total += steps * seconds
        by_phase[span.phase.name] = seconds
        visits = now.visits(span, pipeline.datamanager.images_per_step)
        takes = in_short(steps * seconds) if steps else "-"
        table.add_row(span.phase.name, str(steps), f"{visits:.0f}", f"{seconds:.2f}", takes)
    weights = sum(p.numel() * p.element_size() for p in pipeline.parameters())
    manager = pipeline.datamanager
    images = manager.eval_store.store.bytes
    if pipeline.model.autoencoder.f == 1 or any(span.phase.needs_images for span in now.spans):
        images += manager.train_store.store.bytes
    peak = peak_memory()
    summary = (
        f"{counted(manager.total, 'scene')}: {in_words(total)},"
        f" {(peak + 2 * weights + images) / 2**30:.1f} GiB of memory, {3 * weights / 2**20:.0f} MiB on disk"
    )
    return Forecast(table, summary, by_phase)


def dry_step(pipeline: TdaPipeline, span: Span) -> float:
    """Time the losses and gradients of a phase's first step, in seconds; leave no trace."""
    model, phase = pipeline.model, span.phase
    groups = model.get_param_groups()
    for name, params in groups.items():
        for param in params:
            param.requires_grad_(name in phase.rates)
    # While the encoder is still to move, latents of the right shape are enough: caching all of them would be in vain.
    latents = pipeline.latents.encode if pipeline.config.starts_from == "scratch" else pipeline.latents
    cameras, batch = pipeline.batch_of(span.start, span, latents)
    before_it = [buffer.clone() for buffer in model.buffers()]
    seconds = 0.0
    for _ in range(2):
        before = time.perf_counter()
        torch.stack([*model(cameras, batch, phase, span.start).values()]).sum().backward()
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - before
        for params in groups.values():
            for param in params:
                param.grad = None
    for buffer, value in zip(model.buffers(), before_it, strict=True):
        buffer.copy_(value)
    return seconds
