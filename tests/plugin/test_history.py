"""Sessions of a run add up."""

from __future__ import annotations

import time

import pytest

from tda_nerfstudio.plugin.history import History


def test_steps_and_seconds_add_up_by_phase_over_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 10.5, 20.0, 22.0, 100.0, 101.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    first = History()
    for phase in ("latent", "joint"):
        first.begin_step()
        first.end_step(phase)
    second = History(**first.state())
    second.begin_step()
    second.end_step("joint")
    assert second.steps == {"latent": 1, "joint": 2}
    assert second.seconds == {"latent": 0.5, "joint": 3.0}


def test_every_session_adds_its_command_as_a_shell_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(["ns-train tda-ae"])
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/ns-train", "tda-ae", "--data", "my cars"])
    history.note_command()
    assert history.commands == ["ns-train tda-ae", "ns-train tda-ae --data 'my cars'"]
