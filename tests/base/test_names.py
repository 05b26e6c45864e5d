from __future__ import annotations

import pytest

from tda_nerfstudio.base.names import LONGEST_NAME, NAMES, is_safe


@pytest.mark.parametrize("name", ["a", "car [v2]", "größe", "o'neil & co 100%", "x" * LONGEST_NAME, "a.b", "-", "*"])
def test_names_that_a_file_can_have(name):
    assert is_safe(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a\\b", "10:15:30", "a\nb", "\udcff", "x" * (LONGEST_NAME + 1), None, 7]
)
def test_names_that_no_file_should_have(name):
    assert not is_safe(name)


def test_the_rule_in_words_names_the_limit():
    assert NAMES == "1 to 200 printable characters without / \\ : and no dot in front"
