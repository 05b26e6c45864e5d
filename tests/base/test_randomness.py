"""Generators that follow from seed, step and use."""

from __future__ import annotations

import torch

from tda_nerfstudio.base.randomness import seeded


def draw(seed: int, step: int, use: str) -> tuple[float, ...]:
    return tuple(torch.rand(4, generator=seeded(seed, step, use)).tolist())


def test_the_same_seed_step_and_use_draw_the_same():
    assert draw(7, 3, "rays") == draw(7, 3, "rays")


def test_seeds_steps_and_uses_draw_differently():
    drawn = {draw(seed, step, use) for seed in range(4) for step in range(50) for use in ("views", "rays", "latents")}
    assert len(drawn) == 4 * 50 * 3


def test_seed_and_step_do_not_run_together():
    assert draw(1, 23, "rays") != draw(12, 3, "rays")


def test_another_process_draws_the_same():
    # The first four bytes of SHA-256 of "7/3/rays": no hash that Python salts anew in every process.
    assert seeded(7, 3, "rays").initial_seed() == 0x965CB933


def test_the_global_randomness_is_neither_read_nor_moved():
    torch.manual_seed(0)
    state, first = torch.get_rng_state(), draw(7, 3, "rays")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert draw(7, 3, "rays") == first


def test_generators_are_on_the_cpu_and_independent():
    one, other = seeded(7, 3, "rays"), seeded(7, 3, "rays")
    torch.rand(100, generator=one)
    assert one.device.type == "cpu"
    assert tuple(torch.rand(4, generator=other).tolist()) == draw(7, 3, "rays")
