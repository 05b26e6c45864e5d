"""`tda store`: commands that look into stores of learnt scenes, check them, and move scenes in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tyro

from tda_nerfstudio.base.errors import TdaError, counted, listed

app = tyro.extras.SubcommandApp()


@app.command
def info(store: tyro.conf.Positional[str]) -> None:
    """List a store's scenes with their metrics, and its size.

    Args:
        store: Folder of the store.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from tda_nerfstudio.core.metrics import METRICS
    from tda_nerfstudio.store.store import Store

    shown_metrics = {key: metric.heading for key, metric in METRICS.items() if metric.headline}
    opened, table = Store(store), Table("scene", *shown_metrics.values(), "precision", "bytes")
    for name in opened:
        file, record = opened.file(name), opened.record(name)
        scores = [f"{record.metrics[key]:.3f}" if key in record.metrics else "–" for key in shown_metrics]
        shown = name if record.finished else f"{name} (unfinished)"
        table.add_row(escape(shown), *scores, file.precision, f"{file.bytes_a_scene:,.0f}")
    console, size = Console(), opened.size()
    console.print(table)
    console.print(
        f"{counted(len(opened), 'scene')} in {counted(len(opened.files), 'file')}, {size / 2**20:.2f} MiB with all"
        f" that they share; {size / max(len(opened), 1) / 2**20:.3f} MiB a scene. Shared parts {opened.manifest.hash}.",
        highlight=False,
    )
    for name, reason in opened.aside().items():
        console.print(f"[yellow]Put aside:[/yellow] {escape(f'{name}: {reason}')}", highlight=False)
    for problem in opened.damaged:
        console.print(f"[yellow]Left out:[/yellow] {escape(str(problem))}")


@app.command
def verify(store: tyro.conf.Positional[str]) -> None:
    """Read every file of a store and check its hash; the exit code is 1 if something is wrong.

    Args:
        store: Folder of the store.
    """
    from tda_nerfstudio.store.store import Store

    opened = Store(store)
    problems = opened.verify()
    if problems:
        raise TdaError("\n".join(map(str, problems)))
    print(f"{counted(len(opened), 'scene')} in {counted(len(opened.files), 'file')}: every byte is as it was written.")


@app.command
def add(store: tyro.conf.Positional[str], other: tyro.conf.Positional[str], scenes: tuple[str, ...] = ()) -> None:
    """Copy scenes, bit for bit, from another store with the same shared parts; known names replace the old scenes.

    Args:
        store: Folder of the store that grows.
        other: Folder of the store that scenes are taken from.
        scenes: Names of the scenes; all by default.
    """
    from tda_nerfstudio.store.store import Store

    opened, given = Store(store), Store(other)
    names = scenes or given.names
    opened.take(given, names)
    print(f"Added {counted(len(names), 'scene')}: {store} holds {len(opened)}.")


@app.command
def remove(store: tyro.conf.Positional[str], scenes: tyro.conf.Positional[tuple[str, ...]]) -> None:
    """Remove scenes from a store.

    Args:
        store: Folder of the store.
        scenes: Names of the scenes.
    """
    from tda_nerfstudio.store.store import Store

    opened = Store(store)
    if not scenes:
        raise TdaError(
            f"Name the scenes to take out of {store}: tda store remove {store} SCENE .. (it holds"
            f" {listed(opened.names)})."
        )
    opened.remove(*scenes)
    print(f"Removed {counted(len(scenes), 'scene')}: {store} holds {len(opened)}.")


@app.command
def export_run(
    load_config: tyro.conf.Positional[Path],
    store: tyro.conf.Positional[str],
    precision: Literal["int4", "int8", "fp16", "fp32"] = "int4",
) -> None:
    """Put the scenes of a finished run into a store, which is made if there is none.

    Args:
        load_config: Folder or config.yml of the run. Reading it can run code: name only runs that you trust.
        store: Folder of the store.
        precision: Precision of micro planes; int4 costs 0.2 dB, int8 nothing that can be measured.
    """
    from tda_nerfstudio.plugin.run_store import export_run

    opened = export_run(load_config, store, precision)
    print(f"{store} holds {counted(len(opened), 'scene')}, {opened.size() / 2**20:.2f} MiB in all.")


@app.command
def lighten(
    store: tyro.conf.Positional[str],
    out: tyro.conf.Positional[Path],
    bases: int | None = None,
    precision: Literal["int4", "int8", "fp16", "fp32"] = "int4",
) -> None:
    """Write a store's scenes into a new, lighter store: base planes made orthonormal, micro planes rounded.

    Args:
        store: Folder of the store.
        out: Folder of the new store.
        bases: Number of base planes to keep, those that scenes use most; all by default.
        precision: Precision of micro planes.
    """
    from tda_nerfstudio.store.lighter import lighten
    from tda_nerfstudio.store.store import Store

    lighter = lighten(Store(store), out, bases, precision)
    print(f"{out} holds {counted(len(lighter), 'scene')}, {lighter.size() / 2**20:.2f} MiB in all.")


@app.command
def curve(
    store: tyro.conf.Positional[Path],
    data: tyro.conf.Positional[Path],
    out: Path = Path("curve.png"),
    scenes: int = 20,
) -> None:
    """Draw PSNR against bytes per scene for several ways to store scenes; print the table, and write it as JSON.

    Args:
        store: Folder of the store, preferably in fp32.
        data: Atlas that its scenes were learnt from, which has the held-out views.
        out: The PNG file to write.
        scenes: Number of scenes to score, spread evenly over the store's.
    """
    from tda_nerfstudio.studies.weight_curve import draw_curve

    print(draw_curve(store, data, out, scenes))
