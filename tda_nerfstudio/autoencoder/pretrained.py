"""Autoencoders of diffusers: AutoencoderKL ("kl") and AutoencoderTiny ("tiny"), read from safetensors alone."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.errors import TdaError

CLASSES = {"kl": "AutoencoderKL", "tiny": "AutoencoderTiny"}
CONFIG, WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names of the layers of an attention in weights that old versions of diffusers saved, and their names now."""
FLAG = "--pipeline.model.autoencoder"
ALTERNATIVES = (
    f" Give a local folder with a {CONFIG} and a .safetensors file, or a hub id that exists (stabilityai/sd-vae-ft-mse"
    " for kl, madebyollin/taesd for tiny; runwayml/stable-diffusion-v1-5, the reference's, is gone from the hub), or"
    f" train our own autoencoder: {FLAG}.kind light."
)


class KlAutoencoder(Autoencoder):
    """AutoencoderKL without its scaling_factor. Raw latents are the posterior's mean, or samples of it given noise."""

    def __init__(self, model: Any, f: int, channels: int) -> None:
        super().__init__(f, channels)
        after, before = (nn.Identity() if conv is None else conv for conv in (model.quant_conv, model.post_quant_conv))
        self.encoder = nn.Sequential(model.encoder, after)
        self.decoder = nn.Sequential(before, model.decoder)

    def _encode(self, images: Tensor, noise: Tensor | None) -> Tensor:
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean if noise is None else mean + torch.exp(0.5 * log_variance.clamp(-30, 20)) * noise


class TinyAutoencoder(Autoencoder):
    """AutoencoderTiny, whose encoder and decoder themselves use images in [-1, 1]. It has no posterior."""

    def __init__(self, model: Any, f: int, channels: int) -> None:
        super().__init__(f, channels)
        self.encoder, self.decoder = model.encoder, model.decoder


def resolve(config: AutoencoderConfig) -> AutoencoderConfig:
    """Return a copy with f, C and architecture, read from the source and downloaded if needed.

    If the architecture is given, the source is not read. Raises TdaError when the source is missing, unreachable,
    damaged or of another class.
    """
    kind, source, weights, given = config.kind, config.source, None, config.architecture
    if given is None:
        described, weights = locate(config, download=True)
        given = read_architecture(kind, described)
        if Path(str(source)).expanduser().is_dir():
            source = str(weights.parent.absolute())
    parameters = inspect.signature(diffusers_class(kind).__init__).parameters
    defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    known = defaults | {name: value for name, value in given.items() if name in defaults}
    architecture = json.loads(json.dumps(known))  # lists instead of tuples, as YAML and JSON hold them
    if weights is not None:
        with torch.random.fork_rng():
            load_weights(make_model(kind, architecture), weights)
    stages = architecture["block_out_channels" if kind == "kl" else "num_encoder_blocks"]
    f, channels = 2 ** (len(stages) - 1), architecture["latent_channels"]
    return replace(config, source=source, architecture=architecture, f=f, channels=channels)


def build(config: AutoencoderConfig) -> Autoencoder:
    """Build the autoencoder with the source's weights, or with random weights if there is no source.

    If a resolved source can no longer be read, encoding and decoding raise TdaError until a checkpoint is loaded.
    Raises TdaError as `resolve` does.
    """
    config = resolve(config)
    model = make_model(config.kind, config.architecture or {})
    adapter = KlAutoencoder if config.kind == "kl" else TinyAutoencoder
    autoencoder = adapter(model, config.f, config.channels)
    if config.source is not None:
        try:
            load_weights(model, locate(config, download=False)[1])
        except TdaError as error:
            await_checkpoint(autoencoder, f"The {config.kind} autoencoder has no weights, from no checkpoint. {error}")
    return autoencoder


def await_checkpoint(autoencoder: Autoencoder, reason: str) -> None:
    """Let encoder and decoder raise TdaError until a state is loaded, so that no run starts from random weights."""

    def refuse(*_: object) -> None:
        raise TdaError(reason)

    hooks = [part.register_forward_pre_hook(refuse) for part in (autoencoder.encoder, autoencoder.decoder)]

    def release(*_: object) -> None:
        for hook in hooks:
            hook.remove()

    autoencoder.register_load_state_dict_post_hook(release)


