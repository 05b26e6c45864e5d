"""The model: latent scenes and the autoencoder that turns their renderings into images."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.models.base_model import Model
from nerfstudio.viewer_legacy.server.viewer_utils import IOChangeException
from torch import Tensor
from torch.nn import Parameter
from tyro.conf import Fixed

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.build import build
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.terminal import CONSOLE
from tda_nerfstudio.core.cameras import View, orbit
from tda_nerfstudio.core.enlarging import foreground
from tda_nerfstudio.core.metrics import psnr, ssim
from tda_nerfstudio.core.palette import space_palette
from tda_nerfstudio.core.ray_colours import Colours, ray_colours
from tda_nerfstudio.core.ray_sampling import SamplingConfig
from tda_nerfstudio.core.rendering import Rendering
from tda_nerfstudio.core.scenes import TriPlaneConfig
from tda_nerfstudio.core.showing import OneScene, decode, march, one_scene, show
from tda_nerfstudio.learning.training_step import parameter_groups
from tda_nerfstudio.looking.lettering import message
from tda_nerfstudio.looking.painting import Looked, paint
from tda_nerfstudio.plugin.cameras import as_view
from tda_nerfstudio.plugin.exports import require_surface
from tda_nerfstudio.plugin.options import ModelOptions
from tda_nerfstudio.plugin.ray_bundles import camera_of, see_rays
from tda_nerfstudio.plugin.tda_field import LatentTriPlaneField


@dataclass
class TdaModelConfig(ModelOptions):
    """Latent Tri-Plane scenes seen through an autoencoder."""

    _target: type = field(default_factory=lambda: TdaModel)
    """target class to instantiate"""
    triplane: TriPlaneConfig = field(default_factory=TriPlaneConfig)
    """Sizes of the Tri-Planes."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How densely rays are sampled."""
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    """The autoencoder; the kind 'identity' makes RGB Tri-Planes."""
    seed: Fixed[int] = 0
    """Initialises planes, MLP and autoencoder; set from machine.seed."""


