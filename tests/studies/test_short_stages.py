"""Both stages without nerfstudio: an atlas of ellipsoids, what is learnt of it, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_bench import TINY

from tda_nerfstudio.atlas.images import read_alpha, read_image
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.store.manifest import SharedConfig
from tda_nerfstudio.studies.bench import ellipsoids
from tda_nerfstudio.studies.short_stages import Length, draw_atlas, learn

LENGTH = Length((2, 1), (60, 40), (6, 2))


def learnt(atlas, length=LENGTH, show=lambda *_: None):
    config = SharedConfig(TINY.triplane, TINY.autoencoder, TINY.sampling)
    return learn(atlas, torch.device("cpu"), length, config, 0, show)


def test_an_atlas_of_ellipsoids_has_exact_pictures(tmp_path: Path):
    atlas = draw_atlas(tmp_path, LENGTH, 16, seed=2)
    assert atlas.names == ("vehicle_00", "vehicle_01", "vehicle_02") and (atlas.width, atlas.height) == (16, 16)
    scene = atlas.scenes[1]
    assert (len(scene.train), len(scene.test)) == (6, 2)
    drawn = ellipsoids.pictures(ellipsoids.make_vehicle(2001), scene.test[:1], 16)[0, :3]
    found = read_image(scene.test.pictures[0], 16, 16)
    assert (found.permute(2, 0, 1) / 255 - drawn).abs().max() < 0.01 and read_alpha(scene.test.pictures[0]).min() == 255


def test_the_same_seed_learns_the_same_and_more_than_blank_images(tmp_path: Path):
    atlas, told = draw_atlas(tmp_path, LENGTH, 16, 0), []
    found = learnt(atlas, show=lambda *progress: told.append(progress))
    assert found == learnt(atlas)
    assert min(found.stage_one, found.stage_two) > found.blank + 1
    untrained = learnt(atlas, replace(LENGTH, steps=(3, 1)))
    assert untrained.stage_one < found.stage_one and untrained.stage_two < found.stage_two
    assert told[0] == ("stage 1", 0, 100) and ("stage 2", 60, 100) in told and told[-1] == ("", 100, 100)


def test_too_few_scenes_are_refused(tmp_path: Path):
    atlas = draw_atlas(tmp_path, Length((1, 1), views=(2, 1)), 16, 0)
    with pytest.raises(TdaError, match="has 2 good scenes. Give an atlas of 3 or more"):
        learnt(atlas)
