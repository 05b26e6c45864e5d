"""What can be done with a run that has ended: commands that can be copied into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.plugin.viewer.address import viewer_command


def show_next_steps(method: str | None, run: Path, data: Path, store: Path | None, waves: int) -> None:
    """Print the commands that show a run, score it and build on it.

    ns-viewer and ns-eval see only the scenes of the last wave. They are left out for a run of several.
    """
    config = ["--load-config", str(run / "config.yml")]
    lines = [viewer_command(run / "config.yml"), ["ns-eval", *config]] if waves == 1 else []
    if store is not None:
        CONSOLE.print(f"The store of its scenes: {store}", markup=False, highlight=False, soft_wrap=True)
        lines = [["tda", "view", str(store)], ["tda", "render", str(store), "--scene", "all"], *lines]
    elif method == "tda-ae":
        lines.append(["ns-train", "tda-scenes", "--data", str(data), *_from(run)])
    CONSOLE.print("Next:")
    for words in lines:
        CONSOLE.print(f"  {shlex.join(words)}", markup=False, highlight=False, soft_wrap=True)


def _from(run: Path) -> list[str]:
    """Return the options that name this stage 1. None are needed if stage 2 finds it without."""
    if run.parent.name != "tda-ae":
        return ["--pipeline.autoencoder", str(run)]
    output = run.parents[2]
    return [] if output == Path("outputs").resolve() else ["--output-dir", str(output)]
