"""The facts of a run that has ended, for its finished.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tda_nerfstudio.base.hardware import describe
from tda_nerfstudio.learning.batches import Batches
from tda_nerfstudio.learning.first_loss import own_first_loss
from tda_nerfstudio.learning.waves import Wave
from tda_nerfstudio.plugin.history import History
from tda_nerfstudio.plugin.run_config import RunConfig
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline


def describe_run(config: RunConfig, pipeline: TdaPipeline, history: History) -> dict[str, Any]:
    """Collect method, data, machine, sizes and durations of a run."""
    model, manager, views = pipeline.model, pipeline.datamanager, pipeline.datamanager.views
    return {
        "method": config.method_name,
        "data": str(manager.get_datapath()),
        "scene_names": list(manager.dataparser.whole().names),
        "image_size": [views.width, views.height],
        "camera": asdict(views.usual_camera(model.field.scenes.box)),
        "machine": describe(model.device),
        "seed": config.machine.seed,
        "steps": pipeline.waves[-1].end,
        "phases": describe_phases(pipeline.waves, pipeline.learner.batches, history),
        "model": {
            "triplane": asdict(model.config.triplane),
            "autoencoder": asdict(model.config.autoencoder),
            "sampling": asdict(model.config.sampling),
            "fingerprint": model.autoencoder.fingerprint(),
            "box": model.field.scenes.box.flatten().tolist(),
        },
        "start_loss": own_first_loss(pipeline.learner) if config.method_name == "tda-ae" else None,
    }


def describe_phases(waves: Sequence[Wave], batches: Batches, history: History) -> list[dict[str, Any]]:
    """Collect each phase's steps, visits per scene and seconds, and how many of its steps were timed.

    A phase has the steps of all waves, as if all waves had done it before the next phase. Visits are those of the first
    wave. Seconds do not include evaluations and saving.
    """
    phases, start = [], 0
    for span in waves[0].spans:
        name = span.phase.name
        steps = sum(other.end - other.start for wave in waves for other in wave.spans if other.phase.name == name)
        phases.append(
            {
                "name": name,
                "start": start,
                "end": start + steps,
                "visits": waves[0].visits(span, batches.size, batches.parts),
                "timed_steps": history.steps.get(name, 0),
                "seconds": history.seconds.get(name, 0.0),
            }
        )
        start += steps
    return phases
