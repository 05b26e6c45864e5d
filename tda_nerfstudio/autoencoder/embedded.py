"""The pre-trained weights that ship with the package: where light autoencoders of their sizes start."""

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


def file_name(config: AutoencoderConfig) -> str:
    """Name the file of a light autoencoder's weights."""
    return f"light-f{config.f}-c{config.channels}.safetensors"


def find(config: AutoencoderConfig) -> Path | None:
    """Find weights whose f, C, sub, width and blocks are those of a light one. Raises TdaError for a damaged file."""
    path = FOLDER / file_name(config)
    if not path.is_file():
        return None
    from safetensors import safe_open

    with _damage_named(path), safe_open(path, "pt") as file:
        return path if file.metadata() == _sizes(config) else None


def load(model: Autoencoder, path: Path) -> None:
    """Fill a light autoencoder from a file. Raises TdaError for a damaged one."""
    from safetensors.torch import load_file

    with _damage_named(path):
        model.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})


def save(model: Autoencoder, config: AutoencoderConfig, folder: Path) -> Path:
    """Write a light autoencoder's weights in float16 (buffers in float32) and give them back to the model, rounded."""
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
