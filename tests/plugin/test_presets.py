"""Every preset names methods, options and scores that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies.preset import read_preset, require_known_options
from tda_nerfstudio.studies.run_preset import open_study, train_command

CONFIGS = Path(__file__).parents[2] / "configs"
PRESETS = sorted(CONFIGS.rglob("*.yml"))
presets = pytest.mark.parametrize("path", PRESETS, ids=lambda path: str(path.relative_to(CONFIGS)))


def test_there_is_a_preset_for_every_question() -> None:
    assert {str(path.relative_to(CONFIGS)) for path in PRESETS} >= {
        "demo.yml",
        "cars-cpu.yml",
        "cars-rgb.yml",
        "cars-paper.yml",
        "ablations/shared-parts.yml",
        "ablations/freezing.yml",
        "ablations/start.yml",
        "ablations/rays.yml",
        "ablations/space.yml",
    }


@presets
def test_every_option_of_a_preset_exists_in_its_method(path: Path) -> None:
    require_known_options(read_preset(path))


@presets
def test_ns_train_understands_every_line_of_a_preset(path: Path, tmp_path: Path) -> None:
    import tyro
    from nerfstudio.configs.method_configs import AnnotatedBaseConfigUnion

    study = open_study(read_preset(path), tmp_path, tmp_path / "atlas", None)
    for run in study.preset.runs:
        words = train_command(run, study)
        config = tyro.cli(AnnotatedBaseConfigUnion, args=words[1:])  # exits on anything it does not know
        assert config.method_name == run.method
        assert config.pipeline.autoencoder == (run.source and study.folder(run.source))
        for key, value in run.options.items():
            found = config
            for word in key.replace("-", "_").split("."):
                found = found[word] if isinstance(found, dict) else getattr(found, word)
            wanted = type(found)(value) if isinstance(found, tuple | Path) else value
            assert found == wanted, key


@presets
def test_presets_are_short_and_say_what_they_are(path: Path) -> None:
    preset = read_preset(path)
    assert len(path.read_text().splitlines()) <= 30
    assert preset.about


def test_the_demo_says_what_it_gives() -> None:
    assert read_preset(CONFIGS / "demo.yml").runs[-1].expects.keys() == {"psnr"}


def test_stages_one_of_the_ablations_are_shared_where_their_names_are() -> None:
    runs = [run for path in PRESETS if path.parent.name == "ablations" for run in read_preset(path).runs]
    shared = [run.settings() for run in runs if run.name == "stage1"]
    assert len(shared) == 3 and all(settings == shared[0] for settings in shared)
    others = [run.name for run in runs if run.name != "stage1"]
    assert len(set(others)) == len(others)  # so that all of them fit into one --out


@pytest.mark.parametrize(
    ("run", "error"),
    [
        ("{method: tda-ae, set: {pipeline.schedule.joint-visit: 3}}", "Did you mean 'joint-visits'?"),
        ("{method: tda-ae, set: {machine.seed.x: 3}}", "unknown key 'x' in the options of tda-ae ('machine.seed.x',"),
        ("{method: tda-as}", "run 'mine': no method tda-as. Did you mean 'tda-ae'?"),
        (
            "{method: tda-ae, set: {pipeline.model: 3}}",
            "'pipeline.model', run 'mine', is a group of options, no value.",
        ),
    ],
)
def test_an_unknown_option_is_named_before_anything_runs(tmp_path: Path, run: str, error: str) -> None:
    path = tmp_path / "mine.yml"
    path.write_text(f"runs: {{mine: {run}}}")
    with pytest.raises(TdaError) as caught:
        require_known_options(read_preset(path))
    assert error in str(caught.value)
    assert str(path) in str(caught.value)
