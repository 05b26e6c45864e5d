"""A real Ray cluster of several nodes on this machine: what is killed, full, slow or empty costs time and no scene."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from short_plans import WORDS, check_equal

from tda_nerfstudio.base.places import place
from tda_nerfstudio.engine.on_ray import LOOPBACK
from tda_nerfstudio.store.store import Store

os.environ |= LOOPBACK  # Ray reads this when it is imported
ray_cluster = pytest.importorskip("ray.cluster_utils")
TDA = Path(sys.executable).with_name("tda")
FAULTS = """
import os, signal, sys, time
if any("default_worker" in word for word in sys.argv) or "default_worker" in open("/proc/self/cmdline").read():
    scandir = os.scandir
    def faulty(path="."):
        if os.path.basename(os.fspath(path).rstrip("/")) == os.environ.get("TEST_KILLER"):
            os.kill(os.getpid(), signal.SIGKILL)
        if "vehicle_" in os.fspath(path):
            time.sleep(float(os.environ.get("TEST_PAUSE", 0)))
        return scandir(path)
    os.scandir = faulty
"""
"""Makes workers die of a scene, or be slow."""


@pytest.fixture(scope="module")
def cluster() -> Iterator:
    """Start a cluster whose head learns nothing."""
    made = ray_cluster.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.fixture
def node(cluster, tmp_path: Path) -> Iterator[Callable]:
    """Give tests `node(NAME=VALUE, ...)`: another machine with one core; gone in the end."""
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults" / "sitecustomize.py").write_text(FAULTS)
    path = os.pathsep.join([str(tmp_path / "faults"), os.environ.get("PYTHONPATH", "")])
    made = []

    def add(**env: str):
        made.append(cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": path} | env))
        return made[-1]

    yield add
    for one in made:
        if one in cluster.worker_nodes:
            cluster.remove_node(one, allow_graceful=False)


@pytest.fixture
def start(cluster, tiny_atlas: Path) -> Callable[..., subprocess.Popen]:
    """Give tests `start(store, *words)`: the command on the cluster."""

    def popen(store: Store, *words: str) -> subprocess.Popen:
        line = [TDA, "learn", "--data", tiny_atlas, "--store", store.folder, *WORDS, "--engine", "ray"]
        line += ["--address", cluster.address, *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(list(map(str, line)), text=True, **pipes)

    return popen


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Wait for a command; give its exit code and what it said, in one line."""
    text, _ = process.communicate(timeout=300)
    return process.returncode, " ".join(text.split())


def worker() -> psutil.Process | None:
    """Find a process that learns a wave."""
    for process in psutil.process_iter():
        try:
            if process.cmdline()[:1] == ["ray::_task"]:
                return process
        except (psutil.Error, IndexError):
            continue
    return None


def listens_on(process: psutil.Process) -> set[str]:
    """Give the addresses that a process of Ray listens on; of one that has just ended, none."""
    try:
        if process.name() not in ("raylet", "gcs_server") and process.cmdline()[:1] != ["ray::_task"]:
            return set()
        found = process.net_connections("inet")
    except psutil.NoSuchProcess:
        return set()
    return {connection.laddr.ip for connection in found if connection.status == psutil.CONN_LISTEN}


def wait(until: Callable[[], object], process: subprocess.Popen) -> None:
    """Wait until something is so, while a command runs."""
    while not until():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.05)


def test_worker_node_and_driver_are_killed_and_every_scene_is_there_once(node, start, new, learnt) -> None:
    store, first = new(), node(TEST_PAUSE="1")
    driver = start(store)
    wait(worker, driver)
    found = worker()
    assert found is not None
    found.kill()
    second = node(TEST_PAUSE="0.5")  # a machine that comes later gets waves too
    wait(lambda: Store(store.folder).names, driver)
    driver.kill()
    driver.wait()
    driver = start(store)
    wait(worker, driver)
    node()
    for one in (first, second):
        one.kill_raylet()
    code, text = ended(driver)
    assert code == 0, text
    assert "6 of the plan's 6 scenes" in text
    check_equal(store.folder, learnt)


