"""Render models as an atlas.

One picture of one model: `Raycaster(fit(read_model(path)), LIGHT).render(square_camera(c2w, focal, 128))`.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError, suggest
from tda_nerfstudio.base.names import NAMES, is_safe
from tda_nerfstudio.making.models.files import SUFFIXES, axes, fit, fitting_scale, read_model
from tda_nerfstudio.making.processes import in_processes
from tda_nerfstudio.making.raycast import Camera, Light, Mesh, Raycaster
from tda_nerfstudio.making.writing import check_seed, finished, sphere_views, write_scene

LIGHT = Light((0.45, -0.35, 0.82), key=0.72, sky=0.38, ground=0.19)
"""From the front and above, without a highlight."""

Normalise = Literal["model", "class", "none"]


@dataclass(frozen=True)
class Look:
    """How models are read and rendered; a scene's recipe records it beside the model's hash."""

    train_views: int = 40
    test_views: int = 10
    size: int = 128
    seed: int = 0
    normalise: Normalise = "model"
    """`model` fits each, `class` scales all alike so that the largest fits, `none` leaves them as their files say."""
    up: str = "y"
    front: str = "z"
    poses: str | None = None
    """An atlas whose cameras replace views, size and seed: each model takes those of the scene of its name."""


@dataclass(frozen=True)
class _Job:
    name: str
    path: Path
    root: Path
    look: Look
    scale: float | None = None


def write_mesh_atlas(
    models: Path, out: Path, look: Look | None = None, workers: int | None = None
) -> tuple[list[str], dict[str, str]]:
    """Render every model below a folder, or a single one, as a scene; existing scenes of the same recipe stay.

    A scene is named after its file (`a/b.glb` is `a_b`; characters that names cannot have become `_`). It is written
    whole or not at all, so that an interrupted call can be repeated. Returns the names of the good scenes, and why each
    other model was left out. Raises TdaError when no model is good, when `out` holds something else or cannot be
    written, or when sizes make no sense.
    """
    look = look or Look()
    if min(look.train_views, look.test_views) < 1 or look.size < 8:
        raise TdaError(
            "An atlas needs at least 1 training and 1 held-out view and 8 pixels, not"
            f" {look.train_views} + {look.test_views} views and {look.size} pixels."
        )
    check_seed(look.seed)
    require_writable(out)
    axes(look.up, look.front)
    root = models.parent if models.is_file() else models  # models may refer to files below it
    found, broken = _find(models, root)
    jobs = {name: _Job(name, path, root, look) for name, path in found.items()}
    if look.normalise == "class":
        scales = dict(in_processes(_measure, jobs.values(), workers, f"Measuring {len(jobs)} models"))
        broken |= {name: scale for name, scale in scales.items() if isinstance(scale, str)}
        least = min((scale for scale in scales.values() if not isinstance(scale, str)), default=None)
        jobs = {name: _Job(name, job.path, root, look, least) for name, job in jobs.items() if name not in broken}
    missing = [job for job in jobs.values() if not finished(out / job.name, _recipe(job))]
    out.mkdir(parents=True, exist_ok=True)
    tasks = [(job, out / job.name) for job in missing]
    results = in_processes(_render, tasks, workers, f"Rendering {len(tasks)} of {len(jobs)} models")
    broken |= {name: reason for name, reason in results if isinstance(reason, str)}
    good = sorted(jobs.keys() - broken)
    if not good:
        raise TdaError(f"No model in {models} could be rendered, of {len(broken)}. The first: {min(broken.items())[1]}")
    return good, dict(sorted(broken.items()))


def _cameras(name: str, look: Look) -> Mapping[str, Iterable[Camera]]:
    """Give both splits' cameras: around the origin, turned by seed and name, or those of an atlas' scene."""
    if look.poses is None:
        return sphere_views(look.train_views, look.test_views, look.size, (look.seed, zlib.crc32(name.encode())))
    from tda_nerfstudio.atlas.layouts.scene import read_scene
    from tda_nerfstudio.atlas.posed import PosedImages

    folder = Path(look.poses) / name
    if not folder.is_dir():
        known = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise TdaError(f"{look.poses} has no scene '{name}' to take poses from.{suggest(name, known)}")
    scene = read_scene(folder)

    def cameras(images: PosedImages) -> Iterator[Camera]:
        for c2w, *intrinsics in zip(*images, strict=True):
            fx, fy, cx, cy = map(float, intrinsics)
            yield Camera(c2w.double().numpy(), fx, fy, cx, cy, images.width, images.height)

    return {"train": cameras(scene.train), "test": cameras(scene.test)}


def _find(models: Path, root: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """List model files by scene name, and why others are left out; hidden files are ignored."""
    if not models.exists():
        raise TdaError(f"{models} does not exist. Give a model or a folder of models ({', '.join(SUFFIXES)}).")
    known = [path for path in models.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    found: dict[str, Path] = {}
    broken: dict[str, str] = {}
    for path in [models] if models.is_file() else sorted(known):
        inside = path.relative_to(root)
        if path != models and any(part.startswith(".") for part in inside.parts):
            continue
        name = "".join(c if is_safe(f"a{c}") else "_" for c in "_".join(inside.with_suffix("").parts))
        if name in found:
            broken[str(inside)] = f"Model {path}: scene '{name}' is {found[name]} already. Rename one of them."
        elif not is_safe(name):
            broken[str(inside)] = f"Model {path}: no scene may be called '{name}': its name is {NAMES}. Rename it."
        else:
            found[name] = path
    if not found and not broken:
        raise TdaError(f"The folder {models} holds no model. Known formats are {', '.join(SUFFIXES)}.")
    return found, broken


def _recipe(job: _Job) -> dict[str, Any]:
    try:
        with job.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        digest = None  # reported when the model is read
    return {"model": digest} | asdict(job.look) | {"scale": job.scale}


def _mesh(job: _Job) -> Mesh:
    try:
        return read_model(job.path, job.root, job.look.up, job.look.front)
    except TdaError:
        raise
    except Exception as error:  # one model never takes the others down
        raise TdaError(
            f"Model {job.path} cannot be read ({type(error).__name__}: {error}). Export it again."
        ) from error


def _measure(job: _Job) -> tuple[str, float | str]:
    try:
        return job.name, fitting_scale(_mesh(job))
    except TdaError as error:
        return job.name, str(error)


def _render(task: tuple[_Job, Path]) -> tuple[str, str | None]:
    job, folder = task
    try:
        views, mesh = _cameras(job.name, job.look), _mesh(job)
    except TdaError as error:
        return job.name, str(error)
    mesh = mesh if job.look.normalise == "none" else fit(mesh, job.scale)
    try:
        write_scene(folder, Raycaster(mesh, LIGHT), views, _recipe(job))
    except OSError as error:
        raise TdaError(
            f"{folder} cannot be written ({error.strerror}). Make room, and repeat the command: what is done stays."
        ) from error
    return job.name, None
