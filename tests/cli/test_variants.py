"""Micro planes alone, base planes alone, one base plane: both stages train, stop, go on and open."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow
TRIPLANE = "--pipeline.model.triplane."
VARIANTS = {
    "micro": [f"{TRIPLANE}macro-channels", "0", f"{TRIPLANE}bases", "0"],
    "macro": [f"{TRIPLANE}micro-channels", "0"],
    "one": [f"{TRIPLANE}bases", "1", "--pipeline.schedule.start-visits", "8"],
}
STARTS = {"micro": "cold", "macro": "least-squares", "one": "network"}
NUMBERS = {"micro": (3 * 16 * 16 * 10, 0), "macro": (0, 3), "one": (3 * 16 * 16 * 10, 1)}
"""Own numbers of a scene: of its micro planes, and its weights."""


@pytest.fixture(scope="module")
def variants(commands, stage_one_words: list[str], tiny_atlas: Path, tmp_path_factory: pytest.TempPathFactory):
    """Train both stages of each variant; give results by variant and stage, stage 2's lines, and the output folder."""
    output = tmp_path_factory.mktemp("variants")
    ones = {
        name: [*stage_one_words, *options, "--output-dir", output, "--timestamp", name]
        for name, options in VARIANTS.items()
    }
    words = ["tda-scenes", "--data", tiny_atlas, "--output-dir", output, "--max-num-iterations", "12"]
    words += ["--vis", "tensorboard", "--pipeline.datamanager.dataparser.scenes", "4:6"]
    runs = output / "tiny/tda-ae"
    starts = {**STARTS, "refused": "least-squares"}
    twos = {
        f"{name} two": [*words, "--timestamp", name, "--pipeline.autoencoder", runs / name.replace("refused", "micro")]
        + ["--pipeline.schedule.start", start]
        for name, start in starts.items()
    }
    return commands("ns-train", ones | twos), twos, output / "tiny"


@pytest.mark.parametrize("name", VARIANTS)
def test_both_stages_train_and_open(variants: tuple, name: str) -> None:
    from tda_nerfstudio.plugin.open_run import open_run

    results, _, runs = variants
    for key, method, count in ((name, "tda-ae", 4), (f"{name} two", "tda-scenes", 2)):
        assert results[key].code == 0, results[key].text
        scenes = open_run(runs / method / name).model.field.scenes
        assert (scenes.micro.shape, scenes.weights.shape) == tuple((count, size) for size in NUMBERS[name])


def test_the_last_steps_of_stage_one_teach_the_starter(variants: tuple) -> None:
    assert "│ start " in variants[0]["one"].text and "│ start " not in variants[0]["micro"].text


def test_a_start_by_least_squares_moves_weights_first(variants: tuple) -> None:
    assert "│ least-squares" in variants[0]["macro two"].text
    assert "│ least-squares" not in variants[0]["micro two"].text


def test_least_squares_need_base_planes(variants: tuple) -> None:
    refused = variants[0]["refused two"]
    assert refused.code == 1
    assert "start least-squares fits the weights of base planes, and stage 1 at" in refused.flat
    assert "has none. Start from mean or cold, or train tda-ae with base planes." in refused.flat


def test_scenes_without_micro_planes_go_on_bit_by_bit(variants: tuple, train_and_cut, command) -> None:
    words, folder = [str(word) for word in variants[1]["macro two"]], variants[2] / "tda-scenes/macro"
    assert_goes_on(words, folder, 2, train_and_cut, command)


def test_a_run_that_is_cut_while_the_starter_learns_goes_on_bit_by_bit(
    variants: tuple, stage_one_words: list[str], train_and_cut, command
) -> None:
    words = [*stage_one_words, *VARIANTS["one"], "--output-dir", str(variants[2].parent), "--timestamp", "one"]
    assert_goes_on(words, variants[2] / "tda-ae/one", 10, train_and_cut, command)


def assert_goes_on(words: list[str], folder: Path, step: int, train_and_cut, command) -> None:
    """Expect a finished run to end alike when it is made again, cut in a step, and gone on with."""
    (path,) = (folder / "nerfstudio_models").iterdir()
    uncut = torch.load(path, weights_only=True)["pipeline"]
    shutil.rmtree(folder)
    assert train_and_cut(step, signal.SIGINT, *words).code == 130
    assert command("ns-train", *words).code == 0
    cut = torch.load(path, weights_only=True)["pipeline"]
    assert all(torch.equal(cut[key], value) for key, value in uncut.items())
