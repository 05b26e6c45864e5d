"""What the driver does: waves that are lost are cut until the scene at fault is alone; runs that are cut go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from short_plans import SHORT, WORDS, check_equal

from tda_nerfstudio.atlas.inventory import Inventory
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.engine.drive import MOST_MOVES, How, learn_inventory, what_next
from tda_nerfstudio.engine.outcome import Outcome
from tda_nerfstudio.engine.plan import Job
from tda_nerfstudio.engine.planning import find_plan
from tda_nerfstudio.engine.work import MachineError, Report, learn_job
from tda_nerfstudio.store.store import Store

TDA = Path(sys.executable).with_name("tda")


@pytest.mark.parametrize("killers", [{"s0"}, {"s7"}, {"s15"}, {"s3", "s4"}, {"s0", "s15"}, set()])
def test_scenes_that_kill_their_worker_are_found_in_few_tries(killers: set[str]) -> None:
    jobs = [Job(0, tuple(f"s{i}" for i in range(16)))]
    learnt, given_up, lost = [], [], 0
    while jobs:
        job = jobs.pop(0)
        if killers.isdisjoint(job.names):
            learnt += job.names
            continue
        lost += 1
        again, aside = what_next(Outcome(job, "killed"))
        jobs += again
        given_up += aside
    assert set(given_up) == killers and len(learnt) == 16 - len(killers) and len(set(learnt)) == len(learnt)
    assert lost <= 6 * len(killers)  # twice whole, then halves of 8, 4, 2 and 1


def test_one_loss_by_chance_repeats_the_wave_whole() -> None:
    job = Job(3, ("a", "b"))
    assert what_next(Outcome(job, "killed")) == ([Job(3, ("a", "b"), lost=1)], [])


def test_machines_that_fail_are_no_fault_of_scenes_and_those_that_die_only_after_some_times() -> None:
    job = Job(0, ("a",))
    for _ in range(50):
        (job,), aside = what_next(Outcome(job, "machine", where="node7"))
        assert not aside
    for times in range(1, MOST_MOVES):
        (job,), aside = what_next(Outcome(job, "machine"))
        assert (job.moved, job.lost, aside) == (times, 0, [])
    (job,), _ = what_next(Outcome(job, "machine"))
    assert job.lost == 1
    assert what_next(Outcome(job, "machine")) == ([], ["a"])


def test_a_wave_twice_gives_the_same_bits_and_the_first_file_goes(new, learnt: Store, tiny_atlas: Path) -> None:
    store = new()
    plan = find_plan(store, Inventory(tiny_atlas), SHORT, ())
    prints = {name: plan.prints[name] for name in plan.waves[0]}
    first, second = (learn_job(store.folder, plan.orders, prints, store.shared) for _ in range(2))
    assert isinstance(first, Report) and isinstance(second, Report)
    assert first.psnr == second.psnr == {name: learnt.record(name).metrics["psnr"] for name in prints}
    found = Store(store.folder)
    assert len(found.files) == 2 and found.names == list(plan.waves[0])
    found.prune()
    assert len(Store(store.folder).files) == 1
    assert torch.equal(found["vehicle_0001"].learnt.micro, learnt["vehicle_0001"].learnt.micro)


def test_a_machine_that_sees_no_store_or_another_one_learns_nothing(new, tiny_atlas: Path, tmp_path: Path) -> None:
    store = new()
    plan = find_plan(store, Inventory(tiny_atlas), SHORT, ())
    (tmp_path / "unmounted").mkdir()
    with pytest.raises(MachineError, match=f"does not see the store {tmp_path}/unmounted, or another one than"):
        learn_job(tmp_path / "unmounted", plan.orders, plan.prints, store.shared)
    assert not list((tmp_path / "unmounted").iterdir())


def test_a_disk_that_fails_is_the_machine_s_fault(new, tiny_atlas: Path, monkeypatch, tmp_path: Path) -> None:
    store = new()
    plan = find_plan(store, Inventory(tiny_atlas), SHORT, ())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(MachineError, match="failed: .*No such file or directory.*then run the same line again"):
        learn_job(store.folder, plan.orders, plan.prints, store.shared)


def test_shards_are_the_whole(new, command, tiny_atlas: Path, learnt: Store) -> None:
    folder = new().folder
    words = ["--data", tiny_atlas, "--store", folder, *WORDS]
    first = command("tda", "learn", *words, "--shard", "1/2")
    assert first.code == 0 and "2 scenes of" in first.flat and "(part 1 of 2)" in first.flat, first.text
    second = command("tda", "learn", *words, "--shard", "0/2")
    assert second.code == 0 and "4 of the plan's 4 scenes" in second.flat, second.text
    check_equal(folder, learnt)
    assert len(list((folder / "plans").iterdir())) == 1


def started(folder: Path, data: Path, *words: str) -> subprocess.Popen:
    """Start the command, and wait until its first wave is in the store."""
    line = [TDA, "learn", "--data", data, "--store", folder, *WORDS, *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen([str(word) for word in line], text=True, env=os.environ | {"COLUMNS": "80"}, **pipes)
    while not list((folder / "scenes").glob("*.safetensors")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    return process


def test_a_killed_driver_goes_on_by_the_same_line(new, command, tiny_atlas: Path, learnt: Store) -> None:
    folder = new().folder
    process = started(folder, tiny_atlas)
    process.kill()
    process.wait()
    kept = len(Store(folder))
    assert kept in (2, 4) and list((folder / "drivers").iterdir())
    result = command("tda", "learn", "--data", tiny_atlas, "--store", folder)
    assert result.code == 0 and f"{6 - kept} scenes of" in result.flat, result.text
    check_equal(folder, learnt)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_at_the_next_step_and_says_how_to_go_on(new, tiny_atlas: Path, number: int, code: int) -> None:
    folder = new().folder
    process = started(folder, tiny_atlas)
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == code and "Stopped. The same line goes on." in text, text
    assert max(map(len, text.splitlines()[1:])) <= 80 or "/tmp" in text
    assert not list((folder / "drivers").iterdir()) and not Store(folder).verify()


def test_an_atlas_that_changed_is_refused_before_the_work_unless_it_is_planned_anew(
    new, command, atlas, learnt
) -> None:
    folder = new().folder
    process = started(folder, atlas)
    process.kill()
    process.wait()
    left = sorted(set(learnt.names) - set(Store(folder).names))
    (atlas / left[0] / "more.txt").write_text("more")
    (atlas / left[1]).rename(atlas.parent / left[1])
    line = ["tda", "learn", "--data", atlas, "--store", folder]
    result = command(*line)
    assert result.code == 1, result.text
    assert (
        f"is not what it was when the plan of {folder} was made: 1 changed scene: {left[0]}; 1 missing scene:"
        in result.flat
    )
    result = command(*line, *WORDS, "--replan")
    assert result.code == 0, result.text
    assert Store(folder).names == [name for name in learnt.names if name != left[1]]


def test_broken_and_far_off_scenes_are_set_aside_and_tried_again_when_asked(new, command, atlas: Path) -> None:
    folder, broken, far = new().folder, atlas / "vehicle_0001", atlas / "vehicle_0004"
    (broken / "transforms_train.json").write_text("{")
    path = far / "transforms_train.json"
    whole, content = path.read_text(), json.loads(path.read_text())
    for frame in content["frames"]:
        for row in frame["transform_matrix"][:3]:
            row[3] *= 1000
    path.write_text(json.dumps(content))
    line = ["tda", "learn", "--data", atlas, "--store", folder]
    result = command(*line, *WORDS)
    assert result.code == 0, result.text
    reasons = Store(folder).aside()
    assert "is not valid JSON" in reasons["vehicle_0001"] and "Scale it like the others" in reasons["vehicle_0004"]
    assert len(Store(folder)) == 4 and "4 of the plan's 6 scenes" in result.flat
    result = command(*line)
    assert result.code == 0 and "2 scenes: vehicle_0001, vehicle_0004 set aside" in result.flat, result.text
    path.write_text(whole)
    (atlas / "vehicle_0001" / "transforms_train.json").write_text(
        (atlas / "vehicle_0002/transforms_train.json").read_text()
    )
    result = command(*line, *WORDS, "--again", "--replan")
    assert result.code == 0 and len(Store(folder)) == 6 and not Store(folder).aside(), result.text


def test_a_store_of_finetuned_parts_or_none_says_what_to_do(tmp_path: Path, tiny_atlas: Path, command) -> None:
    with pytest.raises(TdaError, match="is no store: it has no manifest.json"):
        learn_inventory(str(tiny_atlas), str(tmp_path), SHORT, How())
    result = command("tda", "learn", "--data", tiny_atlas, "--store", tmp_path / "new", cwd=tmp_path)
    assert result.code == 1 and "No finished tda-ae run below" in result.flat and "--autoencoder PATH" in result.flat
    assert not (tmp_path / "new").exists()


def test_options_of_ray_are_refused_without_it(
    command, commands: Callable, tiny_atlas: Path, empty_store: Path
) -> None:
    words = ["learn", "--data", tiny_atlas, "--store", empty_store]
    lines = {
        "address": [*words, "--address", "auto"],
        "none": [*words, "--engine", "ray", "--workers", "0"],
        "gpus": [*words, "--engine", "ray", "--gpus-per-worker", "-1"],
        "shard": [*words, "--shard", "2/2"],
    }
    results = commands("tda", lines)
    wanted = {
        "address": "--address is for --engine ray",
        "none": "--workers 0 must be at least 1",
        "gpus": "--gpus-per-worker -1.0 must be from 0 to 1",
        "shard": "--shard 2/2 is no part",
    }
    for key, text in wanted.items():
        assert results[key].code == 1 and text in results[key].flat, results[key].text


def test_ray_that_is_missing_is_named_with_its_extra(monkeypatch) -> None:
    from tda_nerfstudio.engine import on_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    on_ray._import_ray.cache_clear()
    with pytest.raises(TdaError, match=r"pip install 'tda-nerfstudio\[cluster\]'"):
        on_ray._import_ray(on_ray.Cluster())


def test_where_nothing_can_be_learnt_no_scene_is_set_aside(new, tiny_atlas: Path, monkeypatch) -> None:
    from tda_nerfstudio.engine import drive

    def fail(*args: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    store, words = new(), "No wave could be learnt, so that no scene is set aside. .* CUDA error"
    monkeypatch.setattr(drive, "learn_job", fail)
    with pytest.raises(TdaError, match=words):
        learn_inventory(str(tiny_atlas), str(store.folder), SHORT, How())
    assert not Store(store.folder).aside() and not list((store.folder / "drivers").iterdir())
    monkeypatch.setattr(drive, "learn_job", learn_job)
    assert learn_inventory(str(tiny_atlas), str(store.folder), SHORT, How()).code == 0 and len(Store(store.folder)) == 6


def test_a_scene_that_fails_is_set_aside_and_the_others_are_learnt(new, tiny_atlas: Path, monkeypatch) -> None:
    from tda_nerfstudio.engine import drive

    def fail(store, orders, prints, *more):
        if "vehicle_0003" in prints:
            raise ValueError("an odd scene")
        return learn_job(store, orders, prints, *more)

    store = new()
    monkeypatch.setattr(drive, "learn_job", fail)
    assert learn_inventory(str(tiny_atlas), str(store.folder), SHORT, How()).code == 0
    assert Store(store.folder).aside() == {"vehicle_0003": "It was tried 2 times. ValueError: an odd scene."}
    assert len(Store(store.folder)) == 5
