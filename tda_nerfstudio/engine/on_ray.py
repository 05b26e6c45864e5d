"""The engine for many machines: each wave is a task of Ray Core, which takes names and paths and returns a report."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tda_nerfstudio import __version__
from tda_nerfstudio.base.atomic import require_writable
from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.base.places import PlaceError, place
from tda_nerfstudio.base.terminal import CONSOLE, hushed
from tda_nerfstudio.engine.outcome import Engine, Outcome
from tda_nerfstudio.engine.plan import Job, Orders, Plan
from tda_nerfstudio.engine.work import MachineError, Report, check_data, check_store, learn_job, of_machine
from tda_nerfstudio.store.manifest import MANIFEST
from tda_nerfstudio.store.shared_parts import GROWTH, TENSORS, SharedParts, read_shared_parts

ANSWER = 10.0
"""Seconds in which a cluster has to answer."""
SELDOM = 30.0
"""Seconds between looks at the cluster while nothing comes back."""
TICK = 0.5
"""Seconds to wait for a task before something else is looked at."""
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
"""Settings of a cluster that is started here: it listens on this machine alone, and asks for a token even there."""
QUIET: Any = {"log_to_driver": False, "configure_logging": False}
CONNECT = "import sys, ray; print('ready', flush=True); ray.init(address=sys.argv[1], log_to_driver=False)"


class Cluster(NamedTuple):
    """Where and how waves are learnt."""

    address: str | None = None
    """Of a cluster that runs: HOST:PORT, or auto for the one of this machine. Without it, one is started here."""
    workers: int | None = None
    """Most waves at a time; by default as many as there is room for."""
    gpus_per_worker: float | None = None
    """Share of a GPU for each, 0 for none; by default a half where there are GPUs."""


@contextlib.contextmanager
def ray_engine(store: Path, plan: Plan, cluster: Cluster) -> Iterator[Engine]:
    """Start or join a cluster and check that its machines can work, before any does.

    Raises TdaError where Ray is missing or does not answer, and where a machine lacks the package, data or store.
    """
    ray = _import_ray(cluster)
    with hushed():
        _start(ray, cluster)
        try:
            yield _Ray(ray, store, plan, cluster)
        finally:
            ray.shutdown()


class _Ray:
    """Tasks in flight, and what is known of the cluster. An `Engine`."""

    def __init__(self, ray: Any, store: Path, plan: Plan, cluster: Cluster) -> None:
        self.ray, self.plan = ray, plan
        self.failed: dict[str, str] = {}
        """Why machines, by their ids, get no more waves."""
        gpus = ray.cluster_resources().get("GPU", 0)
        self.share = share = cluster.gpus_per_worker if cluster.gpus_per_worker is not None else 0.5 * bool(gpus)
        if share and not self._usable():
            raise TdaError(
                f"--gpus-per-worker {share}: no machine of this cluster has so many GPUs. Give 0 or leave it out."
            )
        room = sum(self._usable().values())
        workers = min(cluster.workers or room, room)
        if not workers:
            raise TdaError("This cluster has no free CPU. Start machines with `ray start`, or give --workers 1.")
        self.most = 2 * workers if workers == room else workers
        self.task = ray.remote(num_cpus=1, num_gpus=share, max_retries=0)(_task)
        self.given = [str(store), asdict(plan.orders), __version__]
        contents = {name: (store / name).read_bytes() for name in (MANIFEST, TENSORS, GROWTH)}
        self.parts = ray.put(contents)  # once for each machine
        self.looked = time.monotonic()
        self._check_machines()

    def __call__(self, jobs: list[Job]) -> Iterator[Outcome | None]:
        flying: dict[Any, Job] = {}
        try:
            while jobs or flying:
                while jobs and len(flying) < self.most:
                    job = jobs.pop(0)
                    flying[self._submit(job.names)] = job
                ready, _ = self.ray.wait(list(flying), num_returns=1, timeout=TICK)
                if not ready:
                    self._look_around()
                yield from (self._outcome(ref, flying.pop(ref)) for ref in ready)
                yield None
        finally:
            for ref in flying:
                with contextlib.suppress(Exception):
                    self.ray.cancel(ref, force=True)

    def _submit(self, names: tuple[str, ...]) -> Any:
        """Start a task, on a machine that has not failed."""
        prints = {name: self.plan.prints[name] for name in names}
        labels = {"ray.io/node-id": f"!in({','.join(self.failed)})"} if self.failed else {}
        return self.task.options(label_selector=labels).remote(*self.given, prints, self.parts)

    def _usable(self) -> dict[str, int]:
        """Say for how many waves at once each machine has room that has not failed, by their ids."""
        found = {}
        for node in self.ray.nodes():
            has = node["Resources"]
            room = int(has.get("CPU", 0)) if not self.share else int(has.get("GPU", 0) / self.share)
            if node["Alive"] and room and has.get("CPU") and node["NodeID"] not in self.failed:
                found[node["NodeID"]] = room
        return found

    def _look_around(self) -> None:
        """Say when no machine is left, now and then."""
        if time.monotonic() - self.looked < SELDOM:
            return
        self.looked = time.monotonic()
        if not self._usable():
            CONSOLE.print("No machine of the cluster is left. Waiting for one; Ctrl-C stops.", style="yellow")

    def _outcome(self, ref: Any, job: Job) -> Outcome:
        error = self.ray.exceptions
        lost = (error.NodeDiedError, error.LocalRayletDiedError, error.ObjectLostError, error.OwnerDiedError)
        try:
            result = self.ray.get(ref)
        except lost as problem:
            return Outcome(job, "machine", reason=_first_line(problem))
        except error.OutOfMemoryError as problem:
            return Outcome(job, "killed", reason=f"there was not enough memory ({_first_line(problem)})")
        except error.WorkerCrashedError:
            return Outcome(job, "killed", reason="its process was killed, as by a lack of memory or a crash")
        except error.RayError as problem:
            return Outcome(job, "failed", reason=_first_line(problem))
        return self._told(result, job)

    def _told(self, result: Mapping[str, Any], job: Job) -> Outcome:
        """Read what a task returned. Raises TdaError for what no other machine would do better."""
        machine, where = result["machine"], result["where"]
        if "report" in result:
            return Outcome(job, "done", Report(**result["report"]), where=where)
        if result["kind"] == "machine":
            self.failed[machine] = result["reason"]
            if not self._usable():
                raise TdaError(f"No machine of the cluster can go on. {' '.join(dict.fromkeys(self.failed.values()))}")
            return Outcome(job, "machine", reason=result["reason"], where=where)
        if result["kind"] == "place":  # it may be reached again
            return Outcome(job, "machine", reason=result["reason"])
        if result["kind"] == "data":
            raise TdaError(f"{result['reason']} (said by {where})")
        return Outcome(job, "failed", reason=result["reason"], where=where)

    def _check_machines(self) -> None:
        """Let every machine look for package, store and the data of one scene. Raises TdaError for those that fail."""
        check = self.ray.remote(num_cpus=0, max_retries=0)(_check)
        prints = dict(list(self.plan.prints.items())[:1])
        refs = [
            check.options(label_selector={"ray.io/node-id": node}).remote(*self.given, prints)
            for node in self._usable()
        ]
        told, gone = [], []
        for ref in refs:
            try:
                told.append(self.ray.get(ref, timeout=120))
            except self.ray.exceptions.RayError as error:  # a machine that has just been lost
                gone.append(f"A machine cannot start a task: {_first_line(error)}")
        if problems := [problem for problem in dict.fromkeys(told) if problem] or ([] if told else gone):
            raise TdaError("\n".join(problems))


def _task(
    store: str, orders: dict[str, Any], version: str, prints: dict[str, str], contents: dict[str, bytes]
) -> dict[str, Any]:
    """Learn a wave on some machine. Errors are returned as texts, so that nothing but plain data travels."""
    told = _here()
    try:
        _check_version(version)
        with of_machine():
            parts = _parts(json.loads(contents[MANIFEST])["shared"], contents)
        report = learn_job(place(store), Orders.read(orders), prints, parts)
        assert report is not None
        return told | {"report": asdict(report)}
    except MachineError as error:
        return told | {"kind": "machine", "reason": str(error)}
    except PlaceError as error:
        return told | {"kind": "place", "reason": str(error)}
    except TdaError as error:
        return told | {"kind": "data", "reason": str(error)}
    except Exception as error:
        return told | {"kind": "failed", "reason": f"{type(error).__name__}: {error}"}


def _check(store: str, orders: dict[str, Any], version: str, prints: dict[str, str]) -> str:
    """Say what a machine lacks; "" if it can learn the plan's scenes."""
    try:
        _check_version(version)
        read = Orders.read(orders)
        check_store(place(store), read)
        require_writable(place(store))
        check_data(place(store), read, prints)
    except (TdaError, OSError) as error:
        name = _here()["where"]
        return str(error) if name in str(error) else f"{name}: {error}"
    return ""


