"""The dataparser `tda-atlas`. Any method can have one scene of an atlas; our methods have all of them.

nerfstudio imports this module half-way through its own: nothing but cameras, dataparsers, scene_box and the plugin
registry may be imported from it here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.plugins.registry_dataparser import DataParserSpecification
from torch import Tensor
from tyro.conf import Suppress

from tda_nerfstudio.atlas.atlas import Atlas, read_atlas
from tda_nerfstudio.atlas.bounds import fit_box
from tda_nerfstudio.atlas.posed import PosedImages, Scene
from tda_nerfstudio.atlas.prepared import plain_files
from tda_nerfstudio.base.errors import TdaError, listed, suggest
from tda_nerfstudio.core.camera_ring import order_by_azimuth
from tda_nerfstudio.plugin.cameras import as_cameras
from tda_nerfstudio.plugin.quiet import silence_our_commands

silence_our_commands()


@dataclass
class TdaAtlasConfig(DataParserConfig):
    """An atlas: a folder with one sub-folder of posed images per scene."""

    _target: type = field(default_factory=lambda: TdaAtlas)
    """target class to instantiate"""
    data: Path = Path()
    """The atlas: scenes in blender, nerfstudio or ShapeNet-SRN layout."""
    scenes: tuple[str, ...] = ()
    """Which scenes: names, globs, index ranges (0:24), split files (splits.json#key), !exclusions; all by default."""
    test_views: tuple[str, ...] = ()
    """Which views are held out, by the same rules; the files' own split, else every eval-every-th view, by default."""
    eval_every: int = 8
    """Hold out every so many views where the files name no test split."""
    train_views: int | None = None
    """Learn from so many training views of each scene, taken from as different sides as possible; all by default."""
    box: tuple[float, float, float, float, float, float] | None = None
    """The atlas' box, min x y z then max x y z in the files' world frame; fitted to the silhouettes by default."""
    scene: str | None = None
    """The scene that viewer, renderer and stock methods see; the first one by default."""
    split_key: str | None = None
    """The key that is read from split files which are named without one."""
    names: Annotated[tuple[str, ...] | None, Suppress] = None
    """The scenes of a run, in the order of its checkpoint's rows: filled in when it begins, whatever an atlas gains."""
    broken: Annotated[dict[str, str] | None, Suppress] = None
    """The scenes that were left out then, with the reasons."""


@lru_cache(maxsize=4)
def _read(
    root: Path, scenes: tuple[str, ...], test_views: tuple[str, ...], every: int, key: str | None, train: int | None
) -> Atlas:
    return read_atlas(root, scenes, test_views, every, key, train)


class TdaAtlas(DataParser):
    """Read an atlas once, and describe any of its scenes to nerfstudio."""

    config: TdaAtlasConfig
    includes_time: bool = False
    downscale_factor: int | None = None
    part: tuple[int, ...] | None = None
    """Positions, among the chosen scenes, of those of the current wave. None means all."""

    def atlas(self) -> Atlas:
        """Return the scenes of the current wave. Raises TdaError as `whole` does."""
        whole = self.whole()
        return whole if self.part is None else replace(whole, scenes=tuple(whole.scenes[i] for i in self.part))

    def whole(self) -> Atlas:
        """Read the chosen scenes. Broken ones are left out, and `broken` has the reasons.

        A run that has begun keeps its scenes. Raises TdaError if the folder is missing or has no good scene, or if a
        scene of the run cannot be read any more.
        """
        c = self.config
        read = partial(
            _read,
            Path(c.data),
            test_views=tuple(c.test_views),
            every=c.eval_every,
            key=c.split_key,
            train=c.train_views,
        )
        if c.names is None:
            return read(scenes=tuple(c.scenes))
        try:
            atlas = read(scenes=c.names)
        except TdaError as error:
            raise TdaError(f"Not all scenes that this run has learnt are there any more. {error}") from error
        for reason in atlas.broken.values():
            raise TdaError(f"Not all scenes that this run has learnt can be read any more. {reason}")
        return replace(atlas, broken=c.broken or {})

    def box(self) -> Float[Tensor, "2 3"]:
        """Return the box of the whole atlas: the configured one, or else one that is fitted to all scenes."""
        if self.config.box is None:
            self.config.box = tuple(fit_box(self.whole().scenes).flatten().tolist())
        return torch.tensor(self.config.box).view(2, 3)

    def find(self, name: str | None) -> Scene:
        """Find a scene by name; the configured or the first one by default. Raises TdaError for an unknown name."""
        atlas = self.atlas()
        name = name or self.config.scene or atlas.scenes[0].name
        for scene in atlas.scenes:
            if scene.name == name:
                return scene
        names = [scene.name for scene in atlas.scenes]
        raise TdaError(f"Unknown scene '{name}' in {atlas.root} ({listed(names)}).{suggest(name, names)}")

    def views(self, name: str | None, split: Literal["train", "test"]) -> PosedImages:
        """Return one scene's views of a split. Training views stand in for held-out ones if there are none.

        Held-out views are in the order of a path around the scene, since renderers interpolate between them.
        """
        scene = self.find(name)
        if split == "train":
            return scene.train
        views = scene.test if len(scene.test) else scene.train
        return views[order_by_azimuth(views.c2w, self.box().mean(0))]

    def outputs(self, name: str | None, split: Literal["train", "test"]) -> DataparserOutputs:
        """Describe one scene's views to nerfstudio, with `scene_idx` on every camera."""
        scene, atlas, views = self.find(name), self.atlas(), self.views(name, split)
        index = next(i for i, other in enumerate(atlas.scenes) if other.name == scene.name)
        return DataparserOutputs(
            image_filenames=list(views.paths),
            cameras=as_cameras(views, torch.tensor([index])),
            alpha_color=torch.ones(3),
            scene_box=SceneBox(aabb=self.box()),
            metadata={"scene_names": [other.name for other in atlas.scenes]},
        )

    def _generate_dataparser_outputs(self, split: str = "train", **kwargs) -> DataparserOutputs:
        """Describe the configured scene to any method. Images that others would read differently are copied."""
        own = "train" if split == "train" else "test"
        outputs = self.outputs(None, own)
        return replace(outputs, image_filenames=plain_files(self.views(None, own)))


tda_atlas = DataParserSpecification(config=TdaAtlasConfig(), description="An atlas of many similar scenes.")
