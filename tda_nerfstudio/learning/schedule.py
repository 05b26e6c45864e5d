"""Schedules as plain data: which losses act, which parameter groups move, how fast and for how long.

Stage 1, the strategies of stage 2 and the RGB baseline differ in training by their lists of phases only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self

from tda_nerfstudio.autoencoder.config import FULL_RESOLUTION, AutoencoderConfig
from tda_nerfstudio.base.errors import TdaError, suggest
from tda_nerfstudio.core.phase import GROUPS, Phase

WARMUP, SHORT_WARMUP = 600, 60
"""Stage 1's visits of warm-up for an autoencoder with random weights, and for one with pre-trained weights."""
LONGER = 0.05
"""Visits in random parts that teach scenes as much as one in whole views, since steps are so much smaller."""
STARTER_STEPS, START_TV = 6000, 0.01
"""Most steps that teach the starter, and the weight of L_tv in them."""
SCENE_RATES = {"micro": 1e-1, "weights": 1e-1}
"""Learning rates of a scene's own parameters: at 3e-2, 200 visits of stage 2 end 1.8 dB lower; 2e-1 gains 0.1 dB."""


class Setting(NamedTuple):
    """What a schedule is for, by which it fills in what was left open."""

    autoencoder: AutoencoderConfig = AutoencoderConfig()
    """As it is resolved."""
    share: float = 1 / 16
    """Share of a view that a step's rays of a scene are."""
    views: int = 40
    """Training views of a scene."""
    scenes: int = 1
    """Scenes that are learnt together."""
    starter: bool = False
    """Whether scenes have a starter."""

    def visits(self, steps: int) -> float:
        """Count the visits of so many steps, fewer for one to three views, which are soon fitted too well.

        Larger images do not get more steps: they need more rays only for what is finer in them.
        """
        return steps * self.share * min(1.0, (self.views / 4) ** 2)

    def tv_weight(self, power: int) -> float:
        """The weight of L_tv: the fewer views say how a scene looks, the more does smoothness.

        The higher the power, the more so: 2 for scenes of which nothing else is known, 1 for those that the starter
        has placed.
        """
        return round(min(10.0 ** (power - 2), 0.01 * max(1.0, 40 / max(self.views, 1)) ** power), 4)


@dataclass
class Schedule:
    """Base class of all schedules."""

    def phases(self) -> list[Phase]:
        """List the phases in order."""
        raise NotImplementedError

    @property
    def independent(self) -> bool:
        """Whether scenes do not depend on each other, since nothing that they share moves."""
        return False

    def fitted(self, setting: Setting) -> Self:
        """Fill in the lengths, the space and the weight of L_tv that were left open."""
        return self

    def _filled(self, **values: Any) -> Self:
        return replace(self, **{name: value for name, value in values.items() if getattr(self, name) is None})


def moving(rates: Mapping[str, float], *groups: str) -> dict[str, float]:
    """Select the rates of some groups. Raises TdaError for an unknown group among `rates` or a rate of 0 or less."""
    for group, rate in rates.items():
        if group not in GROUPS:
            raise TdaError(
                f"--pipeline.schedule.rates names the parameter group '{group}', which does not exist."
                f"{suggest(group, GROUPS)} There are: {', '.join(GROUPS)}."
            )
        if not rate > 0:
            raise TdaError(f"--pipeline.schedule.rates.{group} must be above 0, not {rate}.")
    return {group: rates[group] for group in groups if group in rates}


