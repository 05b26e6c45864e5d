"""Which scenes a run learns where its command line leaves that open, and whether its stage 1 knew them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tda_nerfstudio.atlas.selection import read_json
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import CONSOLE, warn
from tda_nerfstudio.plugin import stage_one
from tda_nerfstudio.plugin.tda_dataparser import TdaAtlas, TdaAtlasConfig
from tda_nerfstudio.store.shared_parts import is_store

if TYPE_CHECKING:
    from tda_nerfstudio.plugin.tda_trainer import TdaTrainerConfig

SPLITS = "splits.json"
OPTION = "--pipeline.datamanager.dataparser.scenes"


def split_of(data: Path, key: str) -> tuple[str, ...]:
    """Take an atlas' own splits.json for the scenes that nobody chose, if it has a list for this method; say so."""
    path = data / SPLITS
    content = read_json(path) if path.is_file() else None
    if content is None:
        return ()
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        warn(f"{path} has no list of scenes for {key}: all scenes are used. Choose some with {OPTION}.")
        return ()
    CONSOLE.print(
        f"Using {SPLITS} of the atlas: the {len(content[key])} scenes that it has for {key}. All scenes: {OPTION} '*'",
        soft_wrap=True,
        highlight=False,
    )
    return (str(path),)


def atlas_of_stage_one(config: TdaTrainerConfig) -> Path:
    """Find the atlas of the stage 1 that is started from, for a stage 2 without one; its scenes are those left over.

    Raises TdaError when it is gone, or not known.
    """
    pipeline, parser = config.pipeline, config.pipeline.datamanager.dataparser
    if pipeline.autoencoder is None and pipeline.store is not None and is_store(pipeline.store.expanduser()):
        raise TdaError(f"Say which scenes to learn into the store {pipeline.store}: --data ATLAS.")
    chosen, output = pipeline.autoencoder, config.output_dir.expanduser()
    manifest = stage_one.find(output, chosen)
    data = Path(manifest["data"])
    if not data.is_dir():
        raise TdaError(
            f"Stage 1 at {manifest['run']} was trained on {data}, which is not there any more. Say which scenes to"
            " learn: --data ATLAS."
        )
    CONSOLE.print(f"No --data was given: using stage 1's atlas, {data}.", markup=False, soft_wrap=True)
    if not parser.scenes:
        parser.scenes = split_of(data, parser.split_key or "") or left_over(data, manifest)
    return data


def left_over(data: Path, manifest: dict[str, Any]) -> tuple[str, ...]:
    """List the scenes that stage 1 did not see; none where it saw all of them."""
    known = set(manifest["scene_names"])
    names = [name for name in TdaAtlas(TdaAtlasConfig(data=data)).whole().names if name not in known]
    if names:
        CONSOLE.print(f"Its {len(names)} scenes that stage 1 did not see are learnt.")
    return tuple(names)


def warn_of_stage_one(manifest: dict[str, Any], parser: TdaAtlasConfig, others: list[dict[str, Any]]) -> None:
    """Say loudly when stage 1 saw the chosen scenes, or another atlas."""
    names, known = TdaAtlas(parser).whole().names, set(manifest["scene_names"])
    seen, trained = [name for name in names if name in known], Path(manifest["data"])
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
