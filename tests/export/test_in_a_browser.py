"""Exported files in a headless browser: three.js and a viewer of splats show what our own rendering shows."""

from __future__ import annotations

import functools
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import browsing
import pytest
import torch
from a_scene import BOX, CAMERA, store_of_a_ball
from jaxtyping import Float
from PIL import Image
from screenshots import keep
from torch import Tensor
from torchvision.transforms.functional import to_tensor

from tda_nerfstudio.core.metrics import psnr
from tda_nerfstudio.core.view import View
from tda_nerfstudio.export.job import export
from tda_nerfstudio.export.mesh.make_mesh import MeshOptions
from tda_nerfstudio.export.splats.make_splats import SplatOptions
from tda_nerfstudio.export.subject import Subject
from tda_nerfstudio.export.survey import survey
from tda_nerfstudio.store.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browsing.CHROMIUM is None, reason="no chromium on PATH (Debian: apt install chromium)"),
]
PACKAGES = {"three": "three@0.170.0", "gaussian-splats-3d": "@mkkellogg/gaussian-splats-3d@0.4.7"}
"""What npm calls the packages, by the folders that they are looked for in."""
SIZE, FOV = 256, 28.0
"""Of the browser's window, in pixels, and of its camera, vertically, in degrees."""
EYES = {"front": (2.0, -3.0, 1.7), "behind, from below": (-3.2, 2.0, -1.0)}
"""Where cameras are, from the middle of the box: two that have no side of the ellipsoid in common."""
PATIENCE = 60_000
"""Milliseconds that a page may take: a browser without a graphics card is slow."""
HEAD = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<style>html, body { margin: 0; overflow: hidden; background: white } canvas { display: block }</style>
<script type="importmap">{"imports": {
  "three": "/npm/three/build/three.module.js",
  "three/addons/": "/npm/three/examples/jsm/",
  "splats": "/npm/gaussian-splats-3d/build/gaussian-splats-3d.module.js"
}}</script><script>
for (const what of ['error', 'unhandledrejection']) addEventListener(what, () => { document.title = 'failed'; });
</script></head><body><script type="module">
import * as THREE from 'three';
const asked = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
renderer.setPixelRatio(1);
renderer.setSize(innerWidth, innerHeight);
renderer.setClearColor(0xffffff, 1);
document.body.append(renderer.domElement);
const camera = new THREE.PerspectiveCamera(asked.fov, innerWidth / innerHeight, 0.1, 100);
camera.position.fromArray(asked.eye);
camera.up.fromArray(asked.up);
camera.lookAt(...asked.target);
camera.updateMatrixWorld();
"""
SPLATS = (
    HEAD
    + """
import * as Splats from 'splats';
const viewer = new Splats.Viewer({
  renderer, camera, selfDrivenMode: false, useBuiltInControls: false, sharedMemoryForWorkers: false,
  gpuAcceleratedSort: false, integerBasedSort: false, sphericalHarmonicsDegree: 0,
  sceneRevealMode: Splats.SceneRevealMode.Instant,
});
await viewer.addSplatScene(asked.file, { showLoadingUI: false, progressiveLoad: false });
await viewer.runSplatSort(true, true);
await viewer.sortPromise;
viewer.update();
viewer.render();
document.title = `${viewer.splatMesh.getSplatCount()} splats`;
</script></body></html>"""
)
MESH = (
    HEAD
    + """
import { GLTFLoader } from 'three/addons/loaders/GLTFLoader.js';
const { scene } = await new GLTFLoader().loadAsync(asked.file);
const materials = [];
scene.traverse((part) => { if (part.isMesh) materials.push(part.material.type); });
const stage = new THREE.Scene().add(scene);
if (asked.black) stage.overrideMaterial = new THREE.MeshBasicMaterial({ color: 0 });
renderer.render(stage, camera);
document.title = materials.join(' ');
</script></body></html>"""
)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with npm's packages: $TDA_NPM, else one that npm fetches them into, else skip."""
    given = os.environ.get("TDA_NPM")
    if given:
        missing = [name for name in PACKAGES if not (Path(given) / name / "build").is_dir()]
        assert not missing, f"TDA_NPM is {given}, which has no {' and no '.join(missing)} (unpacked, with build/)"
        return Path(given)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"no npm on PATH, and TDA_NPM names no folder with {' and '.join(PACKAGES)}")
    folder = tmp_path_factory.mktemp("npm")
    for name, package in PACKAGES.items():
        own = folder / f"{name}.fetched"
        own.mkdir()
        words = [npm, "pack", "--silent", "--fetch-retries=0", "--pack-destination", str(own), package]
        try:
            subprocess.run(words, cwd=own, check=True, capture_output=True, timeout=30)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm cannot fetch {package}, and TDA_NPM names no folder of packages ({error})")
        (archive,) = own.glob("*.tgz")
        with tarfile.open(archive) as file:
            file.extractall(own, filter="data")
        (own / "package").rename(folder / name)
    return folder


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and prints nothing."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a headless browser that draws on the processor."""
    with browsing.browser() as started:
        yield started


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of one scene."""
    return store_of_a_ball(tmp_path_factory.mktemp("ball") / "store")


@pytest.fixture(scope="module")
def made(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the scene to all files that are looked at here."""
    out = tmp_path_factory.mktemp("exported")
    export(store, out, SplatOptions(count=1000, steps=90, formats=("ply", "splat")))
    export(store, out, MeshOptions(faces=4000, texture=256))
    return out


