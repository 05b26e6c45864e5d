"""Limits on the architecture of a diffusers autoencoder, checked before it is built from a file of unknown origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STAGES = 7
"""Most resolutions; with so many, f is 64."""
LAYERS, WIDTH = 16, 2048
"""Most layers at a resolution, and most channels."""
SAME = {"in_channels": 3, "out_channels": 3, "upsampling_scaling_factor": 2}
"""Values that are fixed: images have 3 channels, and the decoder enlarges as much as the encoder shrinks."""
COUNTS = {"latent_channels": 1024, "layers_per_block": LAYERS, "norm_num_groups": WIDTH}
WIDTHS = {"kl": ("block_out_channels",), "tiny": ("encoder_block_out_channels", "decoder_block_out_channels")}
DEPTHS = {"kl": (), "tiny": ("num_encoder_blocks", "num_decoder_blocks")}
TYPES = {"kl": ("down_block_types", "up_block_types"), "tiny": ()}
TEXTS = ("act_fn", "upsample_fn")
NUMBERS = ("sample_size", "scaling_factor", "shift_factor", "latents_mean", "latents_std")
NUMBERS += ("latent_magnitude", "latent_shift")
"""Numbers that are not used here, since a store has a latent scale of its own."""


def check_architecture(kind: str, given: object) -> None:
    """Raise ValueError for an architecture with values of a wrong type, or with numbers or lists out of bounds.

    `given` holds constructor arguments of diffusers' class for the kind "kl" or "tiny". Keys that are not listed in
    this module may only be True, False or None.
    """
    if not isinstance(given, Mapping) or len(given) > 64:
        raise ValueError(f"the architecture of a {kind} autoencoder is no set of at most 64 keys")
    stages = WIDTHS[kind][0]
    for key in (*WIDTHS[kind], *DEPTHS[kind], *TYPES[kind]):
        if not isinstance(given.get(key), list) or not 1 <= len(given[key]) <= STAGES:
            raise ValueError(f"{key} is {_short(given.get(key))}, no list of 1 to {STAGES}")
        if len(given[key]) != len(given[stages]):
            raise ValueError(f"{key} and {stages} have other lengths")
    for key, value in given.items():
        if not _fits(kind, str(key), value):
            raise ValueError(f"{str(key)[:40]} is {_short(value)}, which no {kind} autoencoder has")


def _fits(kind: str, key: str, value: Any) -> bool:
    if key in SAME:
        return _count(value, SAME[key], SAME[key])
    if key in COUNTS:
        return _count(value, 1, COUNTS[key])
    if key in WIDTHS[kind]:
        return all(_count(one, 1, WIDTH) for one in value)
    if key in DEPTHS[kind]:
        return all(_count(one, 0, LAYERS) for one in value)
    if key in TYPES[kind] or key in TEXTS:
        return all(isinstance(one, str) and len(one) <= 64 for one in (value if key in TYPES[kind] else [value]))
    if key in NUMBERS and value is not None:
        listed = value if isinstance(value, list) else [value]
        return len(listed) <= 1024 and all(isinstance(one, int | float) and -1e6 < one < 1e6 for one in listed)
    return value is None or isinstance(value, bool)


def _count(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _short(value: Any) -> str:
    return repr(value)[:60]
