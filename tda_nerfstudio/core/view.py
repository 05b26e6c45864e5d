"""Cameras as plain tensors, and made from plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import index
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.base.errors import TdaError

Size = int | Sequence[int]
"""Size of an image in pixels: (width, height), or one number for both."""


@dataclass(frozen=True, eq=False)
class View:
    """Pinhole cameras: OpenGL poses (camera-to-world) in the world frame, intrinsics in pixels of the full image.

    `view[2:5]` selects cameras, `len(view)` counts them. Iterating gives the five tensors. `View.of` and `View.look_at`
    make cameras from plain numbers.
    """

    c2w: Float[Tensor, "view 3 4"]
    fx: Float[Tensor, " view"]
    fy: Float[Tensor, " view"]
    cx: Float[Tensor, " view"]
    cy: Float[Tensor, " view"]
    width: int | None = field(default=None, kw_only=True)
    """Size of the images that the intrinsics are for; None if they are for any size that is asked for."""
    height: int | None = field(default=None, kw_only=True)

    @classmethod
    def of(
        cls,
        c2w: Any,
        fx: Any,
        fy: Any = None,
        cx: Any = None,
        cy: Any = None,
        width: int | None = None,
        height: int | None = None,
    ) -> View:
        """Make cameras from numbers, lists or arrays: poses (one or several, 3 x 4 or 4 x 4) and intrinsics in pixels.

        Each intrinsic is one number for all cameras, or one for each. By default fy is fx, and the principal point is
        the middle of the image. Raises TdaError for what cannot be cameras.
        """
        poses = _numbers("c2w", c2w)
        poses = poses[None] if poses.ndim == 2 else poses
        if poses.ndim != 3 or poses.shape[1:] not in ((3, 4), (4, 4)) or not len(poses):
            shape = " x ".join(map(str, _numbers("c2w", c2w).shape)) or "one number"
            raise TdaError(f"c2w is {shape}. Give camera-to-world matrices: one or several, each 3 x 4 or 4 x 4.")
        if poses.shape[1] == 4 and not torch.allclose(poses[:, 3], poses.new_tensor([0.0, 0.0, 0.0, 1.0]), atol=1e-6):
            raise TdaError("The last row of a c2w is not 0 0 0 1. Is it transposed? The last column is the position.")
        if width is not None and height is not None:
            width, height = image_size((width, height))
            cx, cy = width / 2 if cx is None else cx, height / 2 if cy is None else cy
        if cx is None or cy is None:
            raise TdaError("The principal point is not known. Give width and height, or cx and cy in pixels.")
        given = {"fx": fx, "fy": fx if fy is None else fy, "cx": cx, "cy": cy}
        parts = {name: _numbers(name, value).flatten() for name, value in given.items()}
        for name, part in parts.items():
            if len(part) not in (1, len(poses)):
                raise TdaError(f"{name} has {len(part)} numbers for {len(poses)} cameras. Give one, or one for each.")
            if name in ("fx", "fy") and not (part > 0).all():
                raise TdaError(f"{name} is {float(part.min()):g}. Focal lengths are in pixels, more than 0.")
        spread = [part.expand(len(poses)).float() for part in parts.values()]
        return cls(poses[:, :3].float(), *spread, width=width, height=height)

    @classmethod
    def look_at(
        cls,
        eye: Any,
        target: Any = (0.0, 0.0, 0.0),
        *,
        size: Size,
        fov: float | None = None,
        focal: float | None = None,
        up: Any = (0.0, 0.0, 1.0),
    ) -> View:
        """Place one or several upright cameras at `eye`, in world units, looking at `target`.

        Give either `fov`, the vertical field of view in degrees, or `focal`, the focal length in pixels. Raises
        TdaError for what cannot be cameras, such as an eye at its target.
        """
        width, height = image_size(size)
        if (fov is None) == (focal is None):
            raise TdaError("Give one of fov (vertical, in degrees) and focal (in pixels).")
        if fov is not None:
            if not 0 < fov < 180:
                raise TdaError(f"fov is {fov:g}. Give a vertical field of view between 0 and 180 degrees.")
            focal = height / 2 / math.tan(math.radians(fov) / 2)
        points = {"eye": eye, "target": target, "up": up}
        read = {name: torch.atleast_2d(_numbers(name, value)) for name, value in points.items()}
        for name, value in read.items():
            if value.ndim != 2 or value.shape[1] != 3:
                raise TdaError(f"{name} is {' x '.join(map(str, value.shape))}. Give three numbers for each point.")
        at, upwards = read["eye"], torch.nn.functional.normalize(read["up"], dim=1)
        if len(read["target"]) not in (1, len(at)) or len(upwards) not in (1, len(at)):
            raise TdaError(f"target or up is not given for each of {len(at)} eyes. Give one, or one for each eye.")
        back = at - read["target"]
        if not (back.norm(dim=1) > 1e-9).all():
            raise TdaError("A camera is at its own target. Move its eye away from the target.")
        back = torch.nn.functional.normalize(back, dim=1)
        right = torch.linalg.cross(upwards.expand_as(back), back)
        aside = upwards.roll(1, 1).expand_as(back)  # for cameras that look straight up or down
        right = torch.where(right.norm(dim=1, keepdim=True) > 1e-6, right, torch.linalg.cross(aside, back))
        right = torch.nn.functional.normalize(right, dim=1)
        c2w = torch.stack([right, torch.linalg.cross(back, right), back, at], -1)
        return cls.of(c2w, focal, width=width, height=height)

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.c2w, self.fx, self.fy, self.cx, self.cy))

    def __len__(self) -> int:
        return len(self.fx)

    def __getitem__(self, chosen: slice | Tensor | Sequence[int]) -> Self:
        """Select cameras."""
        return self._each(lambda part: part[chosen])

    def to(self, device: torch.device | str) -> Self:
        """Move to a device."""
        return self._each(lambda part: part.to(device))

    def resized(self, width: int, height: int) -> Self:
        """Change the size of the images: all that was in sight stays in sight, centred and without distortion."""
        if self.width is None or self.height is None or (self.width, self.height) == (width, height):
            return replace(self, width=width, height=height)
        scale = min(width / self.width, height / self.height)
        cx = self.cx * scale + (width - self.width * scale) / 2
        cy = self.cy * scale + (height - self.height * scale) / 2
        return replace(self, fx=self.fx * scale, fy=self.fy * scale, cx=cx, cy=cy, width=width, height=height)

    def scaled(self, across: float, down: float) -> Self:
        """Give the cameras of images that are so many times as wide and as high; each axis is scaled on its own."""
        return replace(self, fx=self.fx * across, fy=self.fy * down, cx=self.cx * across, cy=self.cy * down)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        names = ("c2w", "fx", "fy", "cx", "cy")
        return replace(self, **{name: change(part) for name, part in zip(names, self, strict=True)})


def image_size(size: Size) -> tuple[int, int]:
    """Return an image's (width, height) in pixels. Raises TdaError unless they are whole numbers of at least 1."""
    try:
        pair = [index(side) for side in (size if isinstance(size, Sequence) else (size, size))]
        width, height = pair
    except (TypeError, ValueError):
        width = height = 0
    if min(width, height) < 1:
        raise TdaError(f"An image's size is {size}. Give (width, height) in whole pixels, or one number for both.")
    return width, height


def _numbers(name: str, given: Any) -> Float[Tensor, "*shape"]:
    """Convert numbers to a tensor on the CPU, in float64. Raises TdaError unless they are finite numbers."""
    try:
        values = torch.as_tensor(given, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TdaError(
            f"{name} cannot be read as numbers ({str(error)[:100]}). Give a number, list or array."
        ) from error
    if not values.isfinite().all():
        raise TdaError(f"{name} has numbers that are not finite. Give finite ones.")
    return values
