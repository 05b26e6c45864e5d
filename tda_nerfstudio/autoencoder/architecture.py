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


def _all(check: Check, *keys: str) -> dict[str, Check]:
    return dict.fromkeys(keys, check)


STAGES = 7
"""Most resolutions; with so many, f is 64."""
WIDTH, BLOCKS = _whole(1, 2048), _whole(0, 16)
LISTS = {
    "kl": _all(WIDTH, "block_out_channels") | _all(_text, "down_block_types", "up_block_types"),
    "tiny": _all(WIDTH, "encoder_block_out_channels", "decoder_block_out_channels")
    | _all(BLOCKS, "num_encoder_blocks", "num_decoder_blocks"),
}
"""What must be there, with a value for each resolution."""
SINGLE = _all(_whole(3, 3), "in_channels", "out_channels") | _all(_whole(1, 1024), "latent_channels")
SINGLE |= _all(_whole(2, 2), "upsampling_scaling_factor")  # the decoder enlarges as much as the encoder shrinks
SINGLE |= _all(_whole(1, 16), "layers_per_block") | _all(WIDTH, "norm_num_groups")
SINGLE |= _all(_text, "act_fn", "upsample_fn") | _all(_numbers, "latent_magnitude", "latent_shift")
SINGLE |= _all(_numbers, "sample_size", "scaling_factor", "shift_factor", "latents_mean", "latents_std")


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
