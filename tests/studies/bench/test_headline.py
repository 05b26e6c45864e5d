"""Figures by hand, with verdicts that are not flattered."""

from __future__ import annotations

import pytest

from tda_nerfstudio.studies.bench.headline import compare, headline, qualities
from tda_nerfstudio.studies.bench.quality import Mark
from tda_nerfstudio.studies.bench.timing import Sample, Timing
from tda_nerfstudio.studies.bench.workshop import BenchSizes


def row(path: str, name: str, *seconds: float, images: float = 1, cpu: float = 1.0) -> Timing:
    return Timing(path, name, images, None, samples=[Sample(s, {}, s * cpu) for s in seconds])


def test_a_ratio_with_its_quartiles_and_its_verdict():
    figure = compare("it", row("plain", "a", 8, 9, 10), row("ours", "b", 2, 3, 2), at_least=4)
    assert (figure.low, figure.value, figure.high) == (3.5, 4, 4.5)
    assert figure.reached and figure.verdict == "reached" and figure.target == ">= 4"
    assert compare("it", row("plain", "a", 8), row("ours", "b", 2.1), at_least=4).verdict == "MISSED"
    assert compare("it", row("ours", "a", 1.2), row("ours", "b", 1), at_most=1.1).verdict == "MISSED"
    assert compare("it", row("ours", "a", 1.05), row("ours", "b", 1), at_most=1.1).verdict == "reached"
    assert compare("it", row("ours", "a", 1), row("ours", "b", 1)).verdict == "–"


def test_per_image_and_by_cpu_time():
    figure = compare("it", row("plain", "a", 6, cpu=0.5), row("ours", "b", 1.2, images=4), at_least=20, images=True)
    assert figure.value == pytest.approx(20) and figure.by_cpu == pytest.approx(10)


def test_a_skipped_row_has_no_verdict():
    skipped = Timing("plain", "decode-scene", 1, None, skipped="needs about 9 GB")
    figure = compare("it", skipped, row("ours", "b", 1), at_least=20)
    assert figure.value is None and figure.reached is None and figure.verdict == "plain: decode-scene was skipped"
    assert compare("it", None, row("ours", "b", 1)).verdict == "not run"


def test_the_table_of_the_headline_finds_its_rows_in_all_groups():
    steps = [row("ours", "encode-scene", 1), row("plain", "encode-scene", 5), row("ours", "decode-scene", 2, images=4)]
    steps += [
        row("ours", "encode-scene, whole images", 2),
        row("plain", "rgb, whole image", 20),
        row("rgb", "rgb, whole image", 5),
    ]
    view = [row("plain", "view, rgb", 30), row("ours", "view", 1)]
    view += [row("ours", "view, 2 x 2 rays", 1), row("ours", "view, one ray", 1)]
    scenes = [row("ours", "encode-scene, 10 scenes", 1), row("ours", "encode-scene, 1000 scenes", 1.3)]
    figures = headline({"steps": steps, "view": view, "scenes": scenes}, [], BenchSizes())
    targets = [(figure.value, figure.target, figure.verdict) for figure in figures if figure.target]
    assert targets == [
        (5, ">= 4", "reached"),
        (2.5, ">= 4", "MISSED"),
        (1.3, "<= 1.1", "MISSED"),
        (40, ">= 20", "reached"),
        (30, ">= 15", "reached"),
        (30, ">= 15", "reached"),
        (30, ">= 30", "reached"),
        (None, ">= 0", "not run"),
        (None, "<= 1", "not run"),
    ]


def test_never_lower_means_at_no_mark():
    marks = [Mark("ours", 10, 1, 20.0, 0.02), Mark("plain", 10, 3, 20.5, 0.03)]
    marks += [Mark("ours", 20, 2, 25.0, 0.01), Mark("plain", 20, 6, 22.0, 0.02)]
    lead, loss = qualities(marks)
    assert lead.value == pytest.approx(-0.5) and lead.verdict == "MISSED"
    assert loss.value == pytest.approx(0.5) and loss.verdict == "reached"
