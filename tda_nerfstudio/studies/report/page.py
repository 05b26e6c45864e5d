"""Write the report: a page with all that is known of some runs, which opens offline, and a Markdown table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.checks import require_output
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.base.templates import fill_in
from tda_nerfstudio.studies.outputs import PAGES
from tda_nerfstudio.studies.report import charts, plots
from tda_nerfstudio.studies.report.compare import Group, group, label, pairs
from tda_nerfstudio.studies.report.figures import MOST_RUNS, RunPictures, figures, scenes_worst_first, spaces
from tda_nerfstudio.studies.report.table import legend, pair_table, run_table
from tda_nerfstudio.studies.rows import RunRow, find_runs
from tda_nerfstudio.studies.run_row import read_row

PACKAGE = "tda_nerfstudio.studies"
"""Where the templates are."""


def write_report(paths: Sequence[Path], output: Path) -> tuple[Path, Path]:
    """Write the page and the Markdown table of runs, and return the paths of both.

    `paths` are run folders, row files, or folders of either. Raises TdaError, and writes nothing, if one of them does
    not exist or if they lead to no run.
    """
    require_output(output, PAGES)
    found = find_runs(paths)
    if not found:
        raise TdaError("No run was named. Give run folders, row files, or folders of either.")
    rows = [read_row(path) for path in found]
    if not any(row.method or row.complete for row in rows):
        raise TdaError(f"No run was found: {rows[0].problems[0]} Give run folders, row files, or folders of either.")
    rows = label(rows)
    groups = group(rows)
    pictures, left_out = _take(groups, {row.label: path for row, path in zip(rows, found, strict=True)})
    content, markdown = _content(rows, groups, pictures, left_out), output.with_suffix(".md")
    write_text(output, fill_in(PACKAGE, "page.html.j2", **content))
    write_text(markdown, fill_in(PACKAGE, "report.md.j2", **content))
    return output, markdown


def _take(groups: Sequence[Group], paths: dict[str, Path]) -> tuple[RunPictures, dict[str, str]]:
    """Take pictures of the best runs of each group. Returns them, and the reason for each run that has none."""
    pictures, left_out, wanted = {}, {}, []
    for one in groups:
        spaced = [row.label for row in spaces(one.rows).values()]
        for i, row in enumerate(one.rows):
            if i < MOST_RUNS or row.label in spaced:
                wanted.append((row, scenes_worst_first(one)))
            else:
                left_out[row.label] = f"only the best {MOST_RUNS} of a group are shown"
    for row, scenes in track(wanted, "Taking pictures"):
        path = paths[row.label]
        if not path.is_dir():
            left_out[row.label] = "made from its row alone, without its checkpoint"
        elif moved := [problem for problem in row.problems if "pictures" in problem]:
            left_out[row.label] = " ".join(moved)
        else:
            from tda_nerfstudio.studies.report.run_pictures import take_pictures

            try:
                pictures[row.label] = take_pictures(path, scenes)
            except Exception as error:  # a damaged run can fail with any error
                reason = (str(error).replace(f"{path.parent}/", "").splitlines() or [""])[0][:300]
                kind = "" if isinstance(error, TdaError) else f"{type(error).__name__}: "
                left_out[row.label] = f"cannot be opened ({kind}{reason})"
    return pictures, left_out


def _content(
    rows: Sequence[RunRow], groups: Sequence[Group], pictures: RunPictures, left_out: dict[str, str]
) -> dict[str, Any]:
    """Collect all that the templates show."""
    colours = {row.label: i for i, row in enumerate(rows)}
    parts = [
        {
            "title": one.title,
            "table": run_table(one),
            "charts": [chart for chart in (plots.per_scene(one, colours), plots.over_time(one)) if chart],
            "figures": figures(one, pictures),
        }
        for one in groups
    ]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "legend": legend(),
        "rows": rows,
        "groups": parts,
        "pairs": pair_table(pairs(groups)),
        "costs": plots.cost_charts(rows, colours),
        "losses": plots.loss_charts(rows),
        "left_out": left_out,
        "problems": _problems(rows),
        "absent": [row.label for row in rows if not row.complete],
        "colours": charts.COLOURS,
        "text": charts.TEXT,
        "rule": charts.RULE,
    }


def _problems(rows: Sequence[RunRow]) -> dict[str, list[str]]:
    """List every problem with the labels of the runs that have it."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for text in row.problems:
            found.setdefault(text, []).append(row.label)
    return found
