"""Known warnings are not shown, others are."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

from tda_nerfstudio.plugin.quiet import KNOWN, as_environment, silence, silence_our_commands

WARN = """
import warnings
for category, words, module in {known}:
    warnings.warn_explicit(words + ", and more.", category, "file.py", 3, module)
warnings.warn_explicit("Something else is deprecated.", FutureWarning, "file.py", 4, "nerfstudio.engine.trainer")
"""


def warn_of_everything() -> list[str]:
    """Issue every known warning, one that is not known, and the known ones from elsewhere; list what is shown."""
    with warnings.catch_warnings(record=True) as shown:
        for category, words, module in KNOWN:
            warnings.warn_explicit(f"{words} and more", category, "file.py", 3, module)
            warnings.warn_explicit(f"{words} elsewhere", category, "file.py", 3, f"{module}_too")
        warnings.warn_explicit("`torch.stft` is deprecated", FutureWarning, "file.py", 4, "nerfstudio.engine.trainer")
    return [str(one.message) for one in shown]


def test_known_warnings_are_not_shown_and_no_others_are_hidden() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert len(warn_of_everything()) == 2 * len(KNOWN) + 1
        silence()
        shown = warn_of_everything()
    assert len(shown) == len(KNOWN) + 1
    assert shown[-1] == "`torch.stft` is deprecated"
    assert all(text.endswith("elsewhere") for text in shown[:-1])


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("ns-train tda-ae --data atlas", True),
        ("ns-eval --load-config outputs/atlas/tda-scenes/run/config.yml", True),
        ("ns-train nerfacto --data atlas", False),
        ("ns-train vanilla-nerf tda-atlas --data atlas", False),
    ],
)
def test_commands_of_other_methods_stay_as_they_are(line: str, ours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", line.split())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        silence_our_commands()
        assert len(warn_of_everything()) == (len(KNOWN) + 1 if ours else 2 * len(KNOWN) + 1)


def test_the_environment_says_the_same_to_commands_from_their_first_import_on() -> None:
    known = [(words, module) for category, words, module in KNOWN if category is FutureWarning]
    code = WARN.format(known=f"[(FutureWarning, words, module) for words, module in {known}]")
    environment = os.environ | {"PYTHONWARNINGS": as_environment()}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "file.py:4: FutureWarning: Something else is deprecated."
