"""Seconds by part, rounds, medians, and rows that are skipped by name."""

from __future__ import annotations

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.studies.bench import timing
from tda_nerfstudio.studies.bench.timing import Case, Job, Sample, Stopwatch, Timing, paired, spread, time_group

CPU = torch.device("cpu")


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.seconds)
        monkeypatch.setattr(timing.time, "process_time", lambda: self.seconds / 2)

    def work(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_part_within_a_part_counts_once(clock: Clock):
    watch = Stopwatch(CPU)
    with watch.part("losses"):
        clock.work(1)
        with watch.part("march"):
            clock.work(2)
            with watch.part("fuse"):
                clock.work(4)
        clock.work(8)
        with watch.part("fuse"):
            clock.work(16)
    assert watch.parts == {"fuse": 20, "march": 2, "losses": 9}


def test_functions_are_watched_where_they_are_called_and_then_left_as_they_were(clock: Clock):
    class Worker:
        def fuse(self, seconds: float) -> str:
            clock.work(seconds)
            return "fused"

    worker, watch = Worker(), Stopwatch(CPU)
    worker.own = lambda: clock.work(1)
    own = worker.own
    with pytest.raises(ZeroDivisionError), watch.watching((worker, "fuse", "fuse"), (worker, "own", "march")):
        assert worker.fuse(3) == "fused"
        worker.own()
        raise ZeroDivisionError
    assert watch.parts == {"fuse": 3, "march": 1}
    assert worker.own is own and vars(worker) == {"own": own}


def test_quartiles_by_hand():
    assert spread([4.0, 1.0, 3.0, 2.0, 5.0]) == (2, 3, 4)
    assert spread([7.0]) == (7, 7, 7)


def row(name: str, *seconds: float) -> Timing:
    return Timing("ours", name, 1, None, samples=[Sample(s, {"march": s / 2}, s) for s in seconds])


def test_ratios_are_taken_round_by_round():
    slow, fast = row("a", 4, 8, 400), row("b", 1, 2, 100)
    assert paired(slow, fast) == [4, 4, 4]
    assert slow.part("march") == 4 and slow.part("decode") == 0 and slow.key == "ours: a"


def cases(clock: Clock, log: list[str], **seconds: float) -> list[Case]:
    def job(name: str) -> Job:
        def run(watch: Stopwatch) -> None:
            log.append(name)
            with watch.part("march"):
                clock.work(seconds[name])

        return Job(run, lambda: 5)

    return [Case("ours", name, lambda name=name: job(name), images=2) for name in seconds]


def test_every_round_runs_every_case_and_short_ones_several_times(clock: Clock):
    log, seen = [], []
    rows = time_group(cases(clock, log, a=1.0, b=0.02), 3, CPU, lambda *progress: seen.append(progress))
    assert log == ["a", "a", "b", "b"] + 3 * ["a", "b", "b"]
    assert [sample.seconds for sample in rows[0].samples] == pytest.approx([1, 1, 1])
    assert [sample.seconds for sample in rows[1].samples] == pytest.approx([0.02] * 3)
    assert rows[1].samples[0].parts == pytest.approx({"march": 0.02}) and rows[1].samples[0].cpu == pytest.approx(0.01)
    assert rows[0].held_bytes == 5 and rows[0].images == 2
    total = 3 * (1 + 0.05)
    assert seen[-1] == ("", pytest.approx(total), pytest.approx(total))
    assert [done for case, done, whole in seen if whole and case == "ours: a"] == pytest.approx([0, 1.05, 2.1])


def test_no_round_but_the_first_begins_when_time_is_up(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timing.time, "monotonic", lambda: clock.seconds)
    rows = time_group(cases(clock, [], a=1.0, b=1.0), 7, CPU, lambda *_: None, until=7.5)
    assert [len(row.samples) for row in rows] == [2, 2]  # 4 s of warm-up, rounds at 4 s and at 6 s
    rows = time_group(cases(clock, [], a=1.0), 7, CPU, lambda *_: None, until=0)
    assert len(rows[0].samples) == 1


def test_what_would_not_fit_is_skipped_by_name_and_never_built(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timing, "available_bytes", lambda device: 10e9)
    (small,) = cases(clock, [], a=1.0)
    huge = Case("plain", "encode-scene, 1000 scenes", lambda: pytest.fail("it was built"), needs=9.1e9)
    rows = time_group([huge, small], 1, CPU, lambda *_: None)
    assert rows[0].skipped == "needs about 9.1 GB, 10.0 GB are free" and not rows[0].samples
    assert not rows[1].skipped and len(rows[1].samples) == 1


def test_what_runs_out_of_memory_is_skipped_with_its_reason():
    def run(watch: Stopwatch) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    (row,) = time_group([Case("rgb", "step", lambda: Job(run))], 3, CPU, lambda *_: None)
    assert row.skipped == "CUDA out of memory" and not row.samples


def test_what_cannot_be_built_is_skipped_with_its_reason(clock: Clock):
    def fail() -> Job:
        raise TdaError("diffusers is missing")

    (row,) = time_group([Case("plain", "view", fail)], 1, CPU, lambda *_: None)
    assert row.skipped == "diffusers is missing" and row.key == "plain: view"
