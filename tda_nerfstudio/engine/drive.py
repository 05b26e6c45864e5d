"""Learn what a store lacks of an atlas, wave by wave, by any engine, and lose nothing on the way."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import median
from typing import Literal, NamedTuple

from tda_nerfstudio.atlas.inventory import DATA_VARIABLE, Inventory, data_here
from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError, counted, listed
from tda_nerfstudio.base.interrupts import signals_deferred
from tda_nerfstudio.base.places import is_remote, place
from tda_nerfstudio.base.progress import progress_to
from tda_nerfstudio.base.terminal import CONSOLE, warn
from tda_nerfstudio.engine.board import Board, summary
from tda_nerfstudio.engine.inline import inline
from tda_nerfstudio.engine.lease import Lease, Shard
from tda_nerfstudio.engine.on_ray import Cluster, ray_engine
from tda_nerfstudio.engine.outcome import Engine, Outcome
from tda_nerfstudio.engine.plan import Job, Plan
from tda_nerfstudio.engine.planning import Wishes, find_plan
from tda_nerfstudio.engine.work import Report, learn_job
from tda_nerfstudio.store.aside import put_aside
from tda_nerfstudio.store.manifest import Manifest
from tda_nerfstudio.store.store import Store

MOST_LOST, MOST_MOVES = 2, 4
"""Times that a wave may be lost before it is cut in two, and times that its machine may fail before that counts."""
GRACE = 20.0
"""Seconds in which waves may still end after Ctrl-C or SIGTERM; job schedulers kill after 30."""


@dataclass(frozen=True)
class How:
    """By which engine, and which part of the plan."""

    engine: Literal["inline", "ray"] = "inline"
    cluster: Cluster = Cluster()
    shard: Shard = Shard()
    replan: bool = False
    again: bool = False
    """Whether scenes that were set aside are learnt once more."""


class Driver:
    """One process that lets a plan be learnt. `run` is its one call."""

    def __init__(self, store: Store, plan: Plan, how: How, done: Collection[str], aside: dict[str, str]) -> None:
        self.store, self.plan, self.how = store, plan, how
        waves = list(enumerate(plan.waves))[how.shard.i :: how.shard.n]
        self.names = {name for _, wave in waves for name in wave}
        """The scenes of its part of the plan."""
        left = [(k, tuple(name for name in wave if name not in done and name not in aside)) for k, wave in waves]
        self.jobs = [Job(k, names) for k, names in left if names]
        known = {name: store.record(name).metrics.get("psnr") for name in self.names & set(done) if name in store}
        self.reasons = {name: reason for name, reason in aside.items() if name in self.names}
        self.board = Board(len(self.names), known, self.reasons)
        self.reports: list[Report] = []
        self.clock: dict[str, float] = {}
        """Seconds until the engine was `ready`, then until the first wave was back, but for that itself (`first`);
        and the `driver`'s own work."""
        self.suspects: dict[str, str] = {}
        """Scenes to give up, with the reasons."""
        self.in_a_row = 0
        """Waves lost since the last one that was learnt."""
        self.asked = 0
        """The number of the signal that asked to stop."""

    def run(self, lease: Lease) -> bool:
        """Learn until nothing is left; returns False where it was asked to stop before that."""
        deadline, began = float("inf"), time.monotonic()
        with self._engine() as engine, signals_deferred(self._note), self.board.shown():  # Ray has own handlers
            self.clock["ready"], used = time.monotonic() - began, time.process_time()
            for outcome in engine(self.jobs):
                if lease.lost:
                    raise TdaError(
                        f"Another process works on {self.store.folder} now, since this one stood still for too long."
                        " What was learnt is in the store. Wait for the other one."
                    )
                if outcome is not None:
                    self._take(outcome)
                if len(self.reports) == 1 and "first" not in self.clock:
                    own = sum(self.reports[0].seconds.values())
                    self.clock["first"] = time.monotonic() - began - self.clock["ready"] - own
                self.board.update(now=outcome is not None)
                if self.asked and deadline == float("inf"):
                    CONSOLE.print("Stopping; what is learnt is in the store.", style="yellow", markup=False)
                    self.jobs.clear()
                    deadline = time.monotonic() + GRACE
                if time.monotonic() > deadline:
                    break
            self.clock["driver"] = time.process_time() - used
        if self.suspects and not self.reports:
            name, reason = next(iter(self.suspects.items()))
            raise TdaError(
                f"No wave could be learnt, so that no scene is set aside. {name}: {reason} Look at this machine, at the"
                " atlas and at the store, and run the same line again."
            )
        return not self.asked

    def _note(self, number: int) -> None:
        self.asked = number  # and no more: a signal may come in the middle of a print

    def _engine(self) -> AbstractContextManager[Engine]:
        if self.how.engine == "ray":
            return ray_engine(self.store.folder, self.plan, self.how.cluster)
        return nullcontext(inline(self._learn))

    def _learn(self, job: Job) -> Report | None:
        def tell(what: str, share: float) -> None:
            if what.startswith("Learning"):
                self.board.within = share * len(job.names)
                self.board.update(now=False)

        prints = {name: self.plan.prints[name] for name in job.names}
        with progress_to(tell):
            return learn_job(self.store.folder, self.plan.orders, prints, self.store.shared, lambda: bool(self.asked))

    def _take(self, outcome: Outcome) -> None:
        """Note what became of a wave, and put what is to be learnt again at the end of the jobs."""
        self.board.within = 0.0
        if outcome.report is not None:
            self.reports.append(outcome.report)
            self.in_a_row = 0
            self._give_up()
            self.board.psnr |= outcome.report.psnr
            self.board.new += len(outcome.report.psnr)
            self._set_aside(outcome.report.aside)
            return
        self.board.lost += 1
        self.in_a_row += 1
        again, given_up = what_next(outcome)
        self.jobs += again if not self.asked else []
        where = f" on {outcome.where}" if outcome.where else ""
        what = f"Wave {outcome.job.wave} ({listed(outcome.job.names, most=3)}) was lost{where}: {outcome.reason}."
        CONSOLE.print(what, style="yellow", markup=False, highlight=False, soft_wrap=True)
        if self.in_a_row > max(12, 3 * self.plan.orders.scenes_per_wave):
            raise TdaError(
                f"{self.in_a_row} waves in a row were lost, which is no fault of single scenes. The last one:"
                f" {outcome.reason}. Look at the machines, and run the same line again."
            )
        self.suspects |= dict.fromkeys(given_up, f"It was tried {outcome.job.lost + 1} times. {outcome.reason}.")
        if self.reports:
            self._give_up()

    def _give_up(self) -> None:
        """Set scenes aside that took their workers down, once it is known that other waves can be learnt."""
        for name, reason in self.suspects.items():
            put_aside(self.store.folder, name, reason, {"data": self.plan.orders.data})
        self._set_aside(self.suspects)
        self.suspects = {}

    def _set_aside(self, reasons: dict[str, str]) -> None:
        self.reasons |= reasons
        self.board.aside |= set(reasons)


