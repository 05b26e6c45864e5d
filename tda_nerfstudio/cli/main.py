"""`tda`: commands for what nerfstudio's own commands do not do. Imports are inside the functions."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Literal

import tyro

from tda_nerfstudio.base.errors import TdaError, counted
from tda_nerfstudio.cli.export import app as export_app
from tda_nerfstudio.cli.learn import learn, scaling
from tda_nerfstudio.cli.look import gallery, render, sheet, view
from tda_nerfstudio.cli.store import app as store

app = tyro.extras.SubcommandApp()
atlas = tyro.extras.SubcommandApp()
autoencoder = tyro.extras.SubcommandApp()
app.command(atlas, name="atlas", help="Make atlases: folders of posed images, one sub-folder a scene.")
app.command(autoencoder, name="ae", help="Make starting weights for the light autoencoder.")
app.command(learn)
app.command(scaling)
app.command(view)
app.command(render)
app.command(sheet)
app.command(gallery)
app.command(export_app, name="export", help="Take scenes elsewhere: splats, meshes, points, images with cameras.")
app.command(store, name="store", help="Look into stores of learnt scenes, check them, move scenes in and out.")


@atlas.command
def demo(
    out: tyro.conf.Positional[Path],
    scenes: int = 32,
    views: int = 40,
    test_views: int = 10,
    size: int = 64,
    seed: int = 0,
) -> None:
    """Write an atlas of procedural vehicles, any number of them.

    Args:
        out: Folder to write, new or an interrupted one to complete.
        scenes: Vehicles; the first three quarters are marked for stage 1 in splits.json, the others for stage 2.
        views: Training views of each.
        test_views: Held-out views of each.
        size: Width and height in pixels.
        seed: Number that the choice of vehicles follows from.
    """
    from tda_nerfstudio.making.demo import write_demo_atlas

    path = write_demo_atlas(out, scenes=scenes, train_views=views, test_views=test_views, size=size, seed=seed)
    print(f"Wrote {counted(scenes, 'scene')} to {path}. {_next(path, {'tda-ae': '', 'tda-scenes': ''})}")


@atlas.command
def meshes(
    models: tyro.conf.Positional[Path],
    out: tyro.conf.Positional[Path],
    views: int = 40,
    test_views: int = 10,
    size: int = 128,
    seed: int = 0,
    normalise: Literal["model", "class", "none"] = "model",
    up: str = "y",
    front: str = "z",
    poses: Path | None = None,
) -> None:
    """Render a folder of GLB, glTF, OBJ and PLY models as an atlas: z up, front along -y.

    Args:
        models: Folder of models, sub-folders included, or one model; each becomes a scene named after its file.
        out: Folder to write, new or an interrupted one to complete.
        views: Training views of each.
        test_views: Held-out views of each.
        size: Width and height in pixels.
        seed: Number that the directions of the cameras follow from.
        normalise: model scales each model into sight of the cameras, class scales all by the same factor, none leaves
            models as they are.
        up: Axis of the files that points up: x, y, z, -x, -y or -z.
        front: Axis of the files that points forward, such as --front=-z.
        poses: An atlas whose scenes of the same names give the cameras, in place of views, size and seed.
    """
    from tda_nerfstudio.making.meshes import Look, write_mesh_atlas

    look = Look(views, test_views, size, seed, normalise, up, front, str(poses.absolute()) if poses else None)
    good, broken = write_mesh_atlas(models, out, look)
    for reason in broken.values():
        print(f"Left out: {reason}", file=sys.stderr)
    first = len(good) * 3 // 4
    chosen = {"tda-ae": f"0:{first}", "tda-scenes": f"{first}:"} if first else {"tda-ae": ""}
    print(
        f"Wrote {counted(len(good), 'scene')} to {out}, {counted(len(broken), 'model')} left out. {_next(out, chosen)}"
    )


def _next(data: Path, chosen: dict[str, str]) -> str:
    """Write the commands of the next steps on an atlas: by method, each on the scenes that are given for it."""
    lines = []
    for method, scenes in chosen.items():
        words = ["ns-train", method, "--data", str(data)]
        words += ["--pipeline.datamanager.dataparser.scenes", scenes] if scenes else []
        lines.append(f"\n  {shlex.join(words)}")
    return f"Next:{''.join(lines)}"


@autoencoder.command
def pretrain(
    out: tyro.conf.Positional[Path],
    channels: int = 48,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 16,
    sprites: int = 4096,
    data: tuple[Path, ...] = (),
    pool: Path | None = None,
    tests: tuple[Path, ...] = (),
    workers: int = 0,
) -> None:
    """Pre-train the light autoencoder on broad data; repeat the same line to go on after an interruption.

    Args:
        out: Folder of the run: checkpoint, recipe, and log.jsonl with the PSNR of each test set over time.
        channels: C, latent channels.
        steps: Length in steps: the same options then give the same bits.
        minutes: Length in minutes of training instead; not reproducible to the bit, as learning rates follow the clock.
        seed: Number that weights, images and noise follow from.
        batch: Images a step.
        sprites: Rendered objects to compose images from.
        data: Atlases whose training views are mixed in, at least 128 x 128.
        pool: Folder where rendered objects and test sets are kept, for several runs; by default inside `out`.
        tests: Atlases whose test views are scored beside the made test sets.
        workers: Processes that make images; 0 makes them between steps (about a twentieth of the time on one core).
    """
    from tda_nerfstudio.studies.pretrain import Recipe, pretrain

    recipe = Recipe(channels, steps, minutes, seed, batch, sprites, tuple(str(path) for path in data))
    pretrain(out, recipe, pool, tests, workers)


@autoencoder.command
def export(
    run: tyro.conf.Positional[Path],
    out: tyro.conf.Positional[Path],
    pool: Path | None = None,
    tests: tuple[Path, ...] = (),
) -> None:
    """Write a pre-training run's weights in float16, with a model card of what was measured with them.

    Args:
        run: Folder that `tda ae pretrain` wrote.
        out: Folder to write; the package reads its own from tda_nerfstudio/autoencoder/weights.
        pool: Folder of rendered objects and test sets; by default inside `run`.
        tests: Atlases whose test views are scored beside the made test sets.
    """
    from tda_nerfstudio.studies.card import export

    for name, quality in export(run, out, pool, tests).items():
        print(f"{name}: {quality:.2f} dB")
    print(f"Wrote weights and card to {out}")


@app.command
def run(
    preset: tyro.conf.Positional[Path],
    out: Path | None = None,
    data: Path | None = None,
    results: Path | None = None,
    dry: bool = False,
) -> None:
    """Run a preset: print the ns-train, ns-eval and ns-render lines it stands for, and run those not yet done.

    Args:
        preset: A YAML file such as configs/demo.yml.
        out: Folder for runs, checkpoints and all other big files; by default ./NAME for a preset NAME.yml.
        data: The atlas, in place of what the preset names.
        results: Folder for a small JSON file for each run; by default results/PRESET in the preset's configs folder.
        dry: Print the lines without running them.
    """
    from tda_nerfstudio.studies.run_preset import run_preset

    run_preset(preset, out, data, results, dry)


@app.command
def report(paths: tyro.conf.Positional[tuple[Path, ...]], output: Path = Path("report.html")) -> None:
    """Compare runs on one page that opens offline, with a Markdown table beside it.

    Args:
        paths: Run folders, row files, or folders of either. Pictures need run folders, with checkpoint and data. The
            config.yml of a run can run code when it is opened for its pictures: name only runs you trust.
        output: The HTML file to write.
    """
    from tda_nerfstudio.studies.report.page import write_report

    page, table = write_report(paths, output)
    print(f"Wrote {page} and {table}")


@app.command
def bench(
    out: Path = Path("bench"),
    repeats: int = 7,
    only: tuple[str, ...] = (),
    quick: bool = False,
    device: Literal["cpu", "cuda"] | None = None,
) -> None:
    """Time our path, our RGB baseline and a plain version of the published design side by side on this machine.

    Args:
        out: Folder for bench.json, bench.md and bench.svg.
        repeats: Rounds; every case runs once in each.
        only: Groups of cases: steps, view, decode, open, scenes, rays, samples, quality; all by default.
        quick: Only three rounds, without training through the big autoencoder; not for results.
        device: By default a GPU if there is one.
    """
    from tda_nerfstudio.studies.bench.run import run_bench

    run_bench(out, repeats, only, quick, device)
    print(f"Wrote {out}/bench.md")


def entrypoint() -> None:
    """Run `tda`. A TdaError ends it with its message and exit code 1, Ctrl-C with exit code 130."""
    from tda_nerfstudio.plugin.quiet import silence

    silence()
    try:
        app.cli(prog="tda", description="Learn many similar scenes in a 3D-aware latent space.")
    except TdaError as error:
        print(f"tda: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("tda: Stopped.", file=sys.stderr)
        raise SystemExit(130) from None