@dataclass
class StageOne(Schedule):
    """Learn the 3D-aware autoencoder together with N latent scenes (Sec. 3.2 of 2403.11678)."""

    warmup_visits: float | None = None
    """Visits for L_ae alone; 0 skips it. By default as many as the autoencoder's start needs."""
    latent_visits: float | None = None
    """Visits for the scenes alone, on cached latents of the frozen autoencoder. By default 256 steps of every scene."""
    joint_visits: float | None = None
    """Visits for everything together. By default 8, or 300 with an autoencoder that is not at full resolution."""
    space: Literal["colours", "3d-aware", "standard"] | None = None
    """Whether latents stay colours and only the decoder learns, or encoder and decoder learn together with the scenes;
    'standard' gives the autoencoder the joint phase's visits of L_ae alone, then fits scenes to it. By default, colours
    with an autoencoder of that kind, 3d-aware with others."""
    ae_weight: float = 1.0
    """Weight of L_ae in the joint phase (the paper's 0.1 lets latents shrink)."""
    start_visits: float | None = None
    """Visits that teach the starter, the network that gives new scenes their first planes. By default 48 steps of every
    scene, and no more than 6,000 in all."""
    latent_weight: float = 0.1
    """Weight of L_latent in the joint phase; near 1 all channels become one smooth silhouette, and colours are lost."""
    tv_weight: float = 3e-3
    """Weight of L_tv, a mean, in every phase that renders."""
    latent_noise: float = 0.1
    """Noise on latents before decoding in the joint phase, as a share of their standard deviation."""
    warmup_rate: float = 3e-3
    """Learning rate of encoder and decoder in the warm-up."""
    rates: dict[str, float] = field(
        default_factory=lambda: (
            SCENE_RATES | {"base": 3e-2, "mlp": 1e-2, "starter": 4e-3, "encoder": 2e-3, "decoder": 2e-3}
        )
    )
    """Learning rate of each parameter group at the start of every phase in which it moves, the warm-up left out."""

    def fitted(self, setting: Setting) -> StageOne:
        """Fill in what was left open.

        Raises TdaError for a space that this autoencoder cannot have: colours need one whose encoder starts as a mean
        of pixels, and the others one whose encoder can learn.
        """
        autoencoder, kind = setting.autoencoder, setting.autoencoder.kind
        fine = kind in FULL_RESOLUTION
        space = self.space or ("colours" if kind == "colours" else "3d-aware")
        if space == "colours" and kind in ("kl", "tiny"):
            raise TdaError(
                f"--pipeline.schedule.space colours needs an autoencoder that starts with the image's colours, and"
                f" '{kind}' does not. Give --pipeline.model.autoencoder.kind colours (at full resolution) or light (at"
                " half), or another space."
            )
        if space != "colours" and kind in ("colours", "identity"):
            raise TdaError(
                f"--pipeline.schedule.space {space} needs an encoder that learns, and that of '{kind}' does not."
                " Give --pipeline.model.autoencoder.kind fine, which starts alike, or light."
            )
        warmup = 0 if fine else SHORT_WARMUP if autoencoder.knows or autoencoder.start == "colours" else WARMUP
        start = min(48, STARTER_STEPS / setting.scenes) * setting.share if setting.starter else 0
        lengths = {"latent_visits": setting.visits(256), "joint_visits": 8 if fine else 300, "start_visits": start}
        return self._filled(warmup_visits=warmup, space=space, **lengths)

    def phases(self) -> list[Phase]:
        if not self.start_visits:
            return self._space_phases()
        start = Phase("start", self.start_visits, {"latent": 1.0, "tv": START_TV}, moving(self.rates, "starter"))
        return [*self._space_phases(), start]

    def _space_phases(self) -> list[Phase]:
        """List the phases that learn the latent space and the scenes in it."""
        own = self.fitted(Setting())
        scene_rates = moving(self.rates, "micro", "weights", "base", "mlp")
        joint_ae_rates = moving(self.rates, "encoder", "decoder")
        if not self.warmup_rate > 0:
            raise TdaError(f"--pipeline.schedule.warmup-rate must be above 0, not {self.warmup_rate}.")
        ae_rates = {"encoder": self.warmup_rate, "decoder": self.warmup_rate}
        warmup = Phase("warm-up", own.warmup_visits or 0, {"ae": 1.0}, ae_rates, latent_noise=self.latent_noise)
        fit = {"latent": 1.0, "tv": self.tv_weight}
        latent = Phase("latent", own.latent_visits or 0, fit, scene_rates, final_rate=0.3)
        if own.space == "colours":
            warmup = replace(warmup, losses={"ae": 1.0}, rates={"decoder": self.warmup_rate})
            decoding = scene_rates | moving(self.rates, "decoder")
            losses = {"latent": self.latent_weight, "rgb": 1.0, "tv": self.tv_weight}
            return [warmup, latent, Phase("joint", own.joint_visits or 0, losses, decoding)]
        if own.space == "standard":
            visits = own.joint_visits or 0
            more = Phase("autoencoder", visits, {"ae": 1.0}, joint_ae_rates, latent_noise=self.latent_noise)
            longer = Phase("latent", (own.latent_visits or 0) + LONGER * visits, fit, scene_rates)
            return [warmup, more, longer]
        losses = {"latent": self.latent_weight, "rgb": 1.0, "ae": self.ae_weight, "tv": self.tv_weight}
        rates = scene_rates | joint_ae_rates
        joint = Phase("joint", own.joint_visits or 0, losses, rates, latent_noise=self.latent_noise)
        return [warmup, latent, joint]


