"""Our own words, and nerfstudio's."""

from __future__ import annotations

import pytest
from nerfstudio.utils.rich_utils import CONSOLE as THEIRS

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.terminal import CONSOLE, clear_errors, hushed


def test_what_nerfstudio_says_of_its_own_affairs_is_not_heard_and_our_words_are(capsys: pytest.CaptureFixture) -> None:
    with hushed():
        THEIRS.print("Saving config to: somewhere")
        print("Loading latest Nerfstudio checkpoint from load_dir...")
        CONSOLE.print("Scene 'a' is put aside.", markup=False)
    CONSOLE.print("Done.")
    print("And on.")
    assert capsys.readouterr().out == "Scene 'a' is put aside.\nDone.\nAnd on.\n"


def test_before_an_unforeseen_error_all_is_heard(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(ValueError), hushed():
        print("Building the pipeline")
        raise ValueError("no")
    assert capsys.readouterr().out == "Building the pipeline\n"


def test_what_nerfstudio_says_before_it_leaves_is_heard(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit), hushed():
        THEIRS.print("No checkpoint directory found")
        raise SystemExit(1)
    assert capsys.readouterr().out == "No checkpoint directory found\n"


def test_our_words_are_heard_inside_and_after_an_inner_hush(capsys: pytest.CaptureFixture) -> None:
    with hushed():
        with hushed():
            print("Theirs")
            CONSOLE.print("Inside.")
        CONSOLE.print("After.")
    CONSOLE.print("Outside.")
    assert capsys.readouterr().out == "Inside.\nAfter.\nOutside.\n"


def test_an_error_to_act_on_is_its_message_alone(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught, clear_errors(), hushed():
        print("Building the pipeline")
        raise TdaError("Scene 'car[red]' is broken.")
    assert caught.value.code == 1
    text = capsys.readouterr().out
    assert "Scene 'car[red]' is broken." in text and "Building" not in text
