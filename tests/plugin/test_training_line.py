"""The training line, and how long things take in words."""

from __future__ import annotations

import io
import re

import pytest
import torch

from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.core.phase import Phase
from tda_nerfstudio.learning.forecast import in_short, in_words
from tda_nerfstudio.learning.timeline import Span
from tda_nerfstudio.learning.waves import Wave
from tda_nerfstudio.plugin import training_line
from tda_nerfstudio.plugin.training_line import TrainingLine

WARMUP, JOINT = Phase("warm-up", 1, {"ae": 1.0}, {}), Phase("joint", 1, {"rgb": 1.0}, {})
WAVES = [Wave(range(4), [Span(WARMUP, 0, 100), Span(JOINT, 100, 200)])]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until its only number changes."""
    now = [100.0]
    monkeypatch.setattr(training_line.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def line(clock: list[float]) -> TrainingLine:
    return TrainingLine(WAVES, {"warm-up": 0.5, "joint": 2.0}, 0)


@pytest.mark.parametrize(
    ("seconds", "words", "short"),
    [
        (0.0, "less than a minute", "1 s"),
        (29.0, "less than a minute", "29 s"),
        (60.0, "about 1 minute", "60 s"),
        (170.0, "about 3 minutes", "3 min"),
        (5400.0, "about 90 minutes", "90 min"),
        (9000.0, "about 2.5 hours", "2.5 h"),
    ],
)
def test_durations_in_words(seconds: float, words: str, short: str) -> None:
    assert (in_words(seconds), in_short(seconds)) == (words, short)


def test_the_line_says_phase_loss_psnr_and_the_time_that_is_left(line: TrainingLine, clock: list[float]) -> None:
    clock[0] += 25.0
    assert line.text(49) == "warm-up        25 %  step 50 of 200  4 min left"
    line.loss, line.psnr = torch.tensor(0.01234), 24.126
    assert line.text(49) == "warm-up        25 %  step 50 of 200  loss 0.0123  4 min left"  # nothing is rendered yet
    clock[0] += 125.0
    assert line.text(149) == "joint          75 %  step 150 of 200  loss 0.0123  PSNR 24.1 dB  2 min left"
    assert len(line.text(199)) < 80


def test_the_time_left_is_the_forecast_by_what_it_was_worth(line: TrainingLine, clock: list[float]) -> None:
    assert line.forecast(0) == 250 and line.forecast(150) == 100
    clock[0] += 25.0  # as forecast: 50 steps of half a second
    assert line.left(49) == pytest.approx(225.0)
    clock[0] += 30.0  # twice as long
    assert line.left(49) == pytest.approx(450.0)


def test_a_run_that_goes_on_counts_from_where_it_begins(clock: list[float]) -> None:
    line = TrainingLine(WAVES, {"joint": 2.0}, 150)
    clock[0] += 50.0
    assert line.left(174) == pytest.approx(50.0)


def test_where_nobody_watches_it_is_an_occasional_line(
    line: TrainingLine, clock: list[float], capsys: pytest.CaptureFixture
) -> None:
    for step in range(200):
        clock[0] += 1.0
        line.show(step)
    line.stop()
    lines = capsys.readouterr().out.splitlines()
    steps = [int(re.findall(r"step (\d+)", text)[0]) for text in lines]
    assert steps == list(range(10, 201, 10))
    assert all(len(text) < 80 for text in lines)


def test_a_short_run_says_little(line: TrainingLine, clock: list[float], capsys: pytest.CaptureFixture) -> None:
    for step in range(200):
        clock[0] += 0.01
        line.show(step)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_on_a_terminal_it_changes_in_place_and_leaves_nothing(
    line: TrainingLine, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = io.StringIO()
    monkeypatch.setattr(CONSOLE, "is_interactive", True)
    monkeypatch.setattr(CONSOLE, "_force_terminal", True)
    CONSOLE.file = seen
    try:
        for step in range(3):
            clock[0] += 1.0
            line.show(step)
        CONSOLE.print("A word between.")
        line.stop()
    finally:
        CONSOLE.file = None  # type: ignore[assignment]
    text = seen.getvalue()
    assert [f"step {i} of 200" in text for i in (1, 2, 3)] == [True] * 3
    assert "A word between.\n" in text
    assert text.endswith("\x1b[2K")  # erased
