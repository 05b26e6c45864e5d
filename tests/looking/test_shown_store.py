"""Whatever shows scenes gets a store: of a store, of a run that has one, and of a finished run that has none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.open_run import open_run
from tda_nerfstudio.plugin.shown_store import shown_store, store_of
from tda_nerfstudio.store.store import Store

ALONE = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("nerfstudio", "diffusers", "torchvision", "cv2"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
from tda_nerfstudio.plugin.shown_store import shown_store
with shown_store(sys.argv[1]) as (store, data):
    image = store[store.names[0]].render(store.orbit(1))
    print(len(store), store.folder.parent, data, tuple(image.shape), sep="|")
"""


def alone(source: Path) -> list[str]:
    """Open a source where nerfstudio cannot be imported."""
    done = subprocess.run([sys.executable, "-c", ALONE, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split("|")


def test_a_store_is_itself_and_needs_no_nerfstudio(store: Store) -> None:
    with shown_store(store.folder) as (shown, data):
        assert shown.folder == store.folder and shown.names == store.names and data is None
    assert alone(store.folder)[0] == "3"


@pytest.mark.slow
def test_a_finished_run_without_a_store_is_shown_without_nerfstudio_and_images(stage_one, tmp_path: Path) -> None:
    run = shutil.copytree(stage_one.folder, tmp_path / "moved")
    facts = json.loads((run / "finished.json").read_text())
    (run / "finished.json").write_text(json.dumps(facts | {"data": "/nowhere/at all"}))
    count, where, data, shape = alone(run)
    assert count == "4" and data == "None" and shape == f"(1, 3, {facts['image_size'][1]}, {facts['image_size'][0]})"
    assert not Path(where).exists()  # what was made for it is gone
    pipeline = open_run(stage_one.config)
    with shown_store(stage_one.config) as (shown, found):
        assert shown.names == facts["scene_names"] and found == Path(facts["data"])
        assert shown.record(shown.names[1]).metrics["psnr"] == pytest.approx(
            facts["metrics"]["scenes"][shown.names[1]]["psnr"]
        )
        view = shown.orbit(2)
        expected = pipeline.model.render(1, view, view.height, view.width)[1]  # type: ignore[arg-type]
        # Shared parts of a store are in float16.
        torch.testing.assert_close(shown[shown.names[1]].render(view), expected, rtol=0, atol=0.02)


@pytest.mark.slow
def test_a_run_with_a_store_is_shown_by_it(stage_two) -> None:
    with shown_store(stage_two.config) as (shown, data):
        assert shown.folder == stage_two.folder / "store" == store_of(stage_two.folder)
        assert data == Path(stage_two.manifest["data"])


def test_what_is_neither_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "afile").write_text("nothing")
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yml").write_text("")
    for source, text in {
        "none": "none does not exist. Give the folder of a store or of a run.",
        "afile": "afile is neither a store nor a run's config.yml. Give a folder with a manifest.json or a config.yml",
        "empty": "is neither a store nor a run. Give a folder with a manifest.json or a config.yml.",
        "run": "has no store and is not finished. Look at it with\n  ns-viewer --load-config",
    }.items():
        with pytest.raises(TdaError) as refused, shown_store(tmp_path / source):
            pytest.fail("it was opened")
        assert text in str(refused.value)


def test_a_run_of_an_older_version_is_told_what_shows_it(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("")
    (tmp_path / "finished.json").write_text(json.dumps({"store": None, "data": "x", "scene_names": []}))
    with pytest.raises(TdaError, match="is of an older version, which did not note its camera"), shown_store(tmp_path):
        pass


def test_a_run_s_own_store_goes_before_one_that_it_names(store: Store, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yml").write_text("nobody reads this")
    assert store_of(run) is None and store_of(run / "config.yml") is None and store_of(tmp_path / "none") is None
    (run / "finished.json").write_text(json.dumps({"store": str(store.folder)}))
    assert store_of(run) == store_of(run / "config.yml") == store_of(store.folder) == store.folder
    shutil.copytree(store.folder, run / "store")  # of two, the one that moves with the run
    assert store_of(run / "config.yml") == run / "store"
    (run / "edited.yml").write_text("# mine\n!!python/object:tda_nerfstudio.plugin.tda_trainer.TdaTrainerConfig\n")
    assert store_of(run / "edited.yml") == run / "store"