def locate(config: AutoencoderConfig, download: bool) -> tuple[Path, Path]:
    """Return paths of config.json and of the weights: in a folder, in the hub's cache, or with `download` fetched.

    Raises TdaError when they are not there.
    """
    source = config.source
    if not source:
        raise TdaError(f"The kinds kl and tiny need {FLAG}.source, where their weights are.{ALTERNATIVES}")
    folder, parts = Path(source).expanduser(), source.split("/")
    if not folder.is_dir():
        if source[0] in "/~." or len(parts) < 2:
            raise TdaError(f"The autoencoder's source {source} is no folder.{ALTERNATIVES}")
        if not re.fullmatch("[0-9a-f]{40}", config.revision or ""):
            raise TdaError(
                f"There is no folder {source} here. A hub id also needs {FLAG}.revision, a commit of 40 hexadecimal"
                f" digits (see huggingface.co/{'/'.join(parts[:2])}/commits/main), not {config.revision}.{ALTERNATIVES}"
            )
        return fetch("/".join(parts[:2]), "/".join(parts[2:]), str(config.revision), download)
    if not (folder / CONFIG).is_file():
        hint = f" Did you mean {folder / 'vae'}?" if (folder / "vae" / CONFIG).is_file() else ""
        raise TdaError(f"The autoencoder's folder {folder} holds no {CONFIG}.{hint}{ALTERNATIVES}")
    found = [folder / WEIGHTS] if (folder / WEIGHTS).is_file() else sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        pickles = [path.name for path in sorted(folder.iterdir()) if path.suffix in PICKLES]
        what = f"{len(found)} .safetensors files, none of them {WEIGHTS}" if found else "no .safetensors file"
        more = f", only {', '.join(pickles)}: pickles can run code and are not read" if pickles and not found else ""
        raise TdaError(f"The autoencoder's folder {folder} holds {what}{more}.{ALTERNATIVES}")
    return folder / CONFIG, found[0]


def fetch(name: str, folder: str, revision: str, download: bool) -> tuple[Path, Path]:
    """Return paths of config.json and of the weights of a hub repository, in the hub's cache.

    With `download` they are fetched first. Raises TdaError when they are not there.
    """
    from huggingface_hub import hf_hub_download

    options: dict[str, Any] = {"subfolder": folder or None, "revision": revision, "local_files_only": not download}
    try:
        described, weights = (Path(hf_hub_download(name, file, **options)) for file in (CONFIG, WEIGHTS))
    except Exception as error:  # offline, no such repository, commit or file, and all that can fail in a network
        raise TdaError(
            f"The autoencoder {name} at {revision} cannot be read from the hub or its cache; pickles (.bin) do not"
            f" count. {' '.join(str(error).split())[:300]} With network, fetch it by `hf download {name} --revision"
            f" {revision}`.{ALTERNATIVES}"
        ) from error
    return described, weights


def read_architecture(kind: str, path: Path) -> dict[str, Any]:
    """Read constructor arguments from a config.json. Raises TdaError if it is unreadable or of another class."""
    try:
        given = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise TdaError(f"{path} cannot be read as a configuration ({error}).{ALTERNATIVES}") from error
    found = given.get("_class_name")
    if found != CLASSES[kind]:
        other = next((f" Use {FLAG}.kind {key} for it." for key, name in CLASSES.items() if name == found), "")
        raise TdaError(f"{path} describes {found}, and kind {kind} needs {CLASSES[kind]}.{other}{ALTERNATIVES}")
    return given


def diffusers_class(kind: str) -> Any:
    """Return the class of diffusers for a kind; the import takes seconds."""
    import diffusers

    return getattr(diffusers, CLASSES[kind])


def make_model(kind: str, architecture: dict[str, Any]) -> Any:
    """Construct a model of diffusers with random weights. Raises TdaError for arguments that do not fit."""
    try:
        return diffusers_class(kind)(**architecture)
    except (TypeError, ValueError) as error:
        raise TdaError(f"diffusers cannot build this {CLASSES[kind]}: {error}.{ALTERNATIVES}") from error


def load_weights(model: nn.Module, path: Path) -> None:
    """Load weights from a file into a model. Raises TdaError if it is damaged or does not fit exactly."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    old = re.compile(rf"(?<=\.attentions\.\d\.)({'|'.join(OLD_NAMES)})(?=\.(weight|bias)$)")
    try:
        given = load_file(path)
        for name in [name for name in given if old.search(name)]:
            given[old.sub(lambda m: OLD_NAMES[m[0]], name)] = given.pop(name).squeeze()  # some are 1 x 1 convolutions
        model.load_state_dict(given, strict=True)
    except (OSError, SafetensorError) as error:
        raise TdaError(f"{path} is damaged ({error}): remove it and fetch it again.{ALTERNATIVES}") from error
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        raise TdaError(f"{path} does not fit the {CONFIG} beside it: {first} ...{ALTERNATIVES}") from error
