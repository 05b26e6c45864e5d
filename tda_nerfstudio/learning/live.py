"""How learning goes, to be looked at while it does: a view of the active scene, and curves of what is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tda_nerfstudio.autoencoder.base import Autoencoder
from tda_nerfstudio.autoencoder.identity import IdentityAutoencoder
from tda_nerfstudio.core.metrics import high_frequency_share, psnr
from tda_nerfstudio.core.showing import reconstruct
from tda_nerfstudio.learning.comparison import compare
from tda_nerfstudio.learning.curves import Curves
from tda_nerfstudio.learning.learner import Learner

LOSS, SHARE = "loss", "high frequencies"
"""Kinds of curves: weighted losses by name, and shares of latents' variance at high frequencies, `WHICH/SCENE`."""
SCORED = ("decoded", "reconstructed", "started")
"""Images that are compared with the truth."""
KEPT = 64
"""Reconstructions by the starting autoencoder that are kept."""


@dataclass(frozen=True)
class Sight:
    """One view of a scene after a step, on the CPU."""

    step: int
    scene: str
    label: str
    """Name of the view's image file, without its suffix."""
    held_out: bool
    """Whether the view is held out; a scene without such views shows its first training view."""
    images: dict[str, Float[Tensor, "3 rows columns"]]
    """In [0, 1], as `compare` names them, without latents where there is no autoencoder; in stage 1 also what the
    autoencoder made of the truth before training, `started`."""
    psnr: dict[str, float]
    """dB, of the images that are compared with the truth."""
    shares: dict[str, float]
    """Share of high frequencies in the latents that are `encoded` and `rendered`."""


class Live:
    """Look at the active scene of a learner, and keep curves over steps.

    Looking changes nothing that learning depends on, and draws no random numbers.
    """

    def __init__(
        self, learner: Callable[[], Learner], scene: Callable[[], str], start: Callable[[], Autoencoder] | None
    ) -> None:
        """`learner` and `scene` give those of the moment; `start` builds the autoencoder as it was before training."""
        self.learner, self.scene, self.start = learner, scene, start
        self.curves = Curves()
        self.step = 0
        """The last step that was taken."""
        self._starting: Autoencoder | None = None
        self._started: dict[tuple[str, str], Tensor] = {}

    def note(self, step: int, losses: Mapping[str, Tensor]) -> None:
        """Note the losses of a step."""
        self.step = step
        for name, value in losses.items():
            self.curves.add(f"{LOSS}/{name}", step, value)

    @torch.no_grad()
    def look(self) -> Sight:
        """Look at a view of the active scene, and note the shares of high frequencies. No step may be under way.

        Raises TdaError for an image that cannot be read.
        """
        learner, scene = self.learner(), self.scene()
        views, row = learner.batches.views, learner.names.index(scene)
        table = views.held_out if views.held_out.counts[row] else views.train
        index = torch.tensor([table.offsets[row]])
        truth, label = views.images(table, index), table.labels[int(index)]
        view = table.view[index].to(views.device)
        images, encoded, rendered = compare(learner.scenes, learner.codec, learner.sampling, row, view, truth)
        if self.start is not None:
            images["started"] = self._reconstructed_at_start(scene, label, truth)
        if isinstance(learner.codec, IdentityAutoencoder):  # its latents are the images
            images = {name: images[name] for name in ("truth", "decoded")}
        scores = {name: float(psnr(x, truth)) for name, x in images.items() if name in SCORED}
        shares = {"encoded": high_frequency_share(encoded), "rendered": high_frequency_share(rendered)}
        for which, share in shares.items():
            self.curves.add(f"{SHARE}/{which}/{scene}", self.step, share)
        shown = {name: image[0].nan_to_num().clamp(0, 1).cpu() for name, image in images.items()}
        return Sight(self.step, scene, label, table is views.held_out, shown, scores, shares)

    def losses(self) -> dict[str, tuple[list[int], list[float]]]:
        """Give steps and values of each loss."""
        return self.curves.read(LOSS)

    def shares(self, scene: str) -> dict[str, tuple[list[int], list[float]]]:
        """Give steps and shares of high frequencies of a scene's latents, `encoded` and `rendered`."""
        found = {name.partition("/"): curve for name, curve in self.curves.read(SHARE).items()}
        return {which: curve for (which, _, name), curve in found.items() if name == scene}

    def _reconstructed_at_start(self, scene: str, label: str, truth: Tensor) -> Tensor:
        """Reconstruct a view with the starting autoencoder, which is built when it is first needed and kept."""
        assert self.start is not None
        if self._starting is None:
            self._starting = self.start().to(truth.device).eval().requires_grad_(False)
        known = self._started.pop((scene, label), None)
        if known is None:
            _, known = reconstruct(self._starting, truth)
        self._started[scene, label] = known
        if len(self._started) > KEPT:
            del self._started[next(iter(self._started))]
        return known
