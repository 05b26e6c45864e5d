"""The page: everything that is known of some runs in one file that opens offline, and a Markdown table beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from tda_nerfstudio.base.atomic import write_text
from tda_nerfstudio.base.errors import TdaError, counted
from tda_nerfstudio.base.progress import track
from tda_nerfstudio.studies.outputs import PAGES, require_output
from tda_nerfstudio.studies.report import table
from tda_nerfstudio.studies.report.compare import Group, group, label, pairs
from tda_nerfstudio.studies.report.figures import MOST_RUNS, Shots, figures, scenes_worst_first, spaces
from tda_nerfstudio.studies.report.plots import cost_curves, loss_curves, per_scene
from tda_nerfstudio.studies.report.style import STYLE
from tda_nerfstudio.studies.rows import find_runs, read_row

Row = dict[str, Any]


def write_report(paths: Sequence[Path], output: Path) -> tuple[Path, Path]:
    """Write the page and its Markdown table from run folders, row files or folders of them; return both.

    Raises TdaError, and writes nothing, when a path does not exist or paths lead to no run at all.
    """
    require_output(output, PAGES)
    found = find_runs(paths)
    if not found:
        raise TdaError("No run was named. Give run folders, row files, or folders of either.")
    rows = [read_row(path) for path in found]
    if not any(row["method"] or row["complete"] for row in rows):
        raise TdaError(f"No run was found: {rows[0]['problems'][0]} Give run folders, row files, or folders of either.")
    rows = label(rows)
    groups = group(rows)
    shots, left_out = _take(groups, {row["label"]: path for row, path in zip(rows, found, strict=True)})
    markdown = output.with_suffix(".md")
    write_text(output, _page(rows, groups, shots, left_out))
    write_text(markdown, _markdown(rows, groups))
    return output, markdown


def _take(groups: Sequence[Group], paths: dict[str, Path]) -> tuple[Shots, dict[str, str]]:
    """Take pictures of the best runs of each group; say why of those that have none."""
    shots, left_out, wanted = {}, {}, []
    for one in groups:
        spaced = [row["label"] for row in spaces(one).values()]
        for i, row in enumerate(one.rows):
            if i < MOST_RUNS or row["label"] in spaced:
                wanted.append((row, scenes_worst_first(one)))
            else:
                left_out[row["label"]] = f"only the best {MOST_RUNS} of a group are shown"
    for row, scenes in track(wanted, "Taking pictures"):
        path = paths[row["label"]]
        if not path.is_dir():
            left_out[row["label"]] = "made from its row alone, without its checkpoint"
        elif moved := [problem for problem in row["problems"] if "pictures" in problem]:
            left_out[row["label"]] = " ".join(moved)
        else:
            shots |= _shots_of(row["label"], path, scenes, left_out)
    return shots, left_out


def _shots_of(name: str, path: Path, scenes: list[str], left_out: dict[str, str]) -> Shots:
    from tda_nerfstudio.studies.report.shots import take_shots

    try:
        return {name: take_shots(path, scenes)}
    except Exception as error:  # runs of other versions fail to open in ways of their own
        reason = (str(error).splitlines() or [""])[0][:300]
        left_out[name] = f"cannot be opened by this version ({type(error).__name__}: {reason})"
        return {}


def _page(rows: Sequence[Row], groups: Sequence[Group], shots: Shots, left_out: dict[str, str]) -> str:
    colours = {row["label"]: i for i, row in enumerate(rows)}
    parts = [f'<p class="note">{time.strftime("%Y-%m-%d")}, {counted(len(rows), "run")}. {escape(table.legend())}</p>']
    if len(groups) > 1:
        parts.append(
            f'<p class="warn">These runs fall into {len(groups)} groups that cannot be compared: other data, scenes,'
            " views or image size. Never read one table's numbers against another's.</p>"
        )
    for one in groups:
        parts += [f"<section><h2>{escape(one.title)}</h2>", table.as_html(list(table.columns()), table.lines(one))]
        parts += [per_scene(one, colours), figures(one, shots), "</section>"]
    parts += [_paired(groups), cost_curves(rows, colours), loss_curves(rows)]
    parts += [_left_out(left_out), _notes(rows), _commands(rows)]
    head = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = f"<main><h1>Latent scenes: a report</h1>{''.join(parts)}</main>"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>tda report</title>'
        f"{head}<style>{STYLE}</style></head><body>{body}</body></html>"
    )


def _paired(groups: Sequence[Group]) -> str:
    found = pairs(groups)
    if not found:
        return ""
    about = "Mean gap in PSNR ± its standard error, on the same views of those scenes that both runs have."
    content = table.as_html(table.PAIR_COLUMNS, table.pair_lines(found))
    return f'<section><h2>Paired, scene by scene</h2><p class="note">{about}</p>{content}</section>'


def _left_out(left_out: dict[str, str]) -> str:
    if not left_out:
        return ""
    items = "".join(f"<li><b>{escape(name)}</b>: {escape(reason)}</li>" for name, reason in left_out.items())
    return (
        "<section><h2>Pictures that are left out</h2><p class=note>Latent spaces, latent scenes and gallery need a"
        f" run's folder with its checkpoint, and its data.</p><ul>{items}</ul></section>"
    )


def _notes(rows: Sequence[Row]) -> str:
    if not (found := _problems(rows)):
        return ""
    items = "".join(f"<li><b>{escape(', '.join(names))}</b>: {escape(text)}</li>" for text, names in found.items())
    absent = [row["label"] for row in rows if not row["complete"]]
    about = f" In no table, as they have no metrics: {', '.join(absent)}." if absent else ""
    return (
        f"<section><h2>Notes</h2><p class=note>What is missing, and why.{escape(about)}</p><ul>{items}</ul></section>"
    )


def _problems(rows: Sequence[Row]) -> dict[str, list[str]]:
    """List problems with the runs that have them."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for text in row["problems"]:
            found.setdefault(str(text), []).append(row["label"])
    return found


def _commands(rows: Sequence[Row]) -> str:
    blocks = []
    for row in (row for row in rows if row["method"]):
        machine, versions = row["machine"], row["versions"]
        ran = ", ".join(
            f"{value} {key}" if key in ("cores", "threads") else str(value) for key, value in machine.items()
        )
        made = ", ".join(f"{name} {version}" for name, version in versions.items())
        lines = (
            "\n".join(map(str, row["commands"]))
            or "(its version did not record it: see the settings in its config.yml)"
        )
        about = ". ".join(filter(None, [f"Seed {row['seed']}", ran, made]))
        blocks.append(f"<h3>{escape(row['label'])}</h3><pre>{escape(lines)}</pre><p class=note>{escape(about)}</p>")
    about = "OUT is the output folder; other folders of the machine are left out. One line for each session of a run."
    return f"<section><h2>Command lines</h2><p class=note>{about}</p>{''.join(blocks)}</section>"


def _markdown(rows: Sequence[Row], groups: Sequence[Group]) -> str:
    blocks = []
    for one in groups:
        blocks += [f"## {one.title}", table.as_markdown(list(table.columns()), table.lines(one))]
    if found := pairs(groups):
        blocks += ["## Paired, scene by scene", table.as_markdown(table.PAIR_COLUMNS, table.pair_lines(found))]
    blocks.append(table.legend())
    notes = [f"- {', '.join(names)}: {text}" for text, names in _problems(rows).items()]
    if notes:
        blocks += ["## Notes", "\n".join(notes)]
    return "\n\n".join(blocks) + "\n"
