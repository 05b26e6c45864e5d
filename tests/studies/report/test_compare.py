"""Runs that cannot be compared are kept apart; what they share is compared scene by scene."""

from __future__ import annotations

import pytest

from tda_nerfstudio.studies.report.compare import group, label, pairs
from tda_nerfstudio.studies.rows import RunRow


def test_runs_of_the_same_views_are_ranked_together_best_first(make_row) -> None:
    rows = [make_row("low", {"bus": 10.0, "van": 12.0}), make_row("high"), make_row("broken", complete=False)]
    (one,) = group(rows)
    assert [row.name for row in one.rows] == ["high", "low"]
    assert one.title == "cars: 2 scenes (bus ... van), 10 held-out views each, 64 x 64"


@pytest.mark.parametrize(
    "other",
    [
        {"psnr": {"bus": 30.0}},
        {"views": "10:bb"},
        {"views": "9:aa"},
        {"size": (128, 128)},
        {"size": None},
        {"data": {"name": "vans", "image_size": [64, 64]}},
    ],
)
def test_other_scenes_views_size_or_data_are_another_group(make_row, other) -> None:
    groups = group([make_row("a"), make_row("b"), make_row("c", **other)])
    assert [[row.name for row in one.rows] for one in groups] == [["a", "b"], ["c"]]
    if other == {"size": None}:
        assert groups[1].title.endswith(", image size not recorded")


def test_labels_are_unique_with_as_little_as_it_takes() -> None:
    rows = [
        RunRow(name=name, space=space, output=output)
        for name, space, output in [
            ("one", "standard", "x"),
            ("ed", "standard", "x"),
            ("ed", "3d-aware", "x"),
            ("ed", "3d-aware", "y"),
            ("ed", "3d-aware", "y"),
            ("", "", ""),
        ]
    ]
    assert [row.label for row in label(rows)] == [
        "one",
        "ed · standard",
        "ed · 3d-aware · x",
        "ed · 3d-aware · y",
        "ed · 3d-aware · y (2)",
        "?",
    ]


def test_pairs_by_hand_within_a_group(make_row) -> None:
    a = make_row("a", {"bus": 20.0, "van": 22.0, "car": 25.0})
    b = make_row("b", {"bus": 19.0, "van": 22.5, "car": 22.0})
    (pair,) = pairs(group([b, a]))
    assert (pair.better, pair.other, pair.scenes, pair.wins) == ("a", "b", 3, 2)
    assert pair.mean == pytest.approx(3.5 / 3)
    assert pair.error == pytest.approx(1.0137938)  # stdev of 1, -0.5, 3 is 1.7559423, over the root of 3


def test_the_best_of_two_groups_are_paired_on_what_both_have(make_row) -> None:
    many = make_row("many", {"bus": 20.0, "van": 22.0, "car": 30.0})
    few = make_row("few", {"bus": 21.0, "van": 22.5})
    (pair,) = pairs(group([many, few]))
    assert (pair.better, pair.other, pair.scenes, pair.wins, pair.mean) == ("few", "many", 2, 2, 0.75)
    assert pairs(group([many, make_row("other", {"bus": 21.0, "van": 22.5}, views="10:bb")])) == []
    assert pairs(group([many, make_row("single", {"bus": 21.0})])) == []
