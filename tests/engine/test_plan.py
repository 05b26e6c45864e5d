"""Plans are files that never change; waves are cut evenly; other options than a plan's are refused by name."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread

import pytest
from short_plans import SHORT

from tda_nerfstudio.atlas.inventory import Inventory
from tda_nerfstudio.base.errors import StoreError, TdaError
from tda_nerfstudio.engine.plan import Plan, check_same, keep_plan, make_waves, newest_plan
from tda_nerfstudio.engine.planning import Wishes, find_plan
from tda_nerfstudio.learning.batches import StepSize
from tda_nerfstudio.learning.schedule import StageTwo


def test_waves_are_as_even_as_can_be() -> None:
    assert make_waves("abcdefg", 3) == (("a", "b"), ("c", "d"), ("e", "f", "g"))
    assert make_waves([], 3) == () and make_waves("a", 16) == (("a",),)
    assert [len(wave) for wave in make_waves(list(map(str, range(100))), 16)] == [14, 14, 14, 15, 14, 14, 15]


@pytest.fixture
def plan(new, tiny_atlas: Path) -> tuple[Path, Plan]:
    """Plan the tiny atlas."""
    store = new()
    return store.folder, find_plan(store, Inventory(tiny_atlas), SHORT, ())


def test_a_plan_says_all_that_a_worker_needs(plan, new, tiny_atlas: Path) -> None:
    folder, made = plan
    assert newest_plan(folder) == made
    orders = made.orders
    assert (orders.data, orders.size, orders.seed, orders.precision) == (str(tiny_atlas), (32, 32), 42, "int4")
    assert orders.schedule.encode_visits == 2.0 and None not in asdict(orders.schedule).values()
    assert made.waves == tuple((f"vehicle_000{i}", f"vehicle_000{i + 1}") for i in (0, 2, 4))
    assert set(made.prints) == set(made.names) and all(made.prints.values())


def test_lengths_are_those_of_a_run_of_nerfstudio(new, tiny_atlas: Path) -> None:
    orders = find_plan(new(), Inventory(tiny_atlas), Wishes(scenes=("*",)), ()).orders
    share = orders.step_size.share(16 * 16)  # an autoencoder with f = 4 and 2 x 2 parts a latent pixel
    assert (share, orders.step_size) == (1.0, StepSize())
    schedule = StageTwo(encode_visits=1024 * share, fit_visits=64 * share, decode_visits=180, tv_weight=0.1)
    assert orders.schedule == replace(schedule, tv_weight=orders.schedule.tv_weight)


def test_of_several_that_plan_at_once_one_wins(new, plan) -> None:
    store, found = new(), []
    plans = [replace(plan[1], orders=replace(plan[1].orders, seed=seed)) for seed in range(8)]
    threads = [Thread(target=lambda one=one: found.append(keep_plan(store.folder, one, 0))) for one in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.orders.seed for one in found}) == 1 == len(list((store.folder / "plans").iterdir()))


@pytest.mark.parametrize(
    ("wish", "option", "was"),
    [
        (Wishes(seed=1), "--seed", "42"),
        (Wishes(visits=3), "--visits", "2.0"),
        (Wishes(scenes_per_wave=3), "--scenes-per-wave", "2"),
        (Wishes(scenes_per_step=2), "--scenes-per-step", "1"),
        (Wishes(precision="fp16"), "--precision", "int4"),
        (Wishes(scenes=("0:2",)), "--scenes", r"\('\*',\)"),
    ],
)
def test_another_option_than_the_plan_has_is_refused_by_name(plan, wish: Wishes, option: str, was: str) -> None:
    folder, made = plan
    with pytest.raises(TdaError, match=f"is not finished, and has {option} {was}, not .* add --replan"):
        check_same(made, asdict(wish), folder)
    check_same(made, asdict(Wishes()), folder)
    check_same(made, asdict(SHORT), folder)


def test_a_damaged_plan_is_named(plan) -> None:
    path = plan[0] / "plans" / "0000.json"
    content = json.loads(path.read_text())
    for text in ("", "{}", json.dumps(content | {"format": "x"}), json.dumps(content | {"waves": 3})):
        path.write_text(text)
        with pytest.raises(StoreError, match=f"The plan {path} cannot be read"):
            newest_plan(plan[0])


@pytest.mark.parametrize(
    "wish", [Wishes(scenes_per_wave=0), Wishes(scenes_per_step=0), Wishes(visits=0), Wishes(seed=-1)]
)
def test_numbers_that_nothing_can_be_planned_with_are_refused(new, tiny_atlas: Path, wish: Wishes) -> None:
    with pytest.raises(TdaError, match="must be at least"):
        find_plan(new(), Inventory(tiny_atlas), wish, ())


def test_a_plan_of_other_shared_parts_is_refused(plan, new, tiny_atlas: Path) -> None:
    other = new()
    keep_plan(other.folder, replace(plan[1], orders=replace(plan[1].orders, shared="0" * 32)), 0)
    with pytest.raises(StoreError, match=f"is for the shared parts {'0' * 32}, and the store has"):
        find_plan(other, Inventory(tiny_atlas), Wishes(), ())
    assert find_plan(other, Inventory(tiny_atlas), SHORT, (), replan=True).orders.shared == other.manifest.hash


def test_what_is_done_is_in_no_wave_and_a_finished_plan_is_followed_by_a_new_one(plan, new, tiny_atlas) -> None:
    folder, made = plan
    store = type(new())(folder)
    again = find_plan(store, Inventory(tiny_atlas), Wishes(), made.names[:5])
    assert again == made and len(list((folder / "plans").iterdir())) == 1
    nothing = find_plan(store, Inventory(tiny_atlas), Wishes(scenes=("*",)), made.names)
    assert nothing.waves == () and len(list((folder / "plans").iterdir())) == 1
    more = find_plan(store, Inventory(tiny_atlas), replace(SHORT, seed=3), made.names[:3], replan=True)
    assert more.names == made.names[3:] and newest_plan(folder) == more


def test_a_damaged_image_in_the_sample_stops_no_planning(new, atlas: Path) -> None:
    for path in (atlas / "vehicle_0001" / "train").iterdir():
        content = bytearray(path.read_bytes())
        content[60] ^= 255  # in the picture: header and end are whole
        path.write_bytes(bytes(content))
    plan = find_plan(new(), Inventory(atlas), SHORT, ())
    assert len(plan.names) == 6 and plan.orders.size == (32, 32)


def test_an_atlas_of_broken_scenes_is_planned_at_the_store_s_size(new, atlas: Path) -> None:
    for path in atlas.glob("*/transforms_train.json"):
        path.write_text("{")
    plan = find_plan(new(), Inventory(atlas), SHORT, ())
    assert len(plan.names) == 6 and plan.orders.size == (32, 32)
