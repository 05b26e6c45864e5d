"""A run that was cut goes on as if it had not been."""

from __future__ import annotations

import json
import re
import shlex
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.slow


def printed(result) -> list[str]:
    """Find the command that a run which was cut says to go on with."""
    (line,) = (line for line in result.text.splitlines() if line.strip().startswith("ns-train "))
    return shlex.split(line)


@pytest.fixture(scope="module")
def cut_runs(train_and_cut, command, stage_one_words: list[str], tmp_path_factory: pytest.TempPathFactory) -> list:
    """Run stage_one's line in three pieces: SIGTERM in step 5, Ctrl-C in step 9, then as was printed, to the end.

    Gives each piece's result and the names of the checkpoints it left, and the run's folder.
    """
    output = tmp_path_factory.mktemp("resumed")
    models = output / "tiny/tda-ae/cut/nerfstudio_models"
    words = [*stage_one_words, "--output-dir", str(output), "--timestamp", "cut"]
    resume = [*words, "--load-dir", str(models)]
    pieces = []
    for cut in (
        lambda: train_and_cut(5, signal.SIGTERM, *words),
        lambda: train_and_cut(9, signal.SIGINT, *resume),
        lambda: command(*printed(pieces[1][0])),
    ):
        finished = (models.parent / "finished.json").exists()
        pieces.append((cut(), [path.name for path in models.iterdir()] if models.exists() else [], finished))
    return [*pieces, models.parent]


@pytest.mark.parametrize(("piece", "step", "code"), [(0, 5, 143), (1, 9, 130)])
def test_a_signal_saves_its_step_and_prints_how_to_go_on(cut_runs: list, piece: int, step: int, code: int) -> None:
    result, checkpoints, _ = cut_runs[piece]
    assert result.code == code, result.text
    assert checkpoints == [f"step-{step:09d}.ckpt"]
    assert "Traceback" not in result.text
    assert "Stopping after this step: saving a checkpoint. Press Ctrl-C again to leave without." in result.flat
    assert f"Saved step {step}. Go on with: ns-train tda-ae" in result.flat
    assert printed(result) == ["ns-train", "tda-ae", "--load-config", str(cut_runs[3] / "config.yml")]


def test_a_run_is_marked_as_finished_only_at_its_end(cut_runs: list) -> None:
    assert [finished for *_, finished in cut_runs[:3]] == [False, False, False]
    assert cut_runs[2][0].code == 0, cut_runs[2][0].text
    assert json.loads((cut_runs[3] / "finished.json").read_text())["steps"] == 12
    assert cut_runs[2][1] == ["step-000000011.ckpt"]


def test_a_resumed_run_forecasts_only_what_is_left(cut_runs: list) -> None:
    for piece, expected in ((0, ["4", "4", "4"]), (1, ["0", "2", "4"]), (2, ["0", "0", "2"])):
        assert re.findall(r"^│ [\w-]+ +│ +(\d+) │", cut_runs[piece][0].text, re.MULTILINE) == expected


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Walk nested dictionaries and lists."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, below in items:
            yield from leaves(below, f"{name}.{key}")
    else:
        yield name, value


def test_model_and_optimizers_of_a_run_in_pieces_equal_the_uncut_runs_bit_by_bit(cut_runs: list, stage_one) -> None:
    (path,) = (cut_runs[3] / "nerfstudio_models").iterdir()
    cut, uncut = (
        {name: value for name, value in leaves(state) if not name.startswith(".history")}
        for state in (torch.load(path, weights_only=True), stage_one.state)
    )
    assert cut.keys() == uncut.keys()
    assert sum(name.startswith(".optimizers") and torch.is_tensor(value) for name, value in uncut.items()) > 20
    for name, value in uncut.items():
        same = torch.equal(value, cut[name]) if torch.is_tensor(value) else value == cut[name]
        assert same, name


def test_metrics_of_a_run_in_pieces_equal_the_uncut_runs(cut_runs: list, stage_one) -> None:
    cut, uncut = json.loads((cut_runs[3] / "finished.json").read_text()), stage_one.manifest
    assert cut["metrics"]["scenes"] == uncut["metrics"]["scenes"]
    assert cut["model"] == uncut["model"]


def test_a_run_in_pieces_has_timed_each_step_once_and_kept_every_command(cut_runs: list, stage_one) -> None:
    cut = json.loads((cut_runs[3] / "finished.json").read_text())
    for manifest in (cut, stage_one.manifest):
        assert [(phase["name"], phase["timed_steps"]) for phase in manifest["phases"]] == [
            ("warm-up", 4),
            ("latent", 4),
            ("joint", 4),
        ]
        assert all(phase["seconds"] > 0 and phase["visits"] == 4 for phase in manifest["phases"])
    assert [command.split()[-2] for command in cut["commands"]] == ["--timestamp", "--load-dir", "--load-config"]
    assert len(stage_one.manifest["commands"]) == 1