class TdaModel(Model):
    """Own the field and the autoencoder. Render cameras to decoded images, latents, depth and accumulation."""

    config: TdaModelConfig
    autoencoder: Autoencoder
    field: LatentTriPlaneField

    def populate_modules(self) -> None:
        """Build field and autoencoder in their final shapes, since nerfstudio loads checkpoints into them."""
        super().populate_modules()
        names = self.kwargs["metadata"]["scene_names"]
        self.autoencoder = build(self.config.autoencoder, self.config.seed)
        box = self.scene_box.aabb
        channels = self.autoencoder.point_channels
        self.field = LatentTriPlaneField(len(names), channels, self.config.triplane, box, self.config.seed)
        self.native_focal: float | None = None
        """Focal length of the training images in pixels, as `core.showing.show` needs it."""
        self._colours: tuple[int, Colours] | None = None
        """How rays of a scene, given by its row, get their colours."""
        self.looked: Callable[[], Looked | None] = lambda: None
        """Says what the viewer's tab looks at whose thread asks."""

    def get_param_groups(self) -> dict[str, list[Parameter]]:
        """Group all parameters by the names that phases use."""
        return parameter_groups(self.field.scenes, self.autoencoder)

    def get_outputs(self, ray_bundle: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """Render one camera, or a bundle of rays of the active scene: [*ray, channel] for each output.

        Images are decoded as a whole. So a bundle that holds all rays of a camera is decoded, and rays alone get the
        colours that their latents have alone (`core.ray_colours`).
        """
        if isinstance(ray_bundle, Cameras):
            return self.get_outputs_for_camera(ray_bundle)
        scene, sampling = self.scene(self.field.active), self.config.sampling
        if self._colours is None or self._colours[0] != self.field.active:
            require_surface(scene, self.kwargs["metadata"]["scene_names"][self.field.active])
            self._colours = self.field.active, ray_colours(scene, self._some_views(), sampling)
        outputs = see_rays(scene, ray_bundle, sampling, self._colours[1])
        view = camera_of(ray_bundle)
        if view is not None and view.width is not None and view.height is not None:
            shown = show(*scene, view.to(self.device), view.height, view.width, sampling, self.native_focal, ("rgb",))
            outputs["rgb"] = shown["rgb"][0].permute(1, 2, 0).contiguous()
        return outputs

    def get_outputs_for_camera_ray_bundle(self, camera_ray_bundle: RayBundle) -> dict[str, Tensor]:
        """Render a bundle [height, width]: at once if it is a camera's, which is decoded as a whole."""
        device = camera_ray_bundle.origins.device
        return {name: value.to(device) for name, value in self.get_outputs(camera_ray_bundle).items()}

    def get_rgba_image(self, outputs: dict[str, Tensor], output_name: str = "rgb") -> Tensor:
        """Add opacity to an output of colours on white, and take the white away from them."""
        opacity = outputs["accumulation"]
        colours = foreground(outputs[output_name].movedim(-1, 0), opacity.movedim(-1, 0)).movedim(0, -1)
        return torch.cat([colours, opacity], -1)

    def _some_views(self) -> View:
        """Place cameras around the box, as far away as it needs, to learn what decoded colours are."""
        box, focal, size = self.field.scenes.box.cpu(), float(self.native_focal or 128.0), 128
        distance = float((box[1] - box[0]).norm()) * focal / size
        return orbit(4, distance, 18.0, focal, (size, size), box.mean(0))

    @torch.no_grad()
    def scene(self, row: int) -> OneScene:
        """Take a scene out of the table, as `march` and `show` need it."""
        return one_scene(self.field.scenes, row, self.autoencoder)

    def render(self, scene: int, view: View, height: int, width: int) -> tuple[Rendering, Tensor]:
        """Render views of a scene, given by its row, at an image size. Also decodes them to images in [0, 1]."""
        rendering = march(*self.scene(scene), view, height, width, self.config.sampling)
        return rendering, decode(self.autoencoder, rendering, height, width)

    def scene_of(self, camera: Cameras) -> int:
        """Find the row of the scene that a camera shows: its `scene_idx`, or the active scene."""
        metadata = camera.metadata or {}
        return int(metadata["scene_idx"].flatten()[0]) if "scene_idx" in metadata else self.field.active

    @torch.no_grad()
    def get_outputs_for_camera(self, camera: Cameras, obb_box: Any = None) -> dict[str, Tensor]:
        """Render one camera: rgb, latent, depth [world units], normals, accumulation, each [height, width, channel].

        All but depth are in [0, 1], as nerfstudio shows images of one and of three channels without a colour map. Depth
        is 0 where nothing is. In a thread of the viewer, rgb is the picture that our controls in its tab ask for.

        In a thread of the viewer, an error is printed, and rgb says what it is. To raise would end the thread and
        freeze the viewer.
        """
        try:
            return self._outputs(camera)
        except IOChangeException:  # nerfstudio interrupts a picture that nobody waits for any more
            raise
        except Exception as error:
            if threading.current_thread() is threading.main_thread():
                raise
            CONSOLE.print(f"This view cannot be rendered: {error}", style="yellow", markup=False)
            height, width = int(camera.height.flatten()[0]), int(camera.width.flatten()[0])
            said = torch.tensor(message(f"This cannot be shown. {error}", width, height), device=self.device) / 255
            white, nothing = torch.ones_like(said), torch.zeros_like(said[..., :1])
            return {"rgb": said, "latent": white, "depth": nothing, "normals": white, "accumulation": nothing}

    def _outputs(self, camera: Cameras) -> dict[str, Tensor]:
        height, width = int(camera.height.flatten()[0]), int(camera.width.flatten()[0])
        view = as_view(camera.reshape((1,)) if camera.shape == () else camera, self.device)
        looked, table, sampling = self.looked(), self.field.scenes, self.config.sampling
        if looked is None:
            scene = self.scene(self.scene_of(camera))
            palette, quick = space_palette(table, self.autoencoder, table.weights.mean(0)), False
        else:
            palette, quick = looked.shelf.palette(looked.look), looked.quick
            scene = looked.shelf.sight(looked.look)
        shown = show(*scene, view, height, width, sampling, self.native_focal, palette=palette, quick=quick)
        outputs = {name: image[0].permute(1, 2, 0).contiguous() for name, image in shown.items()}
        if looked is not None and not looked.look.is_decoded:
            painted = paint(looked.shelf, looked.look, View(*view, width=width, height=height), quick)
            outputs["rgb"] = torch.tensor(painted, device=self.device) / 255
        return outputs

    def get_loss_dict(self, outputs: Any, batch: Any, metrics_dict: Any = None) -> dict[str, Tensor]:
        """Return no losses: the Learner computes them."""
        return {}

    def get_image_metrics_and_images(
        self, outputs: dict[str, Tensor], batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Compute PSNR [dB] and SSIM of one decoded view, and an image of truth and decoding side by side."""
        decoded = outputs["rgb"].permute(2, 0, 1)[None]
        truth = batch["image"].to(decoded)[..., :3].permute(2, 0, 1)[None]
        values = {"psnr": float(psnr(decoded, truth)), "ssim": float(ssim(decoded, truth))}
        return values, {"img": torch.cat([truth[0], decoded[0]], 2).permute(1, 2, 0), "depth": outputs["depth"]}
