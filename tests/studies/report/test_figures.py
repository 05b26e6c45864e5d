"""Which scenes and runs are shown, in which order."""

from __future__ import annotations

import re

from tda_nerfstudio.studies.report.compare import Group
from tda_nerfstudio.studies.report.figures import MOST_SCENES, Shot, figures, scenes_worst_first, spaces


def shots_of(run: str, *scenes: str) -> dict[str, Shot]:
    return {name: Shot("r_005", *(f"{run}-{name}-{kind}" for kind in ("truth", "e", "r", "d"))) for name in scenes}


def test_scenes_come_worst_first_by_the_mean_of_all_runs(make_row) -> None:
    rows = [
        make_row("a", {"bus": 30.0, "van": 10.0, "car": 20.0}),
        make_row("b", {"bus": 5.0, "van": 26.0, "car": 4.0}),
    ]
    assert scenes_worst_first(Group("", rows)) == ["car", "bus", "van"]
    many = make_row("c", {f"s{i:03d}": float(100 - i) for i in range(100)})
    assert scenes_worst_first(Group("", [many])) == [f"s{i:03d}" for i in range(99, 99 - MOST_SCENES, -1)]


def test_the_best_run_of_each_space_stands_for_it(make_row) -> None:
    rows = [make_row(n, space=s) for n, s in (("a", "3d-aware"), ("b", "3d-aware"), ("c", "standard"), ("d", ""))]
    assert {space: row["name"] for space, row in spaces(Group("", rows)).items()} == {"3d-aware": "a", "standard": "c"}


def test_latents_of_both_spaces_stand_below_the_truth_and_the_gallery_beside_it(make_row) -> None:
    rows = [make_row("a", {"bus": 22.0, "v_an": 21.0}), make_row("b", {"bus": 20.0, "v_an": 18.0}, space="standard")]
    page = figures(Group("", rows), {name: shots_of(name, "bus", "v_an") for name in "ab"})
    spaces_, scenes, gallery = re.split("<h3>Latent scenes|<h3>Gallery", page)
    assert re.findall('src="([^"]*)"', spaces_) == [
        *("a-v_an-truth", "a-bus-truth"),
        *("a-v_an-e", "a-bus-e"),
        *("b-v_an-e", "b-bus-e"),
    ]
    assert "Runs: a (3D-aware), b (standard)." in spaces_ and "Runs: a (3D-aware), b (standard)." in scenes
    assert "3D-aware latent" in spaces_ and "standard latent" in spaces_ and "v_<wbr>an" in spaces_
    assert re.findall('src="b-([^"]*)"', scenes) == ["v_an-r", "bus-r", "v_an-d", "bus-d"]
    assert re.findall('src="([^"]*)"', gallery) == [
        *("a-v_an-truth", "a-v_an-d", "b-v_an-d"),
        *("a-bus-truth", "a-bus-d", "b-bus-d"),
    ]
    assert re.findall(r"([\d.]+) dB<", gallery) == ["21.0", "18.0", "22.0", "20.0"]


def test_a_space_that_is_not_there_is_named_and_without_pictures_there_is_nothing(make_row) -> None:
    one = Group("", [make_row("a")])
    assert "No standard run of these scenes could be shown beside." in figures(one, {"a": shots_of("a", "bus", "van")})
    assert figures(one, {}) == ""
