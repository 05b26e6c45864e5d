"""Every preset names methods, options and scores that exist."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tda_nerfstudio.core.errors import TdaError
from tda_nerfstudio.studies.recipe import Preset, Run, as_arguments, read_preset, run_preset, train_command

PRESETS = sorted((Path(__file__).parents[2] / "configs").rglob("*.yml"))
SCORES = {
    "psnr",
    "ssim",
    "ceiling_psnr",
    "ceiling_ssim",
    "latent_high_frequencies",
    "march_seconds_per_view",
    "decode_seconds_per_view",
    "seconds",
}


def options(preset: Preset) -> Iterator[tuple[Run, str]]:
    return ((run, key) for run in preset.runs for key in run.options)


def look_up(config: Any, dotted: str) -> Any:
    """Follow a command-line name through the dataclasses of a configuration."""
    for word in dotted.replace("-", "_").split("."):
        assert dataclasses.is_dataclass(config), f"{dotted}: nothing below {config!r}"
        assert word in {field.name for field in dataclasses.fields(config)}, f"{dotted}: no '{word}'"
        config = getattr(config, word)
    return config


def test_there_are_presets() -> None:
    assert "demo.yml" in {path.name for path in PRESETS}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_every_option_of_a_preset_exists_in_its_method(path: Path) -> None:
    from nerfstudio.configs.method_configs import all_methods

    for run, key in options(read_preset(path)):
        value = look_up(all_methods[run.method], key)
        assert not dataclasses.is_dataclass(value), f"{key} is a group of options"


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_ns_train_understands_every_line_of_a_preset(path: Path, tmp_path: Path) -> None:
    import tyro
    from nerfstudio.configs.method_configs import AnnotatedBaseConfigUnion

    for run in read_preset(path).runs:
        words = train_command(run, tmp_path / "atlas", tmp_path)
        config = tyro.cli(AnnotatedBaseConfigUnion, args=words[1:])  # exits on anything it does not know
        assert config.method_name == run.method
        for key, value in run.options.items():
            found = look_up(config, key)
            assert found == (tuple(value) if isinstance(value, list) else value), key


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_presets_are_short_and_say_what_they_are_and_expect(path: Path) -> None:
    preset = read_preset(path)
    assert len(path.read_text().splitlines()) <= 30
    assert preset.about
    assert any(run.expects for run in preset.runs)
    for run in preset.runs:
        assert run.expects.keys() <= SCORES
        assert all(low < high for low, high in run.expects.values())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("runs: {a: {method: tda-ae, sett: {}}}", "unknown key 'sett' in run 'a'. Did you mean 'set'?"),
        ("datta: x\nruns: {a: {method: tda-ae}}", "unknown key 'datta' in the preset. Did you mean 'data'?"),
        ("runs: {a: {set: {}}}", "run 'a' names no method (tda-ae, tda-scenes or tda-rgb)."),
        ("about: nothing", "needs a `runs:` section that names at least one run."),
        ("runs: [", "is not YAML: "),
    ],
)
def test_mistakes_in_a_preset_are_named(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "mine.yml"
    path.write_text(text)
    with pytest.raises(TdaError) as caught:
        read_preset(path)
    assert error in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_preset_is_named(tmp_path: Path) -> None:
    with pytest.raises(TdaError, match="no.yml does not exist. Give a YAML file such as configs/demo.yml."):
        read_preset(tmp_path / "no.yml")


def test_options_of_a_run_win_over_those_of_the_preset_and_lists_become_several_words(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("set: {a: 1, b: [x, y]}\nruns: {r: {method: tda-ae, set: {a: 2}}}")
    (run,) = read_preset(path).runs
    assert as_arguments(run.options) == ["--a", "2", "--b", "x", "y"]


def test_a_finished_run_is_not_trained_again(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("data: cars\nruns: {a: {method: tda-ae}, b: {method: tda-scenes}}")
    (tmp_path / "out/runs/cars/tda-ae/a").mkdir(parents=True)
    (tmp_path / "out/runs/cars/tda-ae/a/finished.json").touch()
    run_preset(path, tmp_path / "out", dry=True)
    done, line = capsys.readouterr().out.splitlines()
    assert done == f"# a: already finished in {tmp_path}/out/runs/cars/tda-ae/a"
    assert line.startswith(
        f"$ ns-train tda-scenes --data {tmp_path}/cars --output-dir {tmp_path}/out/runs --timestamp b"
    )


def test_a_preset_without_data_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("runs: {a: {method: tda-ae}}")
    with pytest.raises(TdaError, match="names neither `data:` nor `atlas:`. Give one of them."):
        run_preset(path, tmp_path, dry=True)
