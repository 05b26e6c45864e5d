"""A tiny atlas, the commands as subprocesses, and one finished run of each stage, made once a session."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.pop("TDA_SCENE", None)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest runs a process a core: threads of torch would fight for them
STEPS = 12
AUTOENCODER = ["--pipeline.model.autoencoder.kind", "light", "--pipeline.model.autoencoder.f", "4"]
AUTOENCODER += ["--pipeline.model.autoencoder.width", "16", "--pipeline.model.autoencoder.blocks", "1"]
TRIPLANE = ["--pipeline.model.triplane.resolution", "16", "--pipeline.model.triplane.bases", "3"]
SCHEDULE = [f"--pipeline.schedule.{name}-visits" for name in ("warmup", "latent", "joint")]
EVEN_PHASES = [word for option in SCHEDULE for word in (option, "8")] + ["--pipeline.schedule.start-visits", "0"]
FRAMES = str.maketrans(dict.fromkeys("│╭╮╰╯─┃┏┓┗┛━", " "))
CUT = """
import os, sys
from tda_nerfstudio.learning.learner import Learner
last, number = int(sys.argv.pop(1)), int(sys.argv.pop(1))
prepare = Learner.prepare
def cut(self, step):
    if step == last:
        os.kill(os.getpid(), number)
    return prepare(self, step)
Learner.prepare = cut
from nerfstudio.scripts.train import entrypoint
entrypoint()
"""

LONGEST = ("test_readme.py", "test_on_ray.py", "test_hostile.py")
"""Files of tests that take minutes: they begin first, so that no process waits for them in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let files of long tests begin first, then those of slow ones."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST) + (item.path not in slow)))


MANY = """
import importlib, io, json, os, sys, traceback
from contextlib import redirect_stderr, redirect_stdout
entrypoint = importlib.import_module(sys.argv[1]).entrypoint
results, inherited = [], dict(os.environ)
for line in json.loads(sys.argv[2]):
    os.environ.update(line["env"])
    sys.argv, text, code = [line["name"], *line["words"]], io.StringIO(), 0
    with redirect_stdout(text), redirect_stderr(text):
        try:
            entrypoint()
        except SystemExit as leave:
            code = leave.code or 0
        except BaseException:
            traceback.print_exc()
            code = 99
    os.environ.clear()
    os.environ.update(inherited)
    results.append([code, text.getvalue()])
    print("RESULTS" + json.dumps(results), flush=True)
"""
MODULES = {
    "ns-train": "nerfstudio.scripts.train",
    "ns-eval": "nerfstudio.scripts.eval",
    "ns-render": "nerfstudio.scripts.render",
    "tda": "tda_nerfstudio.cli.main",
}


def flat(text: str) -> str:
    """Undo line breaks and boxes, so that sentences can be looked for."""
    return re.sub(r"\s+", " ", text.translate(FRAMES))


@dataclass(frozen=True)
class Result:
    """A command that has ended."""

    code: int
    text: str
    """What it printed, line by line, errors included."""

    @property
    def flat(self) -> str:
        """The same without line breaks and boxes."""
        return flat(self.text)


def run(words: Sequence[str | Path], cwd: Path | None = None, **env: str) -> Result:
    """Run a program on one thread with a wide terminal, to its end."""
    surroundings = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "TERM": "dumb"} | env
    surroundings["CUDA_VISIBLE_DEVICES"] = ""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=3600,
    )
    return Result(done.returncode, done.stdout)


def run_command(name: str, *words: str | Path, cwd: Path | None = None, **env: str) -> Result:
    """Run ns-train, ns-eval, ns-render or tda as installed beside this Python."""
    return run([Path(sys.executable).with_name(name), *words], cwd, **env)