@dataclass
class StageTwo(Schedule):
    """Learn new scenes in the latent space of stage 1 (Sec. 3.3 of 2403.11678)."""

    strategy: Literal["encode", "decode", "encode-decode"] = "encode-decode"
    """Encode-Scene fits cached latents; Decode-Scene fits images through the decoder; the paper's method does both."""
    shared: Literal["frozen", "finetune"] = "frozen"
    """Whether base planes, MLP and decoder stand still (scenes stay independent) or go on training, as published."""
    start: Literal["network", "mean", "cold", "least-squares"] = "network"
    """Where new scenes start: where stage 1's starter places them by their views; at the mean of stage 1's weights,
    micro planes zero, which is also for scenes without silhouettes; at random; or at the mean with weights first fitted
    to the latents, while nothing else moves."""
    encode_visits: float | None = None
    """Visits of Encode-Scene. By default 1,024 steps of every scene."""
    decode_visits: float | None = None
    """Visits of Decode-Scene. By default none, as it gains nothing there; 180 with an autoencoder that is not at full
    resolution."""
    fit_visits: float | None = None
    """Visits in which weights are fitted, if scenes start by least squares. By default 64 steps of every scene."""
    tv_weight: float | None = None
    """Weight of L_tv, a mean. By default 0.01 where there are 40 views or more, and where there are few up to 0.1, or 1
    where no starter places scenes."""
    rates: dict[str, float] = field(default_factory=lambda: SCENE_RATES | {"base": 1e-2, "mlp": 1e-2, "decoder": 1e-4})
    """Learning rate of each parameter group at the start of every phase in which it moves: base, mlp (in Decode-Scene
    at a tenth) and decoder with --pipeline.schedule.shared finetune only."""

    @property
    def independent(self) -> bool:
        return self.shared == "frozen"

    def fitted(self, setting: Setting) -> StageTwo:
        """Fill in what was left open."""
        fine = setting.autoencoder.kind in FULL_RESOLUTION
        decode = 180 if not fine else 20 if self.strategy == "decode" else 0
        lengths = {"encode_visits": setting.visits(1024), "fit_visits": setting.visits(64), "decode_visits": decode}
        placed = self.start == "network" and setting.starter
        return self._filled(tv_weight=setting.tv_weight(1 if placed else 2), **lengths)

    def phases(self) -> list[Phase]:
        fitted = self.fitted(Setting())
        own, fit = moving(self.rates, "micro", "weights"), {"tv": fitted.tv_weight or 0.0}
        encoding, decoding = own | moving(self.rates, "base", "mlp"), own | moving(self.rates, "base", "mlp", "decoder")
        if "mlp" in decoding:
            decoding["mlp"] /= 10
        if self.shared == "frozen":
            self._check_frozen()
            encoding = decoding = own
        encode = Phase("encode-scene", fitted.encode_visits or 0, {"latent": 1.0} | fit, encoding)
        least_squares = Phase("least-squares", fitted.fit_visits or 0, {"latent": 1.0}, moving(self.rates, "weights"))
        decode = Phase("decode-scene", fitted.decode_visits or 0, {"rgb": 1.0} | fit, decoding)
        first = [least_squares] if self.start == "least-squares" else []
        return first + {"encode": [encode], "decode": [decode], "encode-decode": [encode, decode]}[self.strategy]

    def _check_frozen(self) -> None:
        """Raise TdaError if a rate was given for a group that does not move."""
        for group, rate in StageTwo().rates.items():
            if group not in ("micro", "weights") and self.rates.get(group, rate) != rate:
                raise TdaError(
                    f"--pipeline.schedule.rates.{group} does nothing while shared parts are frozen. Leave it out, or"
                    " let them move with --pipeline.schedule.shared finetune."
                )


@dataclass
class RgbBaseline(Schedule):
    """Learn Tri-Planes of RGB scenes from random rays, without an autoencoder."""

    visits: float | None = None
    """Visits per scene; a step's rays count as the share of an image that they are. By default 1,024 steps of every
    scene."""
    tv_weight: float | None = None
    """Weight of L_tv, a mean. By default 0.01 where there are 40 views or more, and up to 1 where there are few."""
    rates: dict[str, float] = field(default_factory=lambda: SCENE_RATES | {"micro": 8e-1, "base": 3e-2, "mlp": 3e-2})
    """Initial learning rates by parameter group."""

    def phases(self) -> list[Phase]:
        rates, fitted = moving(self.rates, *self.rates), self.fitted(Setting())
        return [Phase("rgb", fitted.visits or 0, {"latent": 1.0, "tv": fitted.tv_weight or 0.0}, rates)]

    def fitted(self, setting: Setting) -> RgbBaseline:
        """Fill in what was left open."""
        return self._filled(visits=setting.visits(1024), tv_weight=setting.tv_weight(2))
