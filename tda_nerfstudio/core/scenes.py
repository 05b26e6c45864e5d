"""Latent scenes: a table of micro planes and weights, and the base planes and MLP that all scenes share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tda_nerfstudio.core import triplane
from tda_nerfstudio.core.activation import softplus
from tda_nerfstudio.core.occupancy import occupied_cells
from tda_nerfstudio.core.starter import Starter
from tda_nerfstudio.core.surface import Surface


@dataclass
class TriPlaneConfig:
    """Sizes of the Tri-Planes; the defaults are the paper's, but for the channels of base planes."""

    resolution: int = 64
    """R: cells along each side of a plane."""
    micro_channels: int = 10
    """F_mic: features of a plane that belong to one scene alone; with 0, a scene is its M weights."""
    macro_channels: int = 6
    """F_mac: features of a plane that are mixed from the shared base planes. The paper's 22 gain nothing here, make a
    step a third longer, and shared parts three times as large."""
    bases: int = 50
    """M: base planes shared by all scenes; with 0, scenes share nothing but the MLP."""
    hidden: int = 64
    """Width of the MLP's only hidden layer."""
    grid: int = 32
    """G: cells along each side of the grid that says where a scene is empty."""
    starter: int = 0
    """Width of the network that gives a new scene its first micro planes; 0: there is none."""

    @property
    def shares(self) -> bool:
        """Whether scenes have base planes in common."""
        return self.bases > 0 and self.macro_channels > 0

    @property
    def starts(self) -> bool:
        """Whether a network gives new scenes their first planes."""
        return self.starter > 0 and self.micro_channels > 0

    @property
    def micro_spread(self) -> float:
        """Standard deviation of random micro planes: faint beside base planes, which all scenes learn first."""
        return 0.01 if self.shares else 0.1

    @property
    def channels(self) -> int:
        """F: features of a fused plane."""
        return self.micro_channels + (self.macro_channels if self.shares else 0)


