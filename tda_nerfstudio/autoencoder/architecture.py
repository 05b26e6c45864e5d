"""Limits on the architecture of a diffusers autoencoder, checked before it is built from a file of unknown origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def _whole(low: int, high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 64


def _numbers(value: Any) -> bool:
    many = value if isinstance(value, list) else [value]
    known = len(many) <= 1024 and all(isinstance(one, int | float) and -1e6 < one < 1e6 for one in many)
    return value is None or known


def _switch(value: Any) -> bool:
    return value is None or isinstance(value, bool)


STAGES = 7
"""Most resolutions; with so many, f is 64."""
WIDTH, BLOCKS = _whole(1, 2048), _whole(0, 16)
LISTS: dict[str, dict[str, Check]] = {
    "kl": {"block_out_channels": WIDTH, "down_block_types": _text, "up_block_types": _text},
    "tiny": {
        "encoder_block_out_channels": WIDTH,
        "decoder_block_out_channels": WIDTH,
        "num_encoder_blocks": BLOCKS,
        "num_decoder_blocks": BLOCKS,
    },
}
"""What must be there with a value for each resolution."""
SINGLE: dict[str, Check] = {
    "in_channels": _whole(3, 3),
    "out_channels": _whole(3, 3),
    "upsampling_scaling_factor": _whole(2, 2),  # the decoder enlarges as much as the encoder shrinks
    "latent_channels": _whole(1, 1024),
    "layers_per_block": _whole(1, 16),
    "norm_num_groups": WIDTH,
    "act_fn": _text,
    "upsample_fn": _text,
} | dict.fromkeys(("sample_size", "scaling_factor", "shift_factor", "latents_mean", "latents_std"), _numbers)
SINGLE |= dict.fromkeys(("latent_magnitude", "latent_shift"), _numbers)


def check_architecture(kind: str, given: object) -> None:
    """Raise ValueError for an architecture with values of a wrong type, or with numbers or lists out of bounds.

    `given` holds constructor arguments of diffusers' class for the kind "kl" or "tiny". Keys that are not listed in
    this module may only be True, False or None.
    """
    if not isinstance(given, Mapping) or len(given) > 64:
        raise ValueError(f"the architecture of a {kind} autoencoder is no set of at most 64 keys")
    lists = LISTS[kind]
    stages = next(iter(lists))
    for key in lists:
        if not isinstance(given.get(key), list) or not 1 <= len(given[key]) <= STAGES:
            raise ValueError(f"{key} is {repr(given.get(key))[:60]}, no list of 1 to {STAGES}")
        if len(given[key]) != len(given[stages]):
            raise ValueError(f"{key} and {stages} have other lengths")
    for key, value in given.items():
        if not (all(map(lists[key], value)) if key in lists else SINGLE.get(key, _switch)(value)):
            raise ValueError(f"{str(key)[:40]} is {repr(value)[:60]}, which no {kind} autoencoder has")
