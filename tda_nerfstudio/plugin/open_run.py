"""Open a run that was trained, with its weights."""

from __future__ import annotations

from pathlib import Path

import yaml

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import hushed
from tda_nerfstudio.plugin.config_file import is_config, opening
from tda_nerfstudio.plugin.quiet import silence
from tda_nerfstudio.plugin.tda_pipeline import TdaPipeline


def open_run(load_config: Path) -> TdaPipeline:
    """Load a run's pipeline from its config.yml (or folder) and newest checkpoint, ready to render.

    Reading a config.yml can run code: open only those you trust. Raises TdaError for what is not a run of ours.
    """
    silence()
    from nerfstudio.utils.eval_utils import eval_setup

    path = load_config / "config.yml" if load_config.is_dir() else load_config
    if not path.is_file():
        raise TdaError(f"{path} does not exist. Give the config.yml of a run (outputs/.../config.yml).")
    if not is_config(path):
        raise TdaError(f"{path} is not a run's config.yml. Give the one of a run (outputs/.../config.yml).")
    if not any((path.parent / "nerfstudio_models").glob("step-*.ckpt")):
        raise TdaError(f"{path.parent} holds no checkpoint yet. Let the run save one first.")
    with opening(path), hushed():
        try:
            _, pipeline, _, _ = eval_setup(path, test_mode="inference")
        except yaml.YAMLError as error:
            reason = str(error).splitlines()[1:2] or [str(error)]
            raise TdaError(
                f"{path} cannot be read ({reason[0]}). If another version of this package wrote it, open it with that."
                " Stores, such as the run's own, open with any version: tda view STORE."
            ) from error
    if not isinstance(pipeline, TdaPipeline):
        raise TdaError(f"{path} is not a run of tda-ae, tda-scenes or tda-rgb.")
    return pipeline
