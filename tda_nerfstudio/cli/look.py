"""Commands that look at scenes: `tda view`, `tda render`, `tda sheet`, `tda gallery`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from tda_nerfstudio.base.errors import TdaError


def view(
    source: tyro.conf.Positional[str],
    data: Path | None = None,
    port: int | None = None,
    host: str = "127.0.0.1",
    open: bool = False,
) -> None:
    """Look at the scenes of a store or a run in a browser. Neither images nor nerfstudio are needed.

    Args:
        source: Folder of a store (or s3://BUCKET/FOLDER), or folder or config.yml of a run.
        data: The scenes' atlas, to compare with its images; a run's own is found if it is still there.
        port: Port to listen on, 7007 by default; if it is taken, the next free one, which is printed.
        host: Address to listen on; 0.0.0.0 gives access to every machine that reaches this one.
        open: Open the browser, too.
    """
    from tda_nerfstudio.looking.shelf import Shelf
    from tda_nerfstudio.looking.source import StoreSource
    from tda_nerfstudio.looking.truth import truth_of
    from tda_nerfstudio.looking.viewer.server import serve
    from tda_nerfstudio.plugin.shown_store import shown_store

    with shown_store(source) as (store, own):
        serve(Shelf(StoreSource(store), truth_of(store, data, own)), port, host, open)


def render(
    source: tyro.conf.Positional[str | None] = None,
    load_config: Path | None = None,
    scene: tuple[str, ...] = (),
    output: Path = Path("turntable.mp4"),
    wall: bool = False,
    compare: bool = False,
    morph: bool = False,
    data: Path | None = None,
    baseline: str | None = None,
    labels: bool = False,
    frames: int = 96,
    fps: int | None = None,
    elevation: float = 18.0,
    size: tuple[int, ...] = (),
    output_names: tuple[str, ...] = ("rgb",),
    camera_path: Path | None = None,
) -> None:
    """Render a video of scenes: a full turn around each, or a camera path that was drawn in the viewer.

    Stop it at any time: the same line goes on.

    Args:
        source: Folder of a store (or s3://BUCKET/FOLDER), or folder or config.yml of a run.
        load_config: The same, spelt as for ns-render.
        scene: Names of scenes, globs or ranges, one after the other; 'all' are all; the first by default.
        output: The video to write: .mp4, .mov, .mkv, .avi, .webm or .gif; a folder, without a suffix, gets PNG files
            with alpha.
        wall: Show the scenes together, turning in a grid.
        compare: Show scenes beside their images, through the cameras of these.
        morph: Turn each scene into the next.
        data: The scenes' atlas, for --compare; a run's own is found if it is still there.
        baseline: A store or run whose scenes of the same names are shown too, for --compare.
        labels: Write names below the tiles of a wall.
        frames: Frames of a full turn.
        fps: Frames a second; 24 by default, or the camera path's own.
        elevation: Height of the camera above the horizon, in degrees.
        size: Width and height in pixels, or one number for both; those of the images or of the camera path by default.
        output_names: What to show side by side: rgb, latent, depth, normals, accumulation.
        camera_path: JSON file of the Render tab in nerfstudio's viewer.
    """
    from contextlib import ExitStack

    from tda_nerfstudio.looking.truth import truth_of
    from tda_nerfstudio.looking.videos.render import Options, render
    from tda_nerfstudio.plugin.shown_store import shown_store

    place = source or load_config
    if place is None:
        raise TdaError("Say what to render: tda render STORE, or tda render --load-config RUN/config.yml.")
    chosen = Options(
        output, scene, wall, compare, morph, labels, frames, fps, elevation, size, output_names, camera_path
    )
    chosen.check()
    with ExitStack() as stack:
        store, own = stack.enter_context(shown_store(place))
        other = stack.enter_context(shown_store(baseline))[0] if baseline is not None else None
        print(f"Wrote {render(store, chosen, truth_of(store, data, own) if compare else None, other)}")


def sheet(
    load_config: Path, output: Path = Path("sheet.png"), scenes: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 8
) -> None:
    """Draw a contact sheet: truth, rendered latent, decoded image and the autoencoder's own, one row a scene.

    Args:
        load_config: config.yml of a run.
        output: The PNG file to write.
        scenes: Number of scenes, spread evenly over the run's.
    """
    from tda_nerfstudio.studies.sheet import draw_sheet

    print(f"Wrote {draw_sheet(load_config, output, scenes)}")


def gallery(
    store: tyro.conf.Positional[str],
    out: tyro.conf.Positional[Path],
    data: Path | None = None,
    frames: int = 24,
    size: int | None = None,
    views: int = 3,
    quality: int = 85,
    kilobytes: int = 60,
) -> None:
    """Make a web site of a store's scenes, which opens from disk; repeat the same line to bring it up to date.

    Args:
        store: Folder of a store (or s3://BUCKET/FOLDER), or folder or config.yml of a run.
        out: Folder to write, new or an earlier gallery. Files NAME.* (.ply, .glb, .splat, ...) in OUT/exports, or in
            exports/ beside the store, are linked to from the scenes' pages.
        data: The scenes' atlas: then held-out views are shown beside their truth.
        frames: Pictures of a full turn.
        size: Width of each in pixels; by default that of the store's images, at most 128.
        views: Views on a scene's page.
        quality: Quality of the WebP files, 1 to 100.
        kilobytes: Most kB that a scene takes; its pictures get a lower quality where they would need more.
    """
    from tda_nerfstudio.base.errors import counted
    from tda_nerfstudio.looking.gallery.options import Options
    from tda_nerfstudio.looking.gallery.write_gallery import write_gallery
    from tda_nerfstudio.plugin.shown_store import shown_store

    with shown_store(store) as (opened, own):
        made = write_gallery(opened, out, data or own, Options(frames, size, views, quality, kilobytes))
    damaged = f", {made.damaged} damaged" if made.damaged else ""
    if made.unseen:
        print(f"{counted(made.unseen, 'scene')} cannot be read from {data}: shown without truth.")
    print(
        f"Wrote {made.index}: {counted(made.scenes, 'scene')}, {made.rendered:,} rendered now{damaged};"
        f" {made.bytes_a_scene / 1000:.1f} kB a scene. Open it in a browser."
    )