def what_next(outcome: Outcome) -> tuple[list[Job], list[str]]:
    """Say which waves to learn again after one was lost, and which scenes to give up.

    A wave that was lost twice is cut in two; each half is cut again as soon as it is lost. So a scene that takes its
    worker down is alone in the end and is given up. A machine that cannot work gets no more waves, so that it counts
    against none; one that dies does, after some times.
    """
    job = outcome.job
    if outcome.kind == "machine" and outcome.where:
        return [job], []
    if outcome.kind == "machine" and job.moved + 1 < MOST_MOVES:
        return [job._replace(moved=job.moved + 1)], []
    lost = job.lost + 1
    if lost < MOST_LOST:
        return [job._replace(lost=lost)], []
    if len(job.names) == 1:
        return [], [job.names[0]]
    middle = len(job.names) // 2
    return [Job(job.wave, part, lost - 1, job.moved) for part in (job.names[:middle], job.names[middle:])], []


class Result(NamedTuple):
    """What became of a call of `learn_inventory`."""

    code: int = 0
    """0 when every scene is learnt or set aside with its reason; 128 and more where a signal stopped it."""
    reports: Sequence[Report] = ()
    """Of the waves that were learnt."""
    clock: Mapping[str, float] = {}
    """Seconds that `planning`, and what `Driver.clock` has, took."""


