"""Warnings of nerfstudio and torch that nobody who trains a scene can act on: the known ones are not shown.

Each is named by its category, its words and the module that it comes from; every other warning is shown as ever. Only
our own methods' processes are quiet: what nerfstudio says to others is not ours to hide.
"""

from __future__ import annotations

import re
import sys
import warnings

KNOWN: tuple[tuple[type[Warning], str, str], ...] = (
    (FutureWarning, "`torch.jit.script` is deprecated", "torch.jit._script"),
    (FutureWarning, "`torch.cuda.amp.custom_fwd(args...)` is deprecated", "nerfstudio.field_components.activations"),
    (FutureWarning, "`torch.cuda.amp.custom_bwd(args...)` is deprecated", "nerfstudio.field_components.activations"),
    (FutureWarning, "`torch.cuda.amp.GradScaler(args...)` is deprecated", "nerfstudio.engine.trainer"),
    (UserWarning, "Using a non-tuple sequence for multidimensional indexing", "nerfstudio.cameras.cameras"),
    (UserWarning, "To copy construct from a tensor", "nerfstudio.cameras.camera_utils"),
    (UserWarning, "Using torch.cross without specifying the dim arg", "nerfstudio.cameras.camera_utils"),
)
"""Category, first words and module of each: nerfstudio 1.1.5 calls torch as older versions wanted to be called."""


def silence() -> None:
    """Show none of the known warnings from here on."""
    for category, words, module in KNOWN:
        warnings.filterwarnings("ignore", re.escape(words), category, re.escape(module) + r"\Z")


def silence_our_commands() -> None:
    """Do so where the command line names one of our methods, by itself or in a run's path.

    nerfstudio reads our dataparser while it starts, whatever the method: only what it warns of after that can be quiet.
    """
    if any(re.search(r"\btda-(ae|scenes|rgb)\b", word) for word in sys.argv):
        silence()


def as_environment() -> str:
    """Spell the same for PYTHONWARNINGS, which acts from a command's first import on."""
    return ",".join(f"ignore:{words}:{category.__name__}:{module}" for category, words, module in KNOWN)