@pytest.fixture(scope="module")
def served(packages: Path, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the files, pages that show them, and what the pages import, to this machine alone; give the address."""
    root = tmp_path_factory.mktemp("served")
    (root / "npm").symlink_to(packages, target_is_directory=True)
    (root / "made").symlink_to(made, target_is_directory=True)
    (root / "splats.html").write_text(SPLATS)
    (root / "mesh.html").write_text(MESH)
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=root)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def shown(browser: Any, served: str) -> Iterator[Callable[..., tuple[Tensor, str]]]:
    """Give tests `shown(page, file, kept as, **camera)`: a photograph, and the page's title; nothing may go wrong."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": SIZE, "height": SIZE}, device_scale_factor=1)

    def show(name: str, file: str, kept: str, **camera: Any) -> tuple[Float[Tensor, "3 height width"], str]:
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("requestfailed", lambda asked: wrong.append(f"{asked.url} {asked.failure}"))
        page.goto(f"{served}/{name}.html#{quote(json.dumps({'file': f'made/{file}', 'fov': FOV, **camera}))}")
        page.wait_for_function("document.title !== ''", timeout=PATIENCE)
        image, title = page.screenshot(), page.title()
        keep(page, f"exported, {file} {kept}")
        page.close()
        assert wrong == []
        return to_tensor(Image.open(io.BytesIO(image)).convert("RGB")), title

    yield show
    context.close()


def our_view(place: str) -> View:
    """Look at the middle of the box."""
    middle = torch.tensor(BOX).mean(0)
    return View.look_at(middle + torch.tensor(EYES[place]), middle, size=SIZE, fov=FOV)


def in_world(place: str) -> dict[str, list[float]]:
    """Give the same camera to three.js, in the world's axes."""
    middle = torch.tensor(BOX).mean(0)
    return {"eye": (middle + torch.tensor(EYES[place])).tolist(), "target": middle.tolist(), "up": [0.0, 0.0, 1.0]}


def in_gltf(place: str) -> dict[str, list[float]]:
    """Give the same camera in glTF's axes."""
    return {name: [x, z, -y] for name, (x, y, z) in in_world(place).items()}


def decibels(image: Float[Tensor, "3 height width"], truth: Float[Tensor, "3 height width"]) -> float:
    """Compare two images."""
    return float(psnr(image[None], truth[None])[0])


@pytest.mark.parametrize("place", EYES)
@pytest.mark.parametrize("file", ["ball.splats.ply", "ball.splat"])
def test_a_viewer_shows_splats_as_we_show_the_scene(
    store: Store, made: Path, shown: Callable, file: str, place: str
) -> None:
    seen, title = shown("splats", file, place, **in_world(place))
    ours = store["ball"].render(our_view(place))[0]
    print(f"{file}, {place}: {decibels(seen, ours):.2f} dB")
    assert title == f"{(made / 'ball.splat').stat().st_size // 32} splats"  # of 32 bytes: none is left out
    assert decibels(seen, ours) > 28  # with splats turned the wrong way it is 24 to 25
    assert decibels(seen.flip(2), ours) < 20  # the measure tells a mirrored picture


@pytest.mark.parametrize("place", EYES)
def test_three_js_shows_the_mesh_as_we_show_the_scene(store: Store, shown: Callable, place: str) -> None:
    view, subject = our_view(place), Subject.of(store, "ball")
    ours = survey(subject.scene, view, subject.sampling, CAMERA.focal)
    seen, title = shown("mesh", "ball.glb", place, **in_gltf(place))
    black, _ = shown("mesh", "ball.glb", f"{place}, black", **in_gltf(place), black=True)
    theirs, solid = black[:1] < 0.5, ours.opacity[0] > 0.5
    overlap = float((theirs & solid).sum() / (theirs | solid).sum())
    off = float((seen - ours.rgb[0]).abs()[:, (theirs & solid)[0]].mean())
    print(f"ball.glb, {place}: {decibels(seen, ours.rgb[0]):.2f} dB, overlap {overlap:.4f}, colours {off:.4f} off")
    assert title == "MeshBasicMaterial"  # unlit
    assert overlap > 0.97
    assert decibels(seen, ours.rgb[0]) > 22 and off < 0.05
    assert decibels(seen.flip(2), ours.rgb[0]) < 20