def run_commands(name: str, lines: dict[str, Sequence[str | Path]], env: dict[str, dict[str, str]] | None = None):
    """Run several lines of one program in one process, as starting it takes ten seconds; give a Result for each."""
    given = [
        {"name": name, "words": [str(word) for word in words], "env": (env or {}).get(key, {})}
        for key, words in lines.items()
    ]
    done = run([sys.executable, "-c", MANY, MODULES[name], json.dumps(given)])
    found = [line for line in done.text.splitlines() if line.startswith("RESULTS")]
    assert found, done.text
    results = json.loads(found[-1].removeprefix("RESULTS"))
    assert len(results) == len(lines), done.text
    return {key: Result(*result) for key, result in zip(lines, results, strict=True)}


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    folder: Path
    result: Result

    @property
    def config(self) -> Path:
        return self.folder / "config.yml"

    @property
    def models(self) -> Path:
        return self.folder / "nerfstudio_models"

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.folder / "finished.json").read_text())

    @property
    def state(self) -> dict[str, Any]:
        """The only checkpoint, read without running code from it."""
        import torch

        (path,) = self.models.iterdir()
        return torch.load(path, map_location="cpu", weights_only=True)


def finished(output: Path, data: Path, method: str, name: str, result: Result) -> Run:
    """Check that a run ended well and point at its folder."""
    assert result.code == 0, result.text
    return Run(output / data.name / method / name, result)


@pytest.fixture(scope="session")
def command() -> Callable[..., Result]:
    """Give tests `command(name, *words, cwd=None, **env)`."""
    return run_command


@pytest.fixture(scope="session")
def commands() -> Callable[..., dict[str, Result]]:
    """Give tests `commands(name, {key: words}, {key: env})`: several lines of one program in one process."""
    return run_commands


@pytest.fixture(scope="session")
def train_and_cut() -> Callable[..., Result]:
    """Give tests `train_and_cut(step, signal, *words)`: ns-train that gets a signal in the middle of a step."""

    def cut(step: int, number: int, *words: str | Path, cwd: Path | None = None) -> Result:
        return run([sys.executable, "-c", CUT, str(step), str(int(number)), *words], cwd)

    return cut


@pytest.fixture(scope="session")
def tiny_atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write six demo vehicles of 32 x 32 pixels, 8 training and 2 held-out views each."""
    from tda_nerfstudio.making.demo import write_demo_atlas

    return write_demo_atlas(tmp_path_factory.mktemp("data") / "tiny", scenes=6, train_views=8, test_views=2, size=32)


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name the output directory that both stages share."""
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="session")
def tiny_sizes() -> list[str]:
    """Spell the sizes of a tiny autoencoder and tiny Tri-Planes."""
    return [*AUTOENCODER, *TRIPLANE]


@pytest.fixture(scope="session")
def stage_one_words(tiny_atlas: Path) -> list[str]:
    """Spell the tiny tda-ae run: four scenes, four steps of each phase; data and sizes, but not where it goes."""
    words = ["tda-ae", "--data", str(tiny_atlas), *AUTOENCODER, *TRIPLANE, *EVEN_PHASES]
    words += ["--max-num-iterations", str(STEPS), "--vis", "tensorboard"]
    return [*words, "--pipeline.datamanager.dataparser.scenes", "0:4"]


@pytest.fixture(scope="session")
def stage_one(outputs: Path, tiny_atlas: Path, stage_one_words: list[str]) -> Run:
    """Train stage 1 on scenes 0 to 3."""
    result = run_command("ns-train", *stage_one_words, "--output-dir", outputs, "--timestamp", "one")
    return finished(outputs, tiny_atlas, "tda-ae", "one", result)


@pytest.fixture(scope="session")
def stage_two(outputs: Path, tiny_atlas: Path, stage_one: Run) -> Run:
    """Train stage 2 on scenes 4 and 5, from the newest stage 1."""
    words = ["tda-scenes", "--data", tiny_atlas, "--max-num-iterations", str(STEPS), "--vis", "tensorboard"]
    words += ["--output-dir", outputs, "--timestamp", "two", "--pipeline.datamanager.dataparser.scenes", "4:6"]
    return finished(outputs, tiny_atlas, "tda-scenes", "two", run_command("ns-train", *words))


@pytest.fixture
def cars() -> Path:
    """Return the folder of rendered vehicles that lies beside the repository, or skip."""
    folder = Path(__file__).parents[2] / "shared/data/atlas-cars"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/atlas-cars beside the repository (56 rendered vehicles)")
    return folder