def test_a_scene_that_kills_its_worker_is_set_aside_and_the_rest_is_learnt(node, start, new, learnt) -> None:
    store = new()
    node(TEST_KILLER="vehicle_0003")
    code, text = ended(start(store))
    assert code == 0, text
    assert "vehicle_0003: It was tried 2 times. its process was killed" in text.replace("│ ", "").replace("│", "")
    assert list(Store(store.folder).aside()) == ["vehicle_0003"]
    check_equal(store.folder, learnt, "vehicle_0003")
    code, text = ended(start(store))
    assert (code, "1 scene: vehicle_0003 set aside (tda store info says why). Add --again" in text) == (0, True), text


def test_a_machine_with_a_full_disk_gets_no_more_waves(node, start, new, learnt, bucket, tiny_atlas, tmp_path) -> None:
    data, disk = place(f"{bucket}/tiny"), tmp_path / "small"
    data.fs.put(f"{tiny_atlas}/", f"{data.path}/", recursive=True)  # type: ignore[attr-defined]
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", disk], capture_output=True)
    if done.returncode:
        pytest.skip("a small disk needs the right to mount one")
    try:
        store = new()
        node(TMPDIR=str(disk))
        node()
        code, text = ended(start(store, "--data", str(data)))
        assert code == 0, text
        assert "was lost on" in text and "No space left on device" in text, text
        assert f"Make room in {disk}, or set TMPDIR there" in text, text
        check_equal(store.folder, learnt)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_machine_without_the_data_is_named_before_the_work(node, start, new) -> None:
    store = new()
    node()
    node(TDA_DATA="/nowhere")
    code, text = ended(start(store))
    assert code == 1 and f"{socket.gethostname()} does not have the data: /nowhere holds none of 1 scene" in text, text
    assert not Store(store.folder).names


def test_sigterm_ends_in_time_and_a_second_driver_is_refused(node, start, new, learnt) -> None:
    store = new()
    node(TEST_PAUSE="1")
    driver = start(store)
    wait(worker, driver)
    code, text = ended(start(store))
    assert code == 1 and f"is being filled already, by process {driver.pid} on" in text, text
    driver.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    code, text = ended(driver)
    assert code == 143 and "The same line goes on." in text and time.monotonic() - asked < 30, text
    code, text = ended(start(store))
    assert code == 0, text
    check_equal(store.folder, learnt)


@pytest.mark.parametrize("open_", [False, True])
def test_an_address_that_does_not_answer_is_said_in_ten_seconds(command, new, tiny_atlas, open_: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        threading.Thread(target=lambda: server.accept() if open_ else None, daemon=True).start()
        if not open_:
            server.close()
        words = ["--engine", "ray", "--address", address]
        result = command("tda", "learn", "--data", tiny_atlas, "--store", new().folder, *WORDS, *words)
    assert result.code == 1 and f"No Ray cluster can be used at --address {address}" in result.flat, result.text


def test_who_has_not_the_token_is_not_let_in(node, command, new, tiny_atlas, cluster) -> None:
    node()
    line = ["tda", "learn", "--data", tiny_atlas, "--store", new().folder, *WORDS, "--engine", "ray"]
    result = command(*line, "--address", cluster.address, RAY_AUTH_TOKEN="0123456789abcdef")
    assert result.code == 1 and "No Ray cluster can be used at" in result.flat, result.text


def test_a_cluster_that_is_started_here_listens_on_this_machine_alone(new, tiny_atlas, learnt) -> None:
    store = new()
    line = [TDA, "learn", "--data", tiny_atlas, "--store", store.folder, *WORDS, "--engine", "ray", "--workers", "2"]
    driver = subprocess.Popen(list(map(str, line)), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait(worker, driver)
    heard = {address for process in psutil.process_iter() for address in listens_on(process)}
    code, text = ended(driver)
    assert code == 0, text
    assert heard and heard <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, heard
    check_equal(store.folder, learnt)
