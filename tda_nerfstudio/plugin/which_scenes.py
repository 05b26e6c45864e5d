"""Which scenes a run learns if its command line does not say, and whether its stage 1 has seen them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tda_nerfstudio.atlas.selection import SPLITS
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import CONSOLE, warn
from tda_nerfstudio.plugin.tda_dataparser import TdaAtlas, TdaAtlasConfig
from tda_nerfstudio.store.store import Store

OPTION = "--pipeline.datamanager.dataparser.scenes"


def left_over(data: Path, known: Collection[str]) -> tuple[str, ...]:
    """List the scenes of an atlas that stage 1 did not see, given those that it did."""
    names = [name for name in TdaAtlas(TdaAtlasConfig(data=data)).whole().names if name not in known]
    if names:
        CONSOLE.print(f"Its {len(names)} scenes that stage 1 did not see are learnt.")
    return tuple(names)


def not_held(parser: TdaAtlasConfig, store: Store | None) -> tuple[str, ...]:
    """List the chosen scenes that a store does not hold as finished. Raises TdaError if it holds all of them."""
    names = TdaAtlas(parser).whole().names
    new = [name for name in names if store is None or name not in store or not store.record(name).finished]
    if store is not None and not new:
        raise TdaError(
            f"The store {store.folder} holds all {len(names)} scenes of {parser.data} already. To learn one again,"
            f" remove it first: tda store remove {store.folder} {names[0]}"
        )
    if len(new) < len(names):
        known = len(names) - len(new)
        CONSOLE.print(f"{known} of {len(names)} scenes are in it already: {len(new)} are left to learn.")
    return tuple(new)


def warn_of_stage_one(facts: dict[str, Any], parser: TdaAtlasConfig, others: Sequence[dict[str, Any]] = ()) -> None:
    """Warn if stage 1 has seen the chosen scenes, or another atlas. Suggest one of `others` that has seen this one."""
    names, known = TdaAtlas(parser).whole().names, set(facts["scene_names"])
    seen, trained = [name for name in names if name in known], Path(facts["data"])
    alike = trained.name == parser.data.name and (seen or not trained.is_absolute())  # a store knows the name alone
    if trained == parser.data or alike:
        if seen:
            shown = ", ".join(seen[:3]) + ", ..." * (len(seen) > 3)
            warn(
                f"{len(seen)} of {len(names)} scenes were in stage 1 ({shown}): PSNR on them is not of new scenes."
                f" Choose others: {OPTION} {SPLITS} (or names, globs, ranges; '!NAME' leaves one out)."
            )
        return
    text = f"Stage 1 was trained on another atlas, {trained}. That is right if both hold scenes of one class."
    runs = [other["run"] for other in others if Path(other["data"]) == parser.data]
    if runs:
        warn(f"{text} Another stage 1 saw this one:", f"--pipeline.autoencoder {shlex.quote(runs[0])}")
    else:
        warn(text)
