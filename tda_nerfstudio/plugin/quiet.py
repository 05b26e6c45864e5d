"""Hide known warnings of nerfstudio and torch that a user cannot act on.

Each is known by its category, its words and the module that it comes from. All other warnings are shown. Only
processes of our own methods hide them.
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
"""Category, first words and module of each. nerfstudio 1.1.5 calls torch as older versions of torch were called."""


def silence() -> None:
    """Hide the known warnings from here on."""
    for category, words, module in KNOWN:
        warnings.filterwarnings("ignore", re.escape(words), category, re.escape(module) + r"\Z")


def silence_our_commands() -> None:
    """Hide them where the command line names one of our methods, by itself or in a run's path.

    nerfstudio reads our dataparser while it starts, for any method. What it warns of before that is shown.
    """
    if any(re.search(r"\btda-(ae|scenes|rgb)\b", word) for word in sys.argv):
        silence()


def as_environment() -> str:
    """Give the same as a value of PYTHONWARNINGS, which acts from a command's first import on."""
    return ",".join(f"ignore:{words}:{category.__name__}:{module}" for category, words, module in KNOWN)
