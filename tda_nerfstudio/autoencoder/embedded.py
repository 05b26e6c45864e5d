"""Pre-trained weights of the light autoencoder that ship with the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.atomic import replace_file
from tda_nerfstudio.base.errors import TdaError

FOLDER = Path(__file__).with_name("weights")
BUFFERS = ("latent_scale", "background")
"""Tensors that are kept in float32."""


def file_name(config: AutoencoderConfig) -> str:
    """Return the name of the file of a light autoencoder's weights."""
    return f"light-f{config.f}-c{config.channels}.safetensors"


def find(config: AutoencoderConfig) -> Path | None:
    """Return the file with weights of these f, C, sub, width and blocks, or None. Raises TdaError if damaged."""
    path = FOLDER / file_name(config)
    if not path.is_file():
        return None
    from safetensors import safe_open

    with _damage_named(path), safe_open(path, "pt") as file:
        return path if file.metadata() == _sizes(config) else None


def load(model: Autoencoder, path: Path) -> None:
    """Load weights from a file into a light autoencoder. Raises TdaError for a damaged file."""
    from safetensors.torch import load_file

    with _damage_named(path):
        model.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})


def save(model: Autoencoder, config: AutoencoderConfig, folder: Path) -> Path:
    """Write a light autoencoder's weights in float16, round the model's own alike, and return the file's path."""
    from safetensors.torch import save as to_bytes

    path, state = folder / file_name(config), model.state_dict()
    kept = {k: v.cpu().contiguous().to(torch.float32 if k in BUFFERS else torch.float16) for k, v in state.items()}
    replace_file(path, lambda file: file.write(to_bytes(kept, _sizes(config))))
    load(model, path)
    return path


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise TdaError(f"The pre-trained weights {path} are damaged ({error}). Install the package again.") from error


def _sizes(config: AutoencoderConfig) -> dict[str, str]:
    return {name: str(getattr(config, name)) for name in ("f", "channels", "sub", "width", "blocks")}
