"""Every command and every Python block of README.md, run in the order in which a newcomer meets them.

Commands run as they are written, in a shell, in one folder, with nothing added: the default viewer is on. TABLE holds
all that is substituted.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from a_scene import store_of_a_ball

from tda_nerfstudio.plugin.quiet import KNOWN

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
STEPS = 12
TABLE = [
    # What README says (a pattern), and what is run in its place; {run} is the newest finished run of stage 2.
    (r"^pip install -e \S+$", "python -c 'import tda_nerfstudio'"),  # .ci/run installs with this very line
    (r"^pytest$", "pytest --collect-only -q {root}/tests/test_arrows.py"),  # which runs this test
    (r"^tda run configs/demo\.yml$", "tda run short/configs/demo.yml --out demo"),
    (r"^tda run configs/cars-cpu\.yml --data ATLAS", "tda run short/configs/cars-cpu.yml --data atlas"),
    (r"^tda run configs/ablations/start\.yml", "tda run short/configs/ablations/start.yml"),
    (r"^(ns-train tda-(?:ae|scenes|rgb) .*?)(\s+#.*)?$", rf"\1 --max-num-iterations {STEPS}"),
    (r"^(tda learn .*?)(\s+#.*)?$", r"\1 --visits 1"),
    (r"^(tda atlas demo (?!.*--scenes).*?)(\s+#.*)?$", r"\1 --scenes 6 --views 8 --test-views 2 --size 32"),
    (r"^(tda atlas meshes .*?)(\s+#.*)?$", r"\1 --views 4 --test-views 1 --size 32"),
    (r"--scenes \d+ --views \d+ --size \d+", "--scenes 6 --views 8 --test-views 2 --size 32"),
    (r"^(tda export \w+) RUN(.*?)(\s+#.*)?$", r"\1 solid\2"),  # in so few steps no scene of RUN gets a surface
    (r"^(tda export .*)NAME", r"\1ball"),
    (r"^(tda export splats .*)", r"\1 --steps 8"),
    (r"\bRUN\b", "{run}"),
    (r"\bNAME\b", "vehicle_0004"),
    (r"\b0:100\b", "0:4"),
    (r"'?chair_\*'? '!chair_0007'", "'vehicle_*' '!vehicle_0003'"),
]
SERVERS = ("ns-viewer", "tda view")
"""Commands that go on until they are interrupted: their page must open."""
ENDING = (
    *(
        "python",
        "pytest",
        "tda run",
        "tda atlas",
        "tda render",
        "tda sheet",
        "tda report",
        "tda store",
        "tda learn",
        "tda gallery",
        "tda export",
    ),
    *("ns-train tda-ae", "ns-train tda-scenes", "ns-train tda-rgb", "ns-eval", "ns-render"),
)
"""Commands that end by themselves, with exit code 0."""


def blocks(language: str) -> list[str]:
    """Take the fenced blocks of a language out of README."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """List the commands of all bash blocks, and those of the table of stages."""
    lines = [line for block in blocks("bash") for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    stages = re.findall(r"^\|[^|]*\| `(ns-train [^`]*)`", README, re.MULTILINE)
    cut = next((i for i, line in enumerate(lines) if line.startswith(("ns-", "tda ")) and "--data" in line), len(lines))
    return [part for line in [*lines[:cut], *stages, *lines[cut:]] for part in line.split(" && ")]


def substituted(line: str, run: str) -> str:
    """Shorten a command by TABLE."""
    for pattern, replacement in TABLE:
        line = re.sub(pattern, replacement, line)
    return line.replace("{run}", run).replace("{root}", str(ROOT))


def known(line: str, programs: tuple[str, ...]) -> bool:
    """Tell whether a command is one of some programs, whatever variables are set before it."""
    return re.sub(r"^([A-Z_]+=\S+ )+", "", line).startswith(programs)


def newest_run(folder: Path) -> str:
    """Find the stage 2 with a store of its own that finished last, as a path that can be typed there."""
    found = sorted(folder.glob("outputs/*/tda-scenes/*/store/manifest.json"), key=lambda path: path.stat().st_mtime_ns)
    return str(found[-1].parents[1].relative_to(folder)) if found else "RUN"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder of someone who has two atlases, some models and short presets."""
    from tda_nerfstudio.making.demo import write_demo_atlas

    home = tmp_path_factory.mktemp("newcomer")
    for name, seed in (("atlas", 0), ("more", 1)):
        write_demo_atlas(home / name, scenes=6, train_views=8, test_views=2, size=32, seed=seed)
    store_of_a_ball(home / "solid")
    (home / "models").mkdir()
    (home / "models/car.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 1\nf 1 2 3\nf 1 3 4\n")
    for preset in ("demo.yml", "cars-cpu.yml", "ablations/start.yml"):
        content = yaml.safe_load((ROOT / "configs" / preset).read_text())
        if "atlas" in content:
            content["atlas"] = {"scenes": 16, "views": 3, "test-views": 1, "size": 32}
        content["set"] = (content.get("set") or {}) | {"max-num-iterations": 6}
        for run in content["runs"].values():
            run.pop("expects", None)
            run["set"] = {k: v for k, v in (run.get("set") or {}).items() if not k.endswith("-visits")}
        path = home / "short/configs" / preset
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    return home


