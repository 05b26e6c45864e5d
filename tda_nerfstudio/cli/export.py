"""`tda export`: commands that take scenes elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

app = tyro.extras.SubcommandApp()


@dataclass(frozen=True)
class Scenes:
    """What is exported, and where to."""

    store: tyro.conf.Positional[str]
    """Folder of a store (or s3://BUCKET/FOLDER), or folder or config.yml of a run."""
    out: tyro.conf.Positional[Path]
    """Folder to write; several kinds can share it."""
    scene: tuple[str, ...] = ()
    """Names of scenes, globs or ranges; all by default."""
    overwrite: bool = False
    """Replace files that are in the way."""


@dataclass(frozen=True)
class WithImages(Scenes):
    """Scenes whose images may be at hand."""

    data: Path | None = None
    """The scenes' atlas, whose images are then what is shown; a run's own is found if it is still there."""
    decoded: bool = False
    """Make them from decoded views even where there are images, which then only score them."""


Where = Annotated[Scenes, tyro.conf.arg(name="")]
WhereWithImages = Annotated[WithImages, tyro.conf.arg(name="")]


@app.command
def splats(
    where: WhereWithImages,
    count: int = 5000,
    kilobytes: float | None = None,
    degree: int = 0,
    steps: int = 180,
    formats: tuple[Literal["ply", "splat", "spz"], ...] = ("ply",),
) -> None:
    """Export scenes as Gaussian splats, for web viewers and SuperSplat: NAME.splats.ply, NAME.splat, NAME.spz.

    The table says how near they come to the scene in plain viewers, and in gsplat's antialiased mode (AA), at the size
    of the training images. In larger windows, all viewers come nearer.

    Args:
        where: Scenes and folder.
        count: Splats of a scene.
        kilobytes: Size of a file instead: as many splats as fit.
        degree: Degree of the spherical harmonics, 0 to 2: how colours may change with the direction.
        steps: Views that splats are fitted to, one after the other.
        formats: ply (float32, as gsplat writes it), splat (32 bytes a splat), spz (about 18 bytes, with the extra spz).
    """
    from tda_nerfstudio.export.splats.make_splats import SplatOptions

    _run(where, SplatOptions(count, kilobytes, degree, steps, formats))


@app.command
def mesh(
    where: WhereWithImages,
    faces: int = 8000,
    texture: int = 512,
    side: int = 128,
    formats: tuple[Literal["glb", "obj", "ply"], ...] = ("glb",),
) -> None:
    """Export scenes as closed meshes with a texture: NAME.glb, NAME.obj (with .mtl and .jpg), NAME.mesh.ply.

    Args:
        where: Scenes and folder.
        faces: Triangles of a mesh, about.
        texture: Width of the texture in pixels.
        side: Cells along each side of the grid that surfaces are found in.
        formats: glb (y up), obj (y up), ply (z up, colours of vertices instead of a texture).
    """
    from tda_nerfstudio.export.mesh.make_mesh import MeshOptions

    _run(where, MeshOptions(faces, texture, side, formats))


@app.command
def points(where: WhereWithImages, count: int = 50_000, side: int = 128) -> None:
    """Export scenes as points with colours and normals: NAME.points.ply.

    Args:
        where: Scenes and folder.
        count: Points of a scene, evenly spread over its surface.
        side: Cells along each side of the grid that surfaces are found in.
    """
    from tda_nerfstudio.export.points import PointOptions

    _run(where, PointOptions(count, side))


@app.command
def images(where: Where, count: int = 60, size: int | None = None) -> None:
    """Export scenes as images with alpha and their cameras: NAME/images and NAME/transforms.json, an atlas.

    Args:
        where: Scenes and folder.
        count: Views of a scene, from all around.
        size: Width of each in pixels; by default that of the training images.
    """
    from tda_nerfstudio.export.images import ImageOptions

    _run(where, ImageOptions(count, size))


def _run(where: Scenes, options: Any) -> None:
    """Export, then print what came of it, a line a scene."""
    from tda_nerfstudio.base.errors import counted
    from tda_nerfstudio.export.job import export
    from tda_nerfstudio.export.summary import table
    from tda_nerfstudio.looking.truth import truth_of
    from tda_nerfstudio.plugin.shown_store import shown_store

    options.check()
    with shown_store(where.store) as (store, own):
        with_images = isinstance(where, WithImages)
        truth = truth_of(store, where.data, own) if with_images else None
        decoded = with_images and where.decoded
        done = export(store, where.out, options, where.scene, truth, decoded, where.overwrite)
    table(done)
    there = len(done.figures) - done.new
    more = f", {there:,} of them there already" if there else ""
    more += f"; {len(done.failed):,} left out" if done.failed else ""
    print(f"Wrote {counted(len(done.figures), 'scene')} to {where.out}{more}.")
