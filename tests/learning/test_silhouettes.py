"""Silhouettes: which rays are drawn, and which space is empty."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from scenes_on_disk import write_scene
from torch import Tensor
from torch.nn.functional import max_pool2d

from tda_nerfstudio.atlas.atlas import read_atlas
from tda_nerfstudio.atlas.bounds import fit_box
from tda_nerfstudio.atlas.carving import silhouette
from tda_nerfstudio.learning.silhouettes import ANYWHERE, MARGIN, Silhouettes
from tda_nerfstudio.learning.views import SceneViews
from tda_nerfstudio.making.procedural.vehicles import vehicle

BOX = torch.tensor([[-0.6] * 3, [0.6] * 3])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def of(tiny_atlas: Path) -> Callable[..., Silhouettes]:
    """Give tests `of(folder, f=2, sub=2)`: the silhouettes of an atlas, by default the tiny one."""

    def make(folder: Path = tiny_atlas, f: int = 2, sub: int = 2) -> Silhouettes:
        return Silhouettes(SceneViews(read_atlas(folder)), f, sub)

    return make


def opaque(folder: Path) -> None:
    """Put a grey wall behind the object in each picture."""
    for path in folder.rglob("*.png"):
        image = Image.open(path).convert("RGBA")
        wall = Image.new("RGBA", image.size, (128, 128, 128, 255))
        Image.alpha_composite(wall, image).convert("RGB").save(path)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """An atlas of one scene: a box of sides 0.4, 0.5 and 0.6 around the origin, six views of 32 x 32 pixels."""
    write_scene(tmp_path / "atlas/box", "nerfstudio", size=32, low=(-0.2, -0.25, -0.3), high=(0.2, 0.25, 0.3))
    return tmp_path / "atlas"


def at_object(found: Silhouettes, view: int) -> Tensor:
    """Compute which parts are at most MARGIN parts away from one that shows the object, straight from the alpha."""
    row = found.views.train.scene_of(view)
    mask = silhouette(found.views.atlas.scenes[row], view - found.views.train.offsets[row]).mask
    assert mask is not None
    shown = max_pool2d(mask[None].float(), found.part)
    return max_pool2d(shown, 2 * MARGIN + 1, stride=1, padding=MARGIN).flatten() > 0


@pytest.mark.parametrize(("f", "sub"), [(2, 2), (8, 4), (8, 1)])
def test_drawn_parts_are_at_the_object_but_for_one_in_eight(of, f: int, sub: int) -> None:
    found, index, few = of(f=f, sub=sub), torch.tensor([1, 13, 40]), 1024
    assert found.parts == (32 * sub // f) ** 2
    parts = found.draw(index, few * ANYWHERE, [generator()])
    assert parts.shape == (3, few * ANYWHERE) and parts.min() >= 0 and parts.max() < found.parts
    for view, own in zip(index.tolist(), parts, strict=True):
        near = at_object(found, view)
        assert torch.equal(own[:-few].unique(), near.nonzero()[:, 0])  # each of them comes, and no other
        assert near.all() or not near[own[-few:]].all()


def test_a_few_parts_have_one_that_is_anywhere(of) -> None:
    found = of()
    near = at_object(found, 5)
    drawn = torch.cat([found.draw(torch.tensor([5]), 3, [generator(seed)]) for seed in range(200)])
    assert near[drawn[:, :2]].all()
    assert float(near[drawn[:, 2]].float().mean()) == pytest.approx(float(near.float().mean()), abs=0.15)


def test_each_equal_share_of_the_views_has_its_own_generator(of) -> None:
    found, index = of(), torch.tensor([3, 4, 20, 21])
    both = found.draw(index, 16, [generator(1), generator(2)])
    assert torch.equal(both[:2], found.draw(index[:2], 16, [generator(1)]))
    assert torch.equal(both[2:], found.draw(index[2:], 16, [generator(2)]))


def test_a_view_without_a_silhouette_draws_anywhere(of, box: Path) -> None:
    assert at_object(of(box), 2).float().mean() < 0.6
    opaque(box)
    found = of(box)
    parts = found.draw(torch.tensor([2]), 20000, [generator()])
    assert torch.equal(parts.unique(), torch.arange(found.parts))
    counts = parts.flatten().bincount().float()
    assert counts.max() < 3 * counts.mean()


def test_parts_of_the_padding_are_counted_and_lie_at_no_object(of, tmp_path: Path) -> None:
    write_scene(tmp_path / "atlas/box", "nerfstudio", size=9)
    found = of(tmp_path / "atlas")
    assert found.size == (10, 10)
    assert found.draw(torch.tensor([0]), 5000, [generator()]).max() == 99


@pytest.mark.parametrize("row", [0, 3, 5])
def test_the_hull_of_a_demo_scene_contains_all_of_its_surface_and_not_much_else(of, row: int) -> None:
    found, mesh = of(), vehicle(0, row)
    space = fit_box(found.views.atlas.scenes)
    surface = torch.from_numpy(mesh.vertices[mesh.faces].mean(1)).float()
    cells = ((surface - space[0]) / (space[1] - space[0]) * 32).long()
    hull = found.hull(row, space, 32)
    assert hull is not None and hull.shape == (32, 32, 32)
    assert hull[cells.unbind(-1)].all() and hull.float().mean() < 0.5


def test_the_hull_of_a_box_contains_every_cell_whose_centre_is_in_it(of, box: Path) -> None:
    hull = of(box).hull(0, BOX, 24)
    centres = (torch.arange(24) + 0.5) * 1.2 / 24 - 0.6
    points = torch.stack(torch.meshgrid(centres, centres, centres, indexing="ij"), -1)
    inside = (points.abs() < torch.tensor([0.2, 0.25, 0.3])).all(-1)
    assert hull is not None and hull[inside].all() and hull.sum() < 4 * inside.sum()


def test_there_is_no_hull_without_silhouettes(of, box: Path) -> None:
    opaque(box)
    assert of(box).hull(0, BOX, 16) is None


def test_silhouettes_that_contradict_each_other_carve_nothing(of, box: Path) -> None:
    found = of(box)
    assert found.hull(0, BOX, 16) is not None
    assert found.hull(0, BOX + 50, 16) is None  # none of the views shows anything there


def test_an_image_that_cannot_be_read_counts_as_no_silhouette(of, box: Path, tmp_path: Path) -> None:
    whole = of(box).hull(0, BOX, 24)
    fewer = tmp_path / "fewer"
    shutil.copytree(box, fewer)
    found = of(fewer)
    train = found.views.atlas.scenes[0].train
    path = train.paths[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    parts = found.draw(torch.tensor([1, 2]), 24000, [generator()])
    assert torch.equal(parts[0].unique(), torch.arange(found.parts))
    assert at_object(found, 2)[parts[1, :21000]].all()
    hull = found.hull(0, BOX, 24)
    assert whole is not None and hull is not None and (hull >= whole).all()
    for other in train.paths:
        other.write_bytes(path.read_bytes())
    assert Silhouettes(found.views, 2, 2).hull(0, BOX, 24) is None
