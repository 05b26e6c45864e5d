"""The configuration of a run: nerfstudio's, with our pipeline and the folder in which the run is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from tda_nerfstudio.plugin.options import TrainerOptions
from tda_nerfstudio.plugin.tda_pipeline import TdaPipelineConfig


@dataclass
class RunConfig(TrainerOptions):
    """A nerfstudio run whose length is in visits per scene, and whose folder is the one that its config.yml lies in."""

    pipeline: TdaPipelineConfig = field(default_factory=TdaPipelineConfig)
    """Pipeline configuration"""
    max_num_iterations: int | None = None  # type: ignore[assignment]
    """Steps in all; the phases are rescaled to it. By default they follow from the schedule's visits per scene."""
    folder: Annotated[Path | None, tyro.conf.Suppress] = None
    """Where the config.yml lay that this was read from; a new run's folder follows from its names."""

    def get_base_dir(self) -> Path:
        """Name the run's folder."""
        return self.folder or super().get_base_dir()

    def goes_on_from(self) -> Path | None:
        """Name the run whose checkpoint this one goes on from: itself, as a rule. None for a new run."""
        if self.load_checkpoint is not None:
            return Path(self.load_checkpoint).parents[1]
        return None if self.load_dir is None else Path(self.load_dir).parent

    def resume_command(self) -> str:
        """Spell the command that continues this run."""
        return shlex.join(["ns-train", f"{self.method_name}", "--load-config", f"{self.get_base_dir() / 'config.yml'}"])
