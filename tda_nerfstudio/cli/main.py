"""`tda`: what the nerfstudio commands do not do themselves. Every command is a thin layer; imports are inside."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tda_nerfstudio.core.errors import TdaError

app = tyro.extras.SubcommandApp()
atlas = tyro.extras.SubcommandApp()
app.command(atlas, name="atlas", help="Make atlases: folders of posed images, one sub-folder a scene.")


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
        seed: Which vehicles.
    """
    from tda_nerfstudio.atlas.demo import write_demo_atlas

    path = write_demo_atlas(out, scenes=scenes, train_views=views, test_views=test_views, size=size, seed=seed)
    print(f"Wrote {scenes} scenes to {path}. Next: ns-train tda-ae --data {path}")


@app.command
def run(preset: tyro.conf.Positional[Path], out: Path | None = None, dry: bool = False) -> None:
    """Run a preset: print the ns-train, ns-eval and ns-render lines it stands for, and run those not yet done.

    Args:
        preset: A YAML file such as configs/demo.yml.
        out: Folder for everything that is made; by default the preset's own name, here.
        dry: Print the lines only.
    """
    from tda_nerfstudio.studies.recipe import run_preset

    run_preset(preset, out, dry)


@app.command
def render(
    load_config: Path,
    scene: str | None = None,
    output: Path = Path("turntable.mp4"),
    frames: int = 96,
    fps: int = 24,
    elevation: float = 18.0,
    size: int | None = None,
    output_names: tuple[str, ...] = ("rgb",),
) -> None:
    """Render a turntable video of one scene.

    Args:
        load_config: config.yml of a run.
        scene: Name of the scene; 'all' shows every scene of the run, one after the other; the first by default.
        output: The mp4 file to write.
        frames: Frames of a full turn.
        fps: Frames a second.
        elevation: Height of the camera above the horizon, in degrees.
        size: Width and height in pixels; those of the atlas by default.
        output_names: What to show side by side: rgb, latent, depth, accumulation.
    """
    from tda_nerfstudio.studies.turntable import render_turntable

    print(f"Wrote {render_turntable(load_config, scene, output, frames, fps, elevation, size, output_names)}")


@app.command
def sheet(
    load_config: Path, output: Path = Path("sheet.png"), scenes: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 8
) -> None:
    """Draw a contact sheet: truth, rendered latent, decoded image and the autoencoder's own, one row a scene.

    Args:
        load_config: config.yml of a run.
        output: The PNG file to write.
        scenes: How many scenes, evenly spread.
    """
    from tda_nerfstudio.studies.gallery import draw_sheet

    print(f"Wrote {draw_sheet(load_config, output, scenes)}")


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
        out: Folder for bench.json, bench.md and bench.png.
        repeats: Rounds, in each of which every case runs once.
        only: Groups of cases: steps, view, decode, open, scenes, rays, samples, quality; all by default.
        quick: Three rounds, and nothing is trained through the big autoencoder: a look, no result.
        device: A GPU by default where there is one.
    """
    from tda_nerfstudio.studies.bench.run import run_bench

    run_bench(out, repeats, only, quick, device)
    print(f"Wrote {out}/bench.md")


def entrypoint() -> None:
    """Run `tda`; errors that a user can act on end it with their message and exit code 1."""
    try:
        app.cli(prog="tda", description="Learn many similar scenes in a 3D-aware latent space.")
    except TdaError as error:
        print(f"tda: {error}", file=sys.stderr)
        raise SystemExit(1) from None
