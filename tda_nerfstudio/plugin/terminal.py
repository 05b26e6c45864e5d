"""To be removed."""

from tda_nerfstudio.base.terminal import CONSOLE, clear_errors, hushed, warn  # noqa: F401
