from __future__ import annotations

import json
import re

import pytest

from tda_nerfstudio.atlas.selection import select
from tda_nerfstudio.base.errors import TdaError

NAMES = ["7", "gazebo_bus", "gazebo_suv", "kenney_race", "kenney_suv", "toy_suv"]


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ([], [0, 1, 2, 3, 4, 5]),
        (["toy_suv", "gazebo_bus", "toy_suv"], [1, 5]),
        (["kenney_*"], [3, 4]),
        (["*_suv", "gazebo_?us"], [1, 2, 4, 5]),
        (["2"], [2]),
        (["7"], [0]),  # a name wins over an index
        (["-1"], [5]),
        (["0:2"], [0, 1]),
        (["4:"], [4, 5]),
        (["::2"], [0, 2, 4]),
        (["-2:"], [4, 5]),
        (["!gazebo_*"], [0, 3, 4, 5]),
        (["*_suv", "!toy_suv"], [2, 4]),
        (["!toy_suv", "3:"], [3, 4]),
    ],
)
def test_selectors(selectors, expected):
    assert select(NAMES, selectors) == [NAMES[index] for index in expected]


def test_order_is_that_of_the_names_but_ranges_count_sorted():
    assert select(["c", "a", "b"], ["0:2"]) == ["a", "b"]
    assert select(["c", "a", "b"], ["a", "c"]) == ["c", "a"]


def test_split_files(tmp_path):
    file = tmp_path / "splits.json"
    file.write_text(json.dumps({"one": ["toy_suv", "gazebo_bus"], "two": ["kenney_race"]}))
    assert select(NAMES, [str(file)], "one") == ["gazebo_bus", "toy_suv"]
    assert select(NAMES, [f"{file}#two"], "one") == ["kenney_race"]
    assert select(NAMES, [f"!{file}#one", "3:"]) == ["kenney_race", "kenney_suv"]
    file.write_text(json.dumps(["7"]))
    assert select(NAMES, [str(file)], "one") == ["7"]


@pytest.mark.parametrize(
    ("content", "selector", "message"),
    [
        (None, "{}", "does not exist. Check the path"),
        ("{", "{}", "is not valid JSON"),
        ('{"tda-ae": ["7"], "b": []}', "{}#tda-ea", "has no key 'tda-ea'. Did you mean 'tda-ae'? Its keys: tda-ae, b."),
        ('{"tda-ae": ["7"], "b": []}', "{}", "holds several lists. Choose one with"),
        ('{"a": []}', "{}#a", "splits.json#a must be a list of scene names, with at least one"),
        ('["7", 3]', "{}", "must be a list of scene names"),
        ('["toy_svu"]', "{}", "names the unknown scene 'toy_svu'. Did you mean 'toy_suv'? There are 6."),
    ],
)
def test_bad_split_files(tmp_path, content, selector, message):
    file = tmp_path / "splits.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(TdaError, match=r"splits\.json.*" + re.escape(message.removeprefix("splits.json"))):
        select(NAMES, [selector.format(file)])


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("kenny_race", "Unknown scene 'kenny_race'. Did you mean 'kenney_race'? There are 6 scenes."),
        ("!kenny_race", "Did you mean 'kenney_race'?"),
        ("bus_*", "Pattern 'bus_*' matches no scene. There are 6 scenes, the first is '7'."),
        ("6", "Index '6' matches no scene. There are 6 scenes, numbered from 0."),
        ("9:", "Index '9:' matches no scene."),
        ("::0", "Range '::0' has step 0."),
        ("!*", "leaves no scene of 6"),
    ],
)
def test_what_matches_nothing_is_an_error(selector, message):
    with pytest.raises(TdaError, match=re.escape(message)):
        select(NAMES, [selector])


def test_messages_speak_of_what_is_selected():
    with pytest.raises(TdaError, match="Unknown view 'zzz'. There are 6 views."):
        select(NAMES, ["zzz"], what="view")