def _check_version(version: str) -> None:
    if __version__ != version:
        raise MachineError(
            f"{_here()['where']} has tda_nerfstudio {__version__}, and this line is of {version}."
            " Install the same version on all machines."
        )


def _here() -> dict[str, str]:
    """Say which machine this is."""
    import ray

    return {"machine": ray.get_runtime_context().get_node_id(), "where": socket.gethostname()}


_known: dict[str, SharedParts] = {}


def _parts(shared: str, contents: Mapping[str, bytes]) -> SharedParts:
    """Read shared parts from the bytes of their files, once in each process."""
    if shared not in _known:
        _known.clear()
        with tempfile.TemporaryDirectory() as folder:
            for name, content in contents.items():
                (Path(folder) / name).write_bytes(content)
            _known[shared] = read_shared_parts(Path(folder))
    return _known[shared]


@cache
def _import_ray(cluster: Cluster) -> Any:
    host = (cluster.address or "").partition(":")[0]
    if cluster.address is None or host in ("127.0.0.1", "localhost"):
        for key, value in LOOPBACK.items():
            os.environ.setdefault(key, value)
    try:
        import ray
    except ImportError as error:
        raise TdaError(
            "--engine ray needs Ray, which is not installed. Run: pip install 'tda-nerfstudio[cluster]', or learn in"
            " this process with --engine inline."
        ) from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    return ray


def _start(ray: Any, cluster: Cluster) -> None:
    if cluster.address is None:
        ray.init("local", num_cpus=cluster.workers, include_dashboard=False, **QUIET)
        return
    child = subprocess.Popen(
        [sys.executable, "-c", CONNECT, cluster.address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()  # Ray is imported, which may take long
    try:
        _, said = child.communicate(timeout=ANSWER)
        reason = (said.strip().splitlines() or ["no reason given"])[-1] if child.returncode else None
    except subprocess.TimeoutExpired:
        child.kill()
        reason = f"no answer in {ANSWER:.0f} s"
    if reason is not None:
        raise TdaError(
            f"No Ray cluster can be used at --address {cluster.address} ({reason[:300]}). Start one there with `ray"
            " start --head`, check host, port and RAY_AUTH_TOKEN, or leave --address out to use this machine alone."
        )
    ray.init(address=cluster.address, **QUIET)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
