"""A store is looked at where nerfstudio is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import packages_distributions, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_arrows import BARE, ROOT, closure

from tda_nerfstudio.store.store import Store

LOOK = """
import os, sys
from tda_nerfstudio.cli.main import app
from tda_nerfstudio.looking.look import Look
from tda_nerfstudio.looking.painting import paint
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.source import StoreSource
from tda_nerfstudio.looking.viewer.server import Viewer
from tda_nerfstudio.plugin.quiet import silence
from tda_nerfstudio.plugin.shown_store import shown_store
silence()
with shown_store(os.environ["STORE"]) as (store, _):
    viewer = Viewer(Shelf(StoreSource(store)))
    print(viewer.address, paint(viewer.shelf, Look(store.names[0]), store.orbit(1)).shape)
    viewer.close()
"""


def test_a_store_is_looked_at_with_the_packages_of_the_extra_view_alone(store: Store) -> None:
    needs = [Requirement(text) for text in requires("tda-nerfstudio") or ()]
    view = {need.name for need in needs if need.marker is not None and "view" in str(need.marker)}
    there = closure(view)
    assert {"torch", "viser"} <= there and "nerfstudio" not in there and "diffusers" not in there
    tops = [top for top, names in packages_distributions().items() if {canonicalize_name(n) for n in names} & there]
    words = [*sys.builtin_module_names, *sys.stdlib_module_names, *tops, "tda_nerfstudio"]
    command = [sys.executable, "-c", BARE + LOOK, json.dumps(words), "[]"]
    env = os.environ | {"STORE": str(store.folder)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT.parent, env=env)
    assert done.returncode == 0 and "(16, 16, 3)" in done.stdout, done.stderr
    line = f"pip install --no-deps -e . && pip install {' '.join(sorted(view))}"
    assert line in (ROOT.parent / "README.md").read_text(), line
