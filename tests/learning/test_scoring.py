"""Scores by scene and view, and their means."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from tda_nerfstudio.core.metrics import METRICS, Metric, stored_scores
from tda_nerfstudio.core.showing import reconstruct
from tda_nerfstudio.learning import scoring
from tda_nerfstudio.learning.scoring import announced, merge, quality, scalars
from tda_nerfstudio.plugin.cameras import as_cameras
from tda_nerfstudio.studies.preset import read_preset
from tda_nerfstudio.studies.report.compare import Group
from tda_nerfstudio.studies.report.table import legend, run_table
from tda_nerfstudio.studies.run_row import row_of

SCORES = ("psnr", "ssim", "sharpness", "ceiling_psnr", "ceiling_ssim", "ceiling_sharpness")


@pytest.fixture(autouse=True)
def no_weights_of_lpips(monkeypatch: pytest.MonkeyPatch) -> None:
    _replace_lpips(monkeypatch, lambda images, truth: None)


def _replace_lpips(monkeypatch: pytest.MonkeyPatch, compute) -> None:
    monkeypatch.setitem(METRICS, "lpips", replace(METRICS["lpips"], compute=compute))


def evaluate(pipeline, folder: Path | None = None) -> dict:
    model = pipeline.eval().model
    return scoring.evaluate(
        model.field.scenes, model.autoencoder, pipeline.datamanager.views, model.config.sampling, folder
    )


@pytest.fixture
def metrics(pipeline) -> dict:
    return evaluate(pipeline)


def test_every_scene_and_view_is_scored_by_name(metrics: dict) -> None:
    assert list(metrics["scenes"]) == [f"vehicle_000{i}" for i in range(4)]
    for scene in metrics["scenes"].values():
        assert set(scene) == {*SCORES, "views"}
        assert list(scene["views"]) == ["r_000", "r_001"]
        assert all(set(view) == set(SCORES) for view in scene["views"].values())
    assert json.loads(json.dumps(metrics)) == metrics


def test_means_are_over_images(metrics: dict) -> None:
    views = [view for scene in metrics["scenes"].values() for view in scene["views"].values()]
    assert len(views) == 8
    for key in SCORES:
        assert metrics[key] == pytest.approx(sum(view[key] for view in views) / 8)
        for scene in metrics["scenes"].values():
            assert scene[key] == pytest.approx(sum(view[key] for view in scene["views"].values()) / 2)


def test_psnr_is_that_of_the_clamped_decoding_of_each_view(pipeline, metrics: dict) -> None:
    model, (_, view, truth) = pipeline.model, list(pipeline.datamanager.views.held_out_views())[2]
    for i, name in enumerate(("r_000", "r_001")):
        camera = as_cameras(replace(view[i : i + 1], width=32, height=32), torch.tensor([2]))
        image = model.get_outputs_for_camera(camera)["rgb"].permute(2, 0, 1)
        expected = -10 * math.log10(float((image - truth[i]).square().mean()))
        assert metrics["scenes"]["vehicle_0002"]["views"][name]["psnr"] == pytest.approx(expected, abs=1e-4)
    ceiling = -10 * torch.log10((reconstruct(model.autoencoder, truth)[1] - truth).square().mean((1, 2, 3)))
    assert metrics["scenes"]["vehicle_0002"]["ceiling_psnr"] == pytest.approx(float(ceiling.mean()), abs=1e-4)


def test_lpips_is_a_score_where_its_weights_are_at_hand(pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    _replace_lpips(monkeypatch, lambda images, truth: torch.full((len(images),), 0.25))
    metrics = evaluate(pipeline)
    assert metrics["lpips"] == metrics["scenes"]["vehicle_0001"]["views"]["r_001"]["lpips"] == 0.25


def test_a_new_metric_is_in_results_rows_records_presets_and_reports(pipeline, tmp_path: Path, monkeypatch) -> None:
    def brightness(images, truth):
        return images.mean((1, 2, 3)) - truth.mean((1, 2, 3)) + 7

    own = Metric("brightness", "brightness", "cd", 1, brightness, "Brightness: 7 is right.", stored=("brightness",))
    monkeypatch.setitem(METRICS, "brightness", own)
    found = evaluate(pipeline)
    for name in ("brightness", "ceiling_brightness"):
        assert 6 < found["scenes"]["vehicle_0001"]["views"]["r_001"][name] < 8 and 6 < found[name] < 8
    (tmp_path / "finished.json").write_text(json.dumps({"method": "tda-ae", "metrics": found}))
    row = row_of(tmp_path)
    assert row.metrics["brightness"] == pytest.approx(found["brightness"], rel=1e-4)
    assert len(row.scenes["brightness"]) == len(row.scenes["ceiling_brightness"]) == 4
    table = run_table(Group("", [row]))
    assert dict(zip(table.heads, table.lines[0], strict=True))["brightness cd"] == f"{found['brightness']:.1f}"
    assert "Brightness: 7 is right." in legend()
    assert stored_scores() == ["psnr", "ssim", "sharpness", "brightness", "ceiling_psnr"]
    (tmp_path / "mine.yml").write_text("runs: {a: {method: tda-ae, expects: {brightness: [6, 8]}}}")
    assert read_preset(tmp_path / "mine.yml").runs[0].expects == {"brightness": [6, 8]}


def test_scores_are_deterministic_and_do_not_read_the_active_scene(pipeline, metrics: dict) -> None:
    pipeline.select_scene("vehicle_0003")
    torch.manual_seed(3)
    again = evaluate(pipeline)
    timed = {"seconds", "march_seconds_per_view", "decode_seconds_per_view"}
    assert {k: v for k, v in again.items() if k not in timed} == {k: v for k, v in metrics.items() if k not in timed}


def test_latent_statistics_name_every_channel(pipeline, metrics: dict) -> None:
    latents = torch.cat(
        [reconstruct(pipeline.model.autoencoder, truth)[0] for *_, truth in pipeline.datamanager.views.held_out_views()]
    )
    assert metrics["latent_std"] == [round(float(channel.std()), 4) for channel in latents.transpose(0, 1)]
    assert 0 < metrics["latent_high_frequencies"] < 1
    assert metrics["left_out"] == {}


def test_truth_and_decoding_are_written_side_by_side(pipeline, tmp_path: Path) -> None:
    evaluate(pipeline, tmp_path)
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert written == [f"vehicle_000{s}/r_00{v}.png" for s in range(4) for v in range(2)]
    assert Image.open(tmp_path / written[0]).size == (64, 32)


def test_while_training_plain_numbers_alone_are_logged(pipeline, metrics: dict) -> None:
    logged = pipeline.get_average_eval_image_metrics(step=3)
    assert set(logged) == {
        *SCORES,
        "latent_high_frequencies",
        "march_seconds_per_view",
        "decode_seconds_per_view",
        "seconds",
    }
    assert all(type(value) is float for value in logged.values())
    assert scalars({"a": 1, "b": [2], "c": "d"}) == {"a": 1.0}


def scored(name: str, views: int, **scores) -> dict:
    return scores | {"left_out": {}, "scenes": {name: {"views": dict.fromkeys(map(str, range(views)))}}}


def test_waves_are_weighed_by_their_views_and_seconds_added_up() -> None:
    one, two = scored("a", 1, psnr=20.0, latent_std=[1.0, 2.0], seconds=3.0), scored("b", 3, psnr=24.0, seconds=4.0)
    merged = merge([one, two | {"latent_std": [2.0, 2.0], "left_out": {"c": "It is broken."}}])
    assert (merged["psnr"], merged["latent_std"], merged["seconds"]) == (23.0, [1.75, 2.0], 7.0)
    assert set(merged["scenes"]) == {"a", "b"} and merged["left_out"] == {"c": "It is broken."}


def test_a_score_that_one_wave_has_alone_is_the_mean_over_those_that_have_it() -> None:
    waves = [scored("a", 1, psnr=20.0), scored("b", 3, psnr=24.0, lpips=0.5), scored("c", 1, psnr=24.0, lpips=0.1)]
    for given in (waves, waves[::-1]):
        merged = merge([*given, {"left_out": {"d": "No views."}, "scenes": {}}])  # a wave without a single score
        assert merged["psnr"] == pytest.approx(23.2) and merged["lpips"] == pytest.approx(0.4)
    assert merge([{"left_out": {}, "scenes": {}}] * 2) == {"left_out": {}, "scenes": {}}


def test_no_psnr_has_its_true_reason() -> None:
    assert quality({"scenes": {}, "left_out": {}}) == "no held-out views, so no PSNR"
    assert quality({"scenes": {}, "left_out": {"a": "It diverged.", "b": "x"}}) == "no PSNR: 2 scenes are left out"
    assert quality({"scenes": {}, "left_out": {"a": "x"}}) == "no PSNR: 1 scene is left out"


def test_ns_eval_sums_up_what_it_measured(capsys: pytest.CaptureFixture) -> None:
    scenes = {
        "car[red]": {"psnr": 21.5, "views": {"a": {}, "b": {}}},
        "bus": {"psnr": 19.25, "views": {"a": {}}},
    }
    away = "It is of another wave."
    left_out = {"van": "It diverged."} | dict.fromkeys(("a", "b", "c", "d", "e"), away)
    metrics = {"psnr": 20.75, "ssim": 0.9, "ceiling_psnr": 30.0, "scenes": scenes, "left_out": left_out}
    assert announced(metrics) is metrics
    assert capsys.readouterr().out.splitlines() == [
        "PSNR 20.75 dB, SSIM 0.900 on held-out views; the autoencoder alone 30.00 dB.",
        "2 scenes, 3 views; the worst scene is bus, with 19.25 dB.",
        "Left out: van. It diverged.",
        "Left out: a, b, c and 2 more. Each is of another wave.",
    ]


def test_names_with_brackets_survive_the_terminal(capsys: pytest.CaptureFixture) -> None:
    scenes = {"car[red]": {"psnr": 21.5, "views": {"a": {}}}}
    announced({"psnr": 21.5, "ssim": 0.9, "ceiling_psnr": 99.5, "scenes": scenes, "left_out": {}})
    assert "the worst scene is car[red], with 21.50 dB." in capsys.readouterr().out