def learn_inventory(data: str, store: str, wishes: Wishes, how: How) -> Result:
    """Learn all scenes of an atlas that a store lacks, and print a table.

    Raises TdaError for whatever cannot work, most of it before the work.
    """
    folder, began = place(store), time.monotonic()
    folder = folder if is_remote(folder) else folder.absolute()  # machines have other working directories
    Manifest.read(folder)
    if how.replan and how.shard.n > 1:
        raise TdaError("--replan makes a new plan for all parts: run it once without --shard, or stop it soon after.")
    if (here := data_here(place(data))) != place(data):
        CONSOLE.print(f"{DATA_VARIABLE} is set: {here} is read in place of {data}.", style="yellow", markup=False)
    require_writable(folder)
    with Lease(folder, how.shard, lambda text: CONSOLE.print(text, style="yellow", markup=False)) as lease:
        opened = Store(folder)
        done = {name for name in opened if opened.record(name).finished}
        aside = {name: reason for name, reason in opened.aside().items() if name not in done}
        if how.again:
            aside = {}
        plan = find_plan(opened, Inventory(here), wishes, {*done, *aside}, how.replan)
        for name, reason in plan.left_out.items():
            warn(f"Scene {name!r} is left out: {reason}.")
        driver = Driver(opened, plan, how, done, aside)
        if not driver.jobs:
            CONSOLE.print(f"Nothing to learn: {_held(opened, plan, aside)}", markup=False, soft_wrap=True)
            return Result()
        _announce(driver)
        driver.clock["planning"] = time.monotonic() - began
        finished = driver.run(lease)
        opened = Store(folder)
        _report(driver, opened)
    if not finished:
        return Result(128 + driver.asked, driver.reports, driver.clock)
    missing = [name for name in sorted(driver.names) if name not in opened and name not in driver.reasons]
    if missing:
        raise TdaError(f"{listed(missing)} of the plan are not in {folder} after all. Run the same line again.")
    return Result(0, driver.reports, driver.clock)


def _announce(driver: Driver) -> None:
    left, shard = sum(len(job.names) for job in driver.jobs), driver.how.shard
    part = f" (part {shard.i} of {shard.n})" if shard.n > 1 else ""
    CONSOLE.print(
        f"{counted(left, 'scene')} of {driver.plan.orders.data} in {counted(len(driver.jobs), 'wave')}{part} into"
        f" {driver.store.folder}. Stop it at any time: the same line goes on.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _report(driver: Driver, store: Store) -> None:
    """Show the table, and remove files of scenes that were learnt twice."""
    seconds = {}
    if driver.reports:
        keys = driver.reports[0].seconds
        seconds = {key: median(report.seconds.get(key, 0.0) for report in driver.reports) for key in keys}
    if driver.how.shard.n == 1:
        store.prune()
    CONSOLE.print(summary(driver.board, driver.reasons, seconds, str(store.folder)))
    if driver.asked:
        CONSOLE.print("Stopped. The same line goes on.", style="yellow", markup=False)


def _held(store: Store, plan: Plan, aside: dict[str, str]) -> str:
    kept = f"{store.folder} holds {counted(len(store), 'scene')}"
    if not aside:
        return f"{kept}, and lacks none of {plan.orders.data}."
    return f"{kept}; {listed(list(aside))} set aside (tda store info says why). Add --again to try those once more."
