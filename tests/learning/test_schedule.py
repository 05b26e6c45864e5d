"""The schedule: phases, their lengths in steps, their learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.losses import LOSSES
from tda_nerfstudio.core.phase import GROUPS, Phase
from tda_nerfstudio.learning.batches import StepSize
from tda_nerfstudio.learning.schedule import LONGER, SHORT_WARMUP, WARMUP, RgbBaseline, Setting, StageOne, StageTwo
from tda_nerfstudio.learning.timeline import RAMP, Span, span_at, timeline
from tda_nerfstudio.learning.waves import plan

SCENE_GROUPS = {"micro", "weights", "base", "mlp"}
CODEC_GROUPS = {"encoder", "decoder"}


def phase(name: str = "a", visits: float = 10, **options) -> Phase:
    return Phase(name, visits, {"latent": 1.0}, {"micro": 1.0}, **options)


def always(images: float) -> Callable[[Phase], float]:
    """Say that a step of any phase sees so many images."""
    return lambda _: images


def borders(spans: list[Span]) -> list[tuple[str, int, int]]:
    return [(span.phase.name, span.start, span.end) for span in spans]


def test_lengths_are_visits_times_scenes_by_images():
    spans = timeline([phase("a", 120), phase("b", 60)], scenes=24, images_per_step=always(32))
    assert borders(spans) == [("a", 0, 90), ("b", 90, 135)]


def test_fractions_of_an_image_count_as_such():
    assert borders(timeline([phase(visits=60)], scenes=8, images_per_step=always(0.5))) == [("a", 0, 960)]


def test_rounding_does_not_add_up():
    spans = timeline([phase(str(i), 5) for i in range(8)], scenes=1, images_per_step=always(4))  # 1.25 steps each
    assert spans[-1].end == 10
    assert all(one.end == other.start for one, other in zip(spans, spans[1:], strict=False))


def test_phases_of_no_visits_are_left_out():
    spans = timeline([phase("a", 0), phase("b", 8), phase("c", 0)], scenes=1, images_per_step=always(2))
    assert borders(spans) == [("b", 0, 4)]


@pytest.mark.parametrize("total", [None, 5])
def test_a_schedule_without_visits_has_no_spans(total):
    assert timeline([phase("a", 0), phase("b", 0)], scenes=1, images_per_step=always(1), total=total) == []


def test_a_short_phase_still_gets_a_step():
    spans = timeline([phase("a", 0.1), phase("b", 10)], scenes=1, images_per_step=always(1))
    assert borders(spans) == [("a", 0, 1), ("b", 1, 10)]


@pytest.mark.parametrize("total", [4, 7, 100, 1001])
def test_a_total_is_met_and_shared_out_in_proportion(total):
    phases = [phase("a", 100), phase("b", 50), phase("c", 50)]
    spans = timeline(phases, scenes=24, images_per_step=always(32), total=total)
    assert [span.phase.name for span in spans] == ["a", "b", "c"]
    assert spans[0].start == 0 and spans[-1].end == total
    assert all(one.end == other.start for one, other in zip(spans, spans[1:], strict=False))
    for span, share in zip(spans, (0.5, 0.25, 0.25), strict=True):
        assert abs(span.end - span.start - share * total) <= 1


@pytest.mark.parametrize("total", [3, 4, 100])
def test_every_phase_gets_a_step_of_a_total_that_has_one_for_each(total):
    spans = timeline([phase("a", 1), phase("b", 1000), phase("c", 1)], scenes=1, images_per_step=always(1), total=total)
    assert borders(spans) == [("a", 0, 1), ("b", 1, total - 1), ("c", total - 1, total)]


def test_fewer_steps_than_phases_leave_the_shortest_out():
    spans = timeline([phase("a", 1), phase("b", 1000), phase("c", 10)], scenes=1, images_per_step=always(1), total=1)
    assert borders(spans) == [("b", 0, 1)]


def test_the_phase_of_a_step_at_its_borders():
    spans = timeline([phase("a", 4), phase("b", 6)], scenes=1, images_per_step=always(1))
    names = [span_at(spans, step).phase.name for step in (0, 3, 4, 9, 10, 999)]
    assert names == ["a", "a", "b", "b", "b", "b"]


def test_rates_rise_over_the_ramp():
    span = Span(phase(final_rate=1.0), 100, 300)
    assert span.rate_share(100) == pytest.approx(1 / RAMP)
    assert span.rate_share(102) == pytest.approx(3 / RAMP)
    assert [span.rate_share(step) for step in (100 + RAMP - 1, 100 + RAMP, 299)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("scenes", [1, 3, 8])
def test_a_scene_has_the_same_rates_at_each_of_its_visits_however_many_learn_beside_it(scenes):
    phases = [phase("a", 40), phase("b", 20)]
    spans = timeline(phases, scenes, images_per_step=always(1), round_steps=scenes)
    alone = timeline(phases, scenes=1, images_per_step=always(1))
    for visit in range(60):
        for i in range(scenes):
            step = visit * scenes + i
            span, own = span_at(spans, step), span_at(alone, visit)
            assert span.phase == own.phase
            assert span.rate_share(step) == pytest.approx(own.rate_share(visit), rel=1e-12)
            assert span.share(step) == pytest.approx(own.share(visit), rel=1e-12)


def test_rates_fall_exponentially_to_their_final_share():
    span = Span(phase(final_rate=0.04), 100, 300)
    assert span.rate_share(150) == pytest.approx(0.04**0.25)
    assert span.rate_share(200) == pytest.approx(0.2)
    assert span.rate_share(300) == pytest.approx(0.04)
    assert span.rate_share(299) / span.rate_share(298) == pytest.approx(0.04 ** (1 / 200))


def test_the_final_rate_is_the_papers():
    assert phase().final_rate == pytest.approx(0.94157**50, rel=0.02)


@pytest.mark.parametrize(
    ("losses", "rates", "encodes", "renders", "needs_images"),
    [
        ({"ae"}, {"encoder", "decoder"}, True, False, True),
        ({"latent", "tv"}, {"micro"}, False, True, False),
        ({"rgb", "tv"}, {"micro"}, False, True, True),
        ({"latent", "rgb", "tv"}, {"micro", "decoder"}, False, True, True),
        ({"latent", "rgb", "ae", "tv"}, {"micro", "encoder"}, True, True, True),
        ({"latent"}, {"micro", "encoder"}, True, True, True),
        ({"ae"}, {"decoder"}, True, False, True),
    ],
)
def test_what_a_phase_needs(losses, rates, encodes, renders, needs_images):
    one = Phase("a", 1, dict.fromkeys(losses, 1.0), dict.fromkeys(rates, 1e-3))
    assert (one.encodes, one.renders, one.needs_images) == (encodes, renders, needs_images)


def shape(phases: list[Phase]) -> list[tuple[str, float, set[str], set[str]]]:
    return [(one.name, one.visits, set(one.losses), set(one.rates)) for one in phases]


def test_stage_one():
    assert shape(StageOne(warmup_visits=1, latent_visits=2, joint_visits=3).phases()) == [
        ("warm-up", 1, {"ae"}, CODEC_GROUPS),
        ("latent", 2, {"latent", "tv"}, SCENE_GROUPS),
        ("joint", 3, {"latent", "rgb", "ae", "tv"}, SCENE_GROUPS | CODEC_GROUPS),
    ]


def test_stage_one_in_a_space_of_colours_moves_the_decoder_alone_and_fits_scenes_as_ever():
    options = {"warmup_visits": 1, "latent_visits": 2, "joint_visits": 3}
    colours = StageOne(space="colours", **options).phases()
    assert shape(colours) == [
        ("warm-up", 1, {"ae"}, {"decoder"}),
        ("latent", 2, {"latent", "tv"}, SCENE_GROUPS),
        ("joint", 3, {"latent", "rgb", "tv"}, SCENE_GROUPS | {"decoder"}),
    ]
    _, latent, joint = StageOne(**options).phases()
    assert colours[1] == latent
    assert colours[2].rates == {group: joint.rates[group] for group in colours[2].rates}


@pytest.mark.parametrize(
    ("autoencoder", "space", "warmup", "joint"),
    [
        (AutoencoderConfig(kind="colours"), "colours", 0, 8),
        (AutoencoderConfig(kind="fine"), "3d-aware", 0, 8),
        (AutoencoderConfig(kind="light", start="embedded"), "3d-aware", SHORT_WARMUP, 300),
        (AutoencoderConfig(kind="light", start="colours"), "3d-aware", SHORT_WARMUP, 300),
        (AutoencoderConfig(kind="light", start="scratch"), "3d-aware", WARMUP, 300),
        (AutoencoderConfig(kind="kl"), "3d-aware", SHORT_WARMUP, 300),
    ],
)
def test_what_stage_one_leaves_open_fits_its_autoencoder(autoencoder, space: str, warmup: float, joint: float) -> None:
    found = StageOne().fitted(Setting(autoencoder, share=1 / 4))
    assert (found.space, found.warmup_visits, found.latent_visits, found.joint_visits) == (space, warmup, 64, joint)
    assert StageOne().joint_visits is None  # the configuration that was fitted stays open
    given = StageOne(warmup_visits=0, latent_visits=7, joint_visits=0).fitted(Setting(autoencoder))
    assert (given.space, given.warmup_visits, given.latent_visits, given.joint_visits) == (space, 0, 7, 0)


@pytest.mark.parametrize(
    ("space", "kind", "message"),
    [
        ("colours", "kl", "--pipeline.schedule.space colours needs an autoencoder that starts with the image's"),
        ("3d-aware", "colours", "--pipeline.schedule.space 3d-aware needs an encoder that learns"),
        ("standard", "colours", "--pipeline.schedule.space standard needs an encoder that learns"),
    ],
)
def test_a_space_that_an_autoencoder_cannot_have_is_refused(space, kind, message: str) -> None:
    with pytest.raises(TdaError, match=message):
        StageOne(space=space).fitted(Setting(AutoencoderConfig(kind=kind)))


@pytest.mark.parametrize(
    ("kind", "strategy", "decode"),
    [
        ("colours", "encode-decode", 0),
        ("fine", "encode", 0),
        ("colours", "decode", 20),  # there has to be some
        ("light", "encode-decode", 180),
        ("tiny", "decode", 180),
    ],
)
def test_what_stage_two_leaves_open_fits_its_autoencoder(kind, strategy, decode: float) -> None:
    setting = Setting(AutoencoderConfig(kind=kind), share=1 / 8)
    found = StageTwo(strategy=strategy).fitted(setting)
    assert (found.encode_visits, found.fit_visits, found.decode_visits) == (128, 8, decode)
    given = StageTwo(strategy=strategy, encode_visits=0, fit_visits=5, decode_visits=3, tv_weight=0.0).fitted(setting)
    assert (given.encode_visits, given.fit_visits, given.decode_visits, given.tv_weight) == (0, 5, 3, 0.0)


@pytest.mark.parametrize("rays", [16, 32, None])
@pytest.mark.parametrize("schedule", [StageTwo(strategy="encode"), RgbBaseline()], ids=["new scenes", "RGB scenes"])
def test_scenes_get_as_many_steps_whatever_share_of_a_view_their_rays_are(schedule, rays: int | None) -> None:
    size = StepSize(scenes=4, views=2, rays=rays)
    for parts in (1000, 4096):
        fitted = schedule.fitted(Setting(share=size.share(parts)))
        assert plan(fitted, size, parts, scenes=4)[0].end == 1024


@pytest.mark.parametrize(("views", "weight"), [(200, 0.01), (40, 0.01), (20, 0.04), (8, 0.25), (3, 1.0), (1, 1.0)])
def test_the_fewer_views_scenes_have_the_smoother_they_are(views: int, weight: float) -> None:
    for schedule in (StageTwo(start="mean"), RgbBaseline()):
        assert schedule.fitted(Setting(views=views)).tv_weight == pytest.approx(weight)
        assert all(one.losses["tv"] == 0.01 for one in schedule.phases())  # as for a class of many views


@pytest.mark.parametrize(("views", "weight"), [(200, 0.01), (40, 0.01), (20, 0.02), (5, 0.08), (2, 0.1), (1, 0.1)])
def test_scenes_that_the_starter_places_need_less_smoothness(views: int, weight: float) -> None:
    assert StageTwo().fitted(Setting(views=views, starter=True)).tv_weight == pytest.approx(weight)
    mean, without = StageTwo(start="mean"), Setting(views=views)
    assert StageTwo().fitted(without).tv_weight == mean.fitted(without).tv_weight


def test_the_starter_gets_a_number_of_steps_of_every_scene_and_no_more_than_some_in_all() -> None:
    size = StepSize()
    for scenes, steps in ((4, 48), (36, 432), (1000, 12000 // 8)):
        setting = Setting(share=size.share(4096), scenes=scenes, starter=True)
        schedule = StageOne(warmup_visits=0, latent_visits=0, joint_visits=0).fitted(setting)
        (wave,) = plan(schedule, size, 4096, scenes)
        assert [span.phase.name for span in wave.spans] == ["start"] and wave.end == steps
    assert StageOne().fitted(Setting(scenes=36)).start_visits == 0
    assert "start" not in [phase.name for phase in StageOne().phases()]


def test_stage_one_in_the_standard_space_trains_the_autoencoder_as_long_on_images_alone():
    options = {"warmup_visits": 1, "latent_visits": 2, "joint_visits": 3}
    standard = StageOne(space="standard", **options).phases()
    assert shape(standard) == [
        ("warm-up", 1, {"ae"}, CODEC_GROUPS),
        ("autoencoder", 3, {"ae"}, CODEC_GROUPS),
        ("latent", 2 + 3 * LONGER, {"latent", "tv"}, SCENE_GROUPS),
    ]
    warmup, _, joint = StageOne(**options).phases()
    assert standard[0] == warmup
    assert {group: standard[1].rates[group] for group in CODEC_GROUPS} == {g: joint.rates[g] for g in CODEC_GROUPS}
    assert standard[1].final_rate == joint.final_rate and standard[1].latent_noise == joint.latent_noise
    assert (
        not standard[2].needs_images and joint.needs_images
    )  # visits of random parts make up for those of whole views


def test_stage_ones_options_arrive():
    schedule = StageOne(
        ae_weight=0.1,
        latent_weight=2.0,
        tv_weight=0.5,
        latent_noise=0.3,
        warmup_rate=0.7,
        rates=StageOne().rates | {"encoder": 0.6, "decoder": 0.5, "base": 0.4},
    )
    warmup, latent, joint = schedule.phases()
    assert joint.losses == {"latent": 2.0, "rgb": 1.0, "ae": 0.1, "tv": 0.5}
    assert latent.losses == {"latent": 1.0, "tv": 0.5} and warmup.losses == {"ae": 1.0}
    assert warmup.latent_noise == joint.latent_noise == 0.3 and latent.latent_noise == 0.0
    assert warmup.rates == {"encoder": 0.7, "decoder": 0.7}
    assert (joint.rates["encoder"], joint.rates["decoder"]) == (0.6, 0.5)
    assert joint.rates["base"] == latent.rates["base"] == 0.4


def test_an_autoencoder_with_pretrained_weights_skips_the_warm_up():
    phases = StageOne(warmup_visits=0, latent_visits=120, joint_visits=600).phases()
    spans = timeline(phases, 4, images_per_step=always(4))
    assert borders(spans) == [("latent", 0, 120), ("joint", 120, 720)]


@pytest.mark.parametrize(
    ("strategy", "names"),
    [
        ("encode", ["encode-scene"]),
        ("decode", ["decode-scene"]),
        ("encode-decode", ["encode-scene", "decode-scene"]),
    ],
)
def test_strategies_of_stage_two(strategy, names):
    losses = {"encode-scene": {"latent", "tv"}, "decode-scene": {"rgb", "tv"}}
    phases = StageTwo(strategy=strategy, encode_visits=5, decode_visits=6).phases()
    assert [one.name for one in phases] == names
    for one in phases:
        assert set(one.losses) == losses[one.name]
        assert one.visits == (5 if one.name == "encode-scene" else 6)


def test_frozen_means_that_only_the_scenes_own_parts_move():
    assert [set(one.rates) for one in StageTwo(shared="frozen").phases()] == [{"micro", "weights"}] * 2


def test_finetuning_moves_what_each_phase_reaches():
    encode, decode = StageTwo(shared="finetune").phases()
    assert set(encode.rates) == SCENE_GROUPS
    assert set(decode.rates) == SCENE_GROUPS | {"decoder"}
    assert not encode.needs_images and decode.needs_images


def test_stage_two_never_trains_the_encoder():
    for shared in ("frozen", "finetune"):
        assert not any(one.encodes for one in StageTwo(shared=shared).phases())


def test_the_baseline_is_one_phase_on_cached_pixels():
    (only,) = RgbBaseline(visits=9, tv_weight=0.5, rates={"micro": 0.1}).phases()
    assert (only.name, only.visits, only.losses, only.rates) == ("rgb", 9, {"latent": 1.0, "tv": 0.5}, {"micro": 0.1})
    assert only.renders and not only.encodes and not only.needs_images
    assert set(RgbBaseline().phases()[0].rates) == SCENE_GROUPS


def test_schedules_do_not_share_their_rates():
    RgbBaseline().rates["micro"] = 5.0
    assert RgbBaseline().rates["micro"] != 5.0


SCHEDULES = [
    StageOne(),
    StageOne(space="standard"),
    StageOne(space="colours"),
    StageTwo(),
    StageTwo(shared="finetune"),
    StageTwo(strategy="decode"),
    StageTwo(start="least-squares"),
    RgbBaseline(),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_every_phase_names_known_losses_and_groups(schedule):
    learns = getattr(schedule, "space", None) != "colours"
    for one in schedule.phases():
        assert set(one.losses) <= set(LOSSES) and set(one.rates) <= set(GROUPS)
        assert all(rate > 0 for rate in one.rates.values())
        assert ("encoder" in one.rates) == (learns and "ae" in one.losses)  # no encoder moves without its images


def test_new_scenes_that_start_by_least_squares_first_fit_their_weights_alone():
    first, *others = StageTwo(start="least-squares", encode_visits=5, decode_visits=6).phases()
    assert shape([first]) == [("least-squares", pytest.approx(4), {"latent"}, {"weights"})]
    assert others == StageTwo(encode_visits=5, decode_visits=6).phases()
    assert not first.needs_images


def test_a_cold_start_trains_like_one_at_the_mean():
    assert StageTwo(start="cold").phases() == StageTwo(start="mean").phases()


def test_rates_without_options_are_what_they_were() -> None:
    _, latent, joint = StageOne(warmup_visits=1).phases()
    assert latent.rates == {"micro": 0.1, "weights": 0.1, "base": 0.03, "mlp": 0.01}
    assert joint.rates == latent.rates | {"encoder": 0.002, "decoder": 0.002}
    encode, decode = StageTwo(shared="finetune").phases()
    assert encode.rates == {"micro": 0.1, "weights": 0.1, "base": 0.01, "mlp": 0.01}
    assert decode.rates == {"micro": 0.1, "weights": 0.1, "base": 0.01, "mlp": 0.001, "decoder": 0.0001}


def test_rates_of_stage_two_arrive_in_every_phase() -> None:
    rates = StageTwo().rates | {"micro": 0.2, "weights": 0.3}
    phases = StageTwo(start="least-squares", rates=rates).phases()
    assert [one.rates for one in phases] == [{"weights": 0.3}] + [{"micro": 0.2, "weights": 0.3}] * 2
    _, decode = StageTwo(shared="finetune", rates=rates | {"mlp": 0.5, "decoder": 0.25}).phases()
    assert (decode.rates["mlp"], decode.rates["decoder"]) == (0.05, 0.25)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            RgbBaseline(rates={"micros": 0.1}),
            "--pipeline.schedule.rates names the parameter group 'micros', which does not exist. Did you mean 'micro'?"
            " There are: micro, weights, base, mlp, starter, encoder, decoder.",
        ),
        (StageTwo(rates={"micro": 0.0}), "--pipeline.schedule.rates.micro must be above 0, not 0.0."),
        (StageOne(rates={"mlp": math.nan}), "--pipeline.schedule.rates.mlp must be above 0, not nan."),
        (StageOne(warmup_rate=-1.0), "--pipeline.schedule.warmup-rate must be above 0, not -1.0."),
        (
            StageTwo(rates=StageTwo().rates | {"decoder": 0.1}),
            "--pipeline.schedule.rates.decoder does nothing while shared parts are frozen. Leave it out, or let them"
            " move with --pipeline.schedule.shared finetune.",
        ),
    ],
)
def test_rates_that_cannot_be_are_refused_by_name(schedule, message: str) -> None:
    with pytest.raises(TdaError) as caught:
        schedule.phases()
    assert str(caught.value) == message
