"""Lighter stores: the same renders with orthonormal base planes, and what is dropped."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tda_nerfstudio.base.errors import StoreError
from tda_nerfstudio.core.scenes import LatentScenes, TriPlaneConfig
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.lighter import lighten, orthonormal
from tda_nerfstudio.store.shared_parts import SharedParts, write_shared_parts
from tda_nerfstudio.store.store import Store


@pytest.fixture
def mixture() -> tuple[torch.Tensor, torch.Tensor]:
    seed = torch.Generator().manual_seed(0)
    base = torch.randn(5, 3, 4, 4, 2, generator=seed)
    base[4] = base[0] - 2 * base[1]  # four directions
    return base, torch.randn(7, 5, generator=seed)


def test_orthonormal_planes_mix_to_the_same_planes(mixture):
    base, weights = mixture
    planes, change = orthonormal(base, weights)
    mixed = torch.einsum("nm,m...->n...", weights @ change, planes)
    torch.testing.assert_close(mixed, torch.einsum("nm,m...->n...", weights, base), rtol=0, atol=1e-5)
    gram = planes.flatten(1) @ planes.flatten(1).T / planes[0].numel()
    torch.testing.assert_close(gram, torch.diag(torch.tensor([1.0, 1, 1, 1, 0])), rtol=0, atol=1e-5)
    energy = (weights @ change).square().mean(0)
    assert (energy[:-1] >= energy[1:]).all() and float(energy[4]) < 1e-9


def test_fewer_planes_lose_no_more_than_the_directions_that_are_dropped(mixture):
    base, weights = mixture
    planes, change = orthonormal(base, weights)
    exact = torch.einsum("nm,m...->n...", weights, base)
    for kept in range(1, 5):
        rest = torch.einsum("nm,m...->n...", (weights @ change)[:, :kept], planes[:kept]) - exact
        dropped = (weights @ change)[:, kept:].square().sum(1).mean()
        torch.testing.assert_close(rest.square().flatten(1).mean(1).mean(), dropped, rtol=1e-4, atol=1e-8)


def test_a_lighter_store_shows_the_same(store: Store, tmp_path):
    lighter, view = lighten(store, tmp_path / "light", precision="fp32"), store.orbit(2)
    assert sorted(lighter) == sorted(store) and lighter.manifest.hash != store.manifest.hash
    for name in store:
        before, after = store[name].render(view), lighter[name].render(view)
        torch.testing.assert_close(after, before, rtol=0, atol=2e-3)  # float16 of other base planes
        assert lighter.record(name) == store.record(name)


def test_base_planes_that_are_dropped_leave_files_and_manifest(store: Store, tmp_path):
    lighter = lighten(store, tmp_path / "light", bases=2)
    assert lighter.manifest.config.triplane.bases == 2 and not lighter.verify()
    assert lighter["van"].learnt.weights.shape == (2,) and lighter.shared.weights.shape == (2,)
    assert lighter["van"].render(store.orbit(1)).shape == (1, 3, 16, 16)


def test_what_cannot_be_kept_is_refused(store: Store, tmp_path):
    with pytest.raises(StoreError, match="has 4 base planes: keep 1 to that many, not 9"):
        lighten(store, tmp_path / "light", bases=9)
    lighten(store, tmp_path / "light")
    with pytest.raises(StoreError, match="light is a store already. Name a new folder."):
        lighten(store, tmp_path / "light")


def test_a_scene_without_micro_planes_knows_where_it_is_empty(store: Store, parts: SharedParts, tmp_path):
    triplane = TriPlaneConfig(6, 0, 2, 4, 5, grid=3)
    scenes = LatentScenes(1, 4, triplane, seed=2)
    config = replace(parts.config, triplane=triplane)
    ultra = replace(parts, config=config, scenes=scenes, weights=scenes.weights[0].detach())
    write_shared_parts(tmp_path / "ultra", ultra, store.manifest.camera, {})
    light = Store(tmp_path / "ultra")
    light.add([LearntScene(Record("van"), torch.zeros(3, 6, 6, 0), torch.randn(4))])
    scene = Store(tmp_path / "ultra")["van"]
    assert scene.learnt.occupied is None and scene.occupied.shape == (3, 3, 3)
    whole = replace(scene.learnt, occupied=torch.ones(3, 3, 3, dtype=torch.bool))
    everywhere = type(scene)(scene.shared, scene.camera, whole)
    torch.testing.assert_close(scene.render(light.orbit(2)), everywhere.render(light.orbit(2)), rtol=0, atol=0.02)
