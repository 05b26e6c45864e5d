"""Which scenes and runs are shown, in which order."""

from __future__ import annotations

from tda_nerfstudio.studies.report.compare import Group
from tda_nerfstudio.studies.report.figures import MOST_SCENES, ScenePictures, figures, scenes_worst_first, spaces


def pictures_of(run: str, *scenes: str) -> dict[str, ScenePictures]:
    kinds = ("truth", "e", "r", "d")
    return {name: ScenePictures(*(f"{run}-{name}-{kind}" for kind in kinds)) for name in scenes}


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
    assert {space: row.name for space, row in spaces(rows).items()} == {"3d-aware": "a", "standard": "c"}


def test_latents_of_both_spaces_stand_below_the_truth_and_the_gallery_beside_it(make_row) -> None:
    rows = [make_row("a", {"bus": 22.0, "van": 21.0}), make_row("b", {"bus": 20.0, "van": 18.0}, space="standard")]
    shown = figures(Group("", rows), {name: pictures_of(name, "bus", "van") for name in "ab"})
    encoded, rendered, gallery = shown
    truth = [("a-van-truth", ""), ("a-bus-truth", "")]
    assert (encoded.title, rendered.title, gallery.title) == ("Latent spaces", "Latent scenes", "Gallery")
    assert encoded.scenes == rendered.scenes == gallery.scenes == ["van", "bus"]
    assert encoded.lines == {
        "truth": truth,
        "3D-aware latent": [("a-van-e", ""), ("a-bus-e", "")],
        "standard latent": [("b-van-e", ""), ("b-bus-e", "")],
    }
    assert rendered.lines == {
        "truth": truth,
        "3D-aware, rendered": [("a-van-r", ""), ("a-bus-r", "")],
        "3D-aware, decoded": [("a-van-d", "21.0 dB"), ("a-bus-d", "22.0 dB")],
        "standard, rendered": [("b-van-r", ""), ("b-bus-r", "")],
        "standard, decoded": [("b-van-d", "18.0 dB"), ("b-bus-d", "20.0 dB")],
    }
    assert gallery.lines == {
        "truth": truth,
        "a": [("a-van-d", "21.0 dB"), ("a-bus-d", "22.0 dB")],
        "b": [("b-van-d", "18.0 dB"), ("b-bus-d", "20.0 dB")],
    }
    assert all("Runs: a (3D-aware), b (standard)." in figure.about for figure in shown[:2])
    assert [figure.by_scene for figure in shown] == [False, False, True] and "could be shown" not in encoded.about


def test_a_space_of_colours_is_shown_and_needs_nothing_beside_it(make_row) -> None:
    group = Group("", [make_row("a", space="colours")])
    encoded, rendered, _ = figures(group, {"a": pictures_of("a", "bus", "van")})
    assert list(encoded.lines) == ["truth", "colour latent"]
    assert list(rendered.lines) == ["truth", "colour, rendered", "colour, decoded"]
    assert encoded.about.endswith("Runs: a (colour).")


def test_a_space_that_is_not_there_is_named_and_without_pictures_there_is_nothing(make_row) -> None:
    one = Group("", [make_row("a")])
    shown = figures(one, {"a": pictures_of("a", "bus", "van")})
    assert len(shown) == 3
    assert all("No standard run of these scenes could be shown beside." in figure.about for figure in shown[:2])
    assert figures(one, {}) == []
    (gallery,) = figures(Group("", [make_row("rgb", space="")]), {"rgb": pictures_of("rgb", "bus", "van")})
    assert gallery.title == "Gallery" and gallery.lines["rgb"][0] == ("rgb-bus-d", "20.0 dB")
