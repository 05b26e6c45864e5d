"""nerfstudio's own commands start as before, and load nothing heavy because of us."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = {"diffusers", "open3d", "trimesh", "lpips"}
BLOCKED = """
import contextlib, io, json, sys
heavy = set(json.loads(sys.argv[1]))
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in heavy:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
sys.meta_path.insert(0, Blocker())
text, code = io.StringIO(), 0
sys.argv = ["ns-train", "--help"]
with contextlib.redirect_stdout(text):
    try:
        from nerfstudio.scripts.train import entrypoint
        entrypoint()
    except SystemExit as leave:
        code = leave.code or 0
from nerfstudio.configs.dataparser_configs import all_dataparsers
loaded = sorted({name.split(".")[0] for name in sys.modules} & heavy)
print("RESULT" + json.dumps([code, text.getvalue(), loaded, "tda-atlas" in all_dataparsers]))
"""


@pytest.fixture(scope="module")
def blocked() -> list:
    """Print ns-train's help where the heavy packages cannot be imported: code, text, loaded, dataparser known."""
    words = [sys.executable, "-c", BLOCKED, json.dumps(sorted(HEAVY))]
    env = os.environ | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT"))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tda-ae", "tda-scenes", "tda-rgb", "nerfacto", "vanilla-nerf"])
def test_ns_train_lists_our_methods_beside_its_own_without_heavy_packages(blocked: list, method: str) -> None:
    code, text, *_ = blocked
    assert code == 0
    assert f"• {method} " in text


@pytest.mark.slow
def test_nothing_heavy_is_loaded_and_the_dataparser_is_known(blocked: list) -> None:
    assert blocked[2:] == [[], True]


UNIX_ONLY = ("resource", "fcntl", "pwd", "grp", "termios")
WITHOUT_UNIX = """
import importlib, pkgutil, sys
import nerfstudio.scripts.train, torch, rich.progress, multiprocessing.util, psutil
for name in sys.argv[1:]:
    sys.modules[name] = None
before = set(sys.modules)
import tda_nerfstudio
for name in list(sys.modules):
    if name.startswith("tda_nerfstudio"):
        del sys.modules[name]
import tda_nerfstudio
for module in pkgutil.walk_packages(tda_nerfstudio.__path__, "tda_nerfstudio."):
    importlib.import_module(module.name)
    print(module.name)
"""


@pytest.mark.slow
def test_every_module_can_be_imported_where_there_is_no_unix() -> None:
    words = [sys.executable, "-c", WITHOUT_UNIX, *UNIX_ONLY]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    assert {"tda_nerfstudio.methods", "tda_nerfstudio.learning.forecast", "tda_nerfstudio.plugin.claim"} <= set(names)
