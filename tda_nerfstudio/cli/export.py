"""`tda export`: commands that take scenes elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro

app = tyro.extras.SubcommandApp()


@app.command
def splats(
    store: tyro.conf.Positional[str],
    out: tyro.conf.Positional[Path],
    scene: tuple[str, ...] = (),
    count: int = 5000,
    kilobytes: float | None = None,
    degree: int = 0,
    steps: int = 180,
    formats: tuple[Literal["ply", "splat", "spz"], ...] = ("ply",),
    data: Path | None = None,
    decoded: bool = False,
    overwrite: bool = False,
) -> None:
    """Export scenes as Gaussian splats, for web viewers, SuperSplat, Blender, Unity and Unreal.

    The table says how near they come to the scene in plain viewers, and in gsplat's antialiased mode (AA), at the size
    of the training images. In larger windows, all viewers come nearer.

    Args:
        store: Folder of a store (or s3://BUCKET/FOLDER), or folder or config.yml of a run.
        out: Folder to write: NAME.splats.ply, NAME.splat, NAME.spz for each scene.
        scene: Names of scenes, globs or ranges; all by default.
        count: Splats of a scene.
        kilobytes: Size of a file instead: as many splats as fit.
        degree: Degree of the spherical harmonics, 0 to 2: how colours may change with the direction.
        steps: Views that splats are fitted to, one after the other.
        formats: ply (float32, as gsplat writes it), splat (32 bytes a splat), spz (about 18 bytes, with the extra spz).
        data: The scenes' atlas; a run's own is found if it is still there. Splats are then fitted to its images.
        decoded: Make them from decoded views even where there are images, which then only score them.
        overwrite: Replace files that are in the way.
    """
    from tda_nerfstudio.export.splats.make_splats import SplatOptions

    _run(store, out, scene, lambda: SplatOptions(count, kilobytes, degree, steps, formats), data, decoded, overwrite)


@app.command
def mesh(
    store: tyro.conf.Positional[str],
    out: tyro.conf.Positional[Path],
    scene: tuple[str, ...] = (),
    faces: int = 8000,
    texture: int = 512,
    side: int = 128,
    formats: tuple[Literal["glb", "obj", "ply"], ...] = ("glb",),
    data: Path | None = None,
    decoded: bool = False,
    overwrite: bool = False,
) -> None:
    """Export scenes as closed meshes with a texture, for engines and modelling programs.

    Args:
        store: Folder of a store (or s3://BUCKET/FOLDER), or folder or config.yml of a run.
        out: Folder to write: NAME.glb, NAME.obj (with .mtl and .jpg), NAME.mesh.ply for each scene.
        scene: Names of scenes, globs or ranges; all by default.
        faces: Triangles of a mesh, about.
        texture: Width of the texture in pixels.
        side: Cells along each side of the grid that surfaces are found in.
        formats: glb (y up), obj (y up), ply (z up, colours of vertices instead of a texture).
        data: The scenes' atlas; a run's own is found if it is still there. Colours are then those of its images.
        decoded: Make them from decoded views even where there are images, which then only score them.
        overwrite: Replace files that are in the way.
    """
    from tda_nerfstudio.export.mesh.make_mesh import MeshOptions

    _run(store, out, scene, lambda: MeshOptions(faces, texture, side, formats), data, decoded, overwrite)


@app.command
def points(
    store: tyro.conf.Positional[str],
    out: tyro.conf.Positional[Path],
    scene: tuple[str, ...] = (),
    count: int = 50_000,
    side: int = 128,
    data: Path | None = None,
    decoded: bool = False,
    overwrite: bool = False,
) -> None:
    """Export scenes as points with colours and normals.

    Args:
        store: Folder of a store (or s3://BUCKET/FOLDER), or folder or config.yml of a run.
        out: Folder to write: NAME.points.ply for each scene.
        scene: Names of scenes, globs or ranges; all by default.
        count: Points of a scene, evenly spread over its surface.
        side: Cells along each side of the grid that surfaces are found in.
        data: The scenes' atlas; a run's own is found if it is still there. Colours are then those of its images.
        decoded: Make them from decoded views even where there are images, which then only score them.
        overwrite: Replace files that are in the way.
    """
    from tda_nerfstudio.export.points import PointOptions

    _run(store, out, scene, lambda: PointOptions(count, side), data, decoded, overwrite)


@app.command
def images(
    store: tyro.conf.Positional[str],
    out: tyro.conf.Positional[Path],
    scene: tuple[str, ...] = (),
    count: int = 60,
    size: int | None = None,
    overwrite: bool = False,
) -> None:
    """Export scenes as images with alpha and their cameras, for whatever learns from images.

    Args:
        store: Folder of a store (or s3://BUCKET/FOLDER), or folder or config.yml of a run.
        out: Folder to write: NAME/transforms.json and NAME/images for each scene. It is an atlas then.
        scene: Names of scenes, globs or ranges; all by default.
        count: Views of a scene, from all around.
        size: Width of each in pixels; by default that of the training images.
        overwrite: Replace files that are in the way.
    """
    from tda_nerfstudio.export.images import ImageOptions

    _run(store, out, scene, lambda: ImageOptions(count, size), with_images=False, overwrite=overwrite)


def _run(
    source: str,
    out: Path,
    scenes: tuple[str, ...],
    options: Callable[[], Any],
    data: Path | None = None,
    decoded: bool = False,
    overwrite: bool = False,
    with_images: bool = True,
) -> None:
    """Export, then print what came of it, a line a scene."""
    from tda_nerfstudio.base.errors import counted
    from tda_nerfstudio.export.job import export
    from tda_nerfstudio.export.summary import table
    from tda_nerfstudio.looking.truth import truth_of
    from tda_nerfstudio.plugin.shown_store import shown_store

    chosen = options()
    chosen.check()
    with shown_store(source) as (store, own):
        truth = truth_of(store, data, own) if with_images else None
        done = export(store, out, chosen, scenes, truth, decoded, overwrite)
    table(done)
    there = len(done.figures) - done.new
    more = f", {there:,} of them there already" if there else ""
    more += f"; {len(done.failed):,} left out" if done.failed else ""
    print(f"Wrote {counted(len(done.figures), 'scene')} to {out}{more}.")