class LatentScenes(nn.Module):
    """N scenes, with density and latent colour at any point of each (T_s and the MLP of Sec. 3 of 2403.11678).

    Parameters: micro [N, 3 R R F_mic] and weights [N, M], whose gradients are sparse; base [M, 3, R, R, F_mac]; the
    MLP, hidden and head; and those of the starter, if there is one. Buffers: box [2, 3], the lowest and highest corner
    of the space that the planes span, in the world frame; occupied [N, G, G, G], indexed [x, y, z], the cells of the
    box that rays sample, at first all.
    """

    def __init__(self, scenes: int, latent_channels: int, config: TriPlaneConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        r, bases = config.resolution, config.bases if config.shares else 0
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            micro = config.micro_spread * torch.randn(scenes, 3 * r * r * config.micro_channels)
            self.micro = nn.Parameter(micro, requires_grad=micro.numel() > 0)  # no optimizer would clear its gradient
            self.weights = nn.Parameter(torch.randn(scenes, bases) / max(bases, 1) ** 0.5)
            self.base = nn.Parameter(0.1 * torch.randn(bases, 3, r, r, config.macro_channels))
            self.hidden = nn.Linear(config.channels, config.hidden)
            self.head = nn.Linear(config.hidden, 1 + latent_channels)
            shared = config.channels - config.micro_channels
            starter = Starter(config.micro_channels, shared, bases, config.starter) if config.starts else None
            self.starter = starter
        self.register_buffer("box", torch.tensor([[-1.0] * 3, [1.0] * 3]))
        self.box: Tensor
        self.register_buffer("occupied", torch.ones(scenes, *[config.grid] * 3, dtype=torch.bool))
        self.occupied: Tensor

    def __len__(self) -> int:
        return len(self.micro)

    @property
    def channels(self) -> int:
        """Latent channels of a point."""
        return self.head.out_features - 1

    def planes(self, scene: Int[Tensor, " scene"]) -> Float[Tensor, "scene 3 R R F"]:
        """Fuse the planes of some scenes. `scene` holds rows of the table, each at most once."""
        lookup = torch.nn.functional.embedding
        r = self.config.resolution
        micro = lookup(scene, self.micro, sparse=True).view(len(scene), 3, r, r, self.config.micro_channels)
        if not len(self.base):
            return micro
        return triplane.fuse(micro, lookup(scene, self.weights, sparse=True), self.base)

    def unit(self, points: Float[Tensor, "point 3"]) -> Float[Tensor, "point 3"]:
        """Map world points to box coordinates, which are in [-1, 1] inside the box."""
        return (points - self.box[0]) * (2 / (self.box[1] - self.box[0])) - 1

    def length_scale(self) -> Tensor:
        """Factor from world lengths to the unit of densities, half of the box' longest side."""
        return 2 / (self.box[1] - self.box[0]).amax()

    def cell_side(self) -> Tensor:
        """Return the longest side, in world units, of a cell of the grid that says where a scene is empty."""
        return (self.box[1] - self.box[0]).amax() / self.config.grid

    def features(self, planes: Tensor, points: Float[Tensor, "point 3"], slot: Tensor) -> Float[Tensor, "point hidden"]:
        """Compute the MLP's hidden layer at world points. `slot` is each point's scene among `planes`."""
        return softplus(self.hidden(triplane.sample(planes, self.unit(points), slot)))

    def density(self, features: Float[Tensor, "point hidden"]) -> Float[Tensor, " point"]:
        """Compute densities alone, per unit of length (`length_scale`)."""
        raw = torch.nn.functional.linear(features, self.head.weight[:1], self.head.bias[:1])
        return softplus(raw[:, 0] - 1)

    def density_and_colour(self, features: Tensor) -> tuple[Float[Tensor, " point"], Float[Tensor, "point channel"]]:
        """Compute densities, and latent colours in [0, 1]: a sigmoid, stretched by 0.1 % to reach both ends."""
        raw = self.head(features)
        return softplus(raw[:, 0] - 1), torch.sigmoid(raw[:, 1:]) * 1.002 - 0.001

    @torch.no_grad()
    def cells(self, planes: Float[Tensor, "3 R R F"]) -> tuple[Float[Tensor, "G G G"], Float[Tensor, "G G G channel"]]:
        """Compute density and latent colour in [0, 1] at the centres of the occupancy grid's cells, indexed [x, y, z].

        Equal to what `features` gives at these points, but faster: the hidden layer is linear, so that it is applied to
        the G^2 cells of each plane before the planes are summed.
        """
        grid = self.config.grid
        cells = torch.nn.functional.interpolate(planes.permute(0, 3, 1, 2), (grid, grid), mode="bilinear")
        xy, xz, yz = torch.einsum("pfvu,hf->puvh", cells, self.hidden.weight)
        raw = xy[:, :, None] + xz[:, None] + yz[None] + self.hidden.bias
        density, colour = self.density_and_colour(softplus(raw).flatten(0, 2))
        return density.view(grid, grid, grid), colour.view(grid, grid, grid, -1)

    @torch.no_grad()
    def filled(self, planes: Float[Tensor, "3 R R F"], background: Float[Tensor, " C"]) -> Bool[Tensor, "G G G"]:
        """Find the cells where fused planes show something over a background in (-1, 1)."""
        density, colour = self.cells(planes)
        return occupied_cells(density[None], 2 * colour[None] - 1, background.view(self.channels, -1).mean(1))[0]

    @torch.no_grad()
    def refresh(
        self,
        scene: Int[Tensor, " scene"],
        background: Float[Tensor, " C"],
        grow: bool,
        within: Mapping[int, Bool[Tensor, "G G G"]] | None = None,
    ) -> None:
        """Update `occupied` of some scenes over a background in (-1, 1); with `grow`, occupied cells stay occupied.

        No cell outside those of `within`, by a scene's row, becomes occupied.
        """
        for s, planes in zip(scene.tolist(), self.planes(scene), strict=True):
            found = self.filled(planes, background)
            hull = (within or {}).get(s)
            found = found if hull is None else found & hull
            self.occupied[s] = found | self.occupied[s] if grow else found

    @torch.no_grad()
    def diverged(self, names: Sequence[str]) -> list[str]:
        """Return the names of scenes with numbers that are not finite. `names` are those of the first rows."""
        sums = self.micro.sum(1) + self.weights.sum(1)
        return [name for name, total in zip(names, sums.tolist(), strict=False) if not math.isfinite(total)]

    @torch.no_grad()
    def cold_start(self, generators: Sequence[torch.Generator]) -> None:
        """Initialise the first rows at random, each by its own generator, and mark all cells as occupied."""
        for row, generator in enumerate(generators):
            self.micro[row] = self.config.micro_spread * torch.randn(self.micro.shape[1:], generator=generator)
            self.weights[row] = torch.randn(self.weights.shape[1:], generator=generator) / max(len(self.base), 1) ** 0.5
        self.occupied.fill_(True)

    def first_planes(
        self, weights: Float[Tensor, " base"], surfaces: Sequence[Surface]
    ) -> tuple[Float[Tensor, "scene 3 R R mic"], Float[Tensor, "scene base"]]:
        """Give micro planes and weights to scenes of which only surfaces are known, by the starter.

        `weights` are those that scenes have in the mean.
        """
        assert self.starter is not None
        macro = triplane.fuse(self.micro.new_empty(1, 3, *[self.config.resolution] * 2, 0), weights[None], self.base)[0]
        micro, more = self.starter(surfaces, macro)
        return micro, weights + more

    @torch.no_grad()
    def start_row(self, row: int, weights: Float[Tensor, " base"], surface: Surface) -> None:
        """Put a row where the starter says."""
        micro, own = self.first_planes(weights, [surface])
        self.micro[row], self.weights[row] = micro.flatten(), own[0]

    @torch.no_grad()
    def warm_start(self, weights: Float[Tensor, " base"], occupied: Bool[Tensor, "G G G"]) -> None:
        """Initialise every scene with micro planes of 0, the given weights of base planes, and the given cells."""
        self.micro.zero_()
        self.weights.copy_(weights.expand_as(self.weights))
        self.occupied.copy_(occupied.expand_as(self.occupied))