def surroundings() -> dict[str, str]:
    """Give a plain environment: the programs of this Python first, one thread, a terminal of 80 columns."""
    here = Path(sys.executable).parent
    return os.environ | {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


@pytest.mark.parametrize("line", commands())
def test_a_command_of_readme_works_as_written(line: str, folder: Path) -> None:
    short = substituted(line, newest_run(folder))
    serves = known(short, SERVERS)
    assert serves or known(short, ENDING), f"README has a command that this test does not know: {line}"
    log = folder / "log.txt"
    with log.open("w") as file:
        process = subprocess.Popen(
            ["bash", "-c", short], cwd=folder, env=surroundings(), stdout=file, stderr=file, start_new_session=True
        )
    try:
        if serves:
            page = opened(process, log)
            assert "<!doctype html>" in page.lower()
            os.killpg(process.pid, signal.SIGINT)
        code = process.wait(600)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    print(f"exit code {code}: {line}")
    text = log.read_text()
    assert code == 0 or (serves and code in (1, 130, -signal.SIGINT)), text
    assert serves or "Traceback" not in text, text
    warned = [line for line in text.splitlines() if re.search(r"\w+Warning: ", line)]
    assert not [line for line in warned if not any(words in line for _, words, _ in KNOWN)], text


def opened(process: subprocess.Popen, log: Path) -> str:
    """Wait until a server has said where it is, and read its page there."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        text = log.read_text()
        assert process.poll() is None, text
        address = re.search(r"http://(?:localhost|127\.0\.0\.1|0\.0\.0\.0):(\d+)", text)
        if address:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{address[1]}", timeout=5) as answer:
                    return answer.read(4096).decode(errors="replace")
            except OSError:
                pass
        time.sleep(0.3)
    raise AssertionError(f"no page within two minutes: {log.read_text()}")


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_block_of_readme_runs_as_written(block: str, stage_two, tiny_atlas: Path, tmp_path: Path) -> None:
    shutil.copytree(stage_two.folder, tmp_path / "RUN")
    (tmp_path / "more").symlink_to(tiny_atlas)
    code = block.replace("vehicle_0024", stage_two.manifest["scene_names"][0])
    check = """
for shown, shape in ((images, (8, 3, 32, 32)), (large, (1, 3, 512, 512))):
    assert shown.shape == shape and 0 <= shown.min() < shown.max() <= 1
assert "vehicle_0003" in Store("RUN/store") and store.record("vehicle_0003").metrics["psnr"] > 0
"""
    words = [sys.executable, "-c", code + check]
    done = subprocess.run(words, cwd=tmp_path, env=surroundings(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_readme_has_commands_a_python_block_and_at_most_200_lines() -> None:
    assert len(commands()) > 12
    assert blocks("python")
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize("line", commands())
def test_no_command_of_readme_turns_the_viewer_off(line: str) -> None:
    assert "--vis" not in shlex.split(line, comments=True)
