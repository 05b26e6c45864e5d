"""Two processes never work in one folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.plugin.claim import claim, release

HOLD = """
import sys
from pathlib import Path
from tda_nerfstudio.plugin.claim import claim
print(claim(Path(sys.argv[1]), new=False), flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen]:
    """Let a process hold a folder."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], **pipes) as process:
        assert process.stdout is not None and process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_a_folder_where_a_process_is_at_work_is_refused_until_it_dies(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with another_process(folder) as process:
        with pytest.raises(TdaError, match=f"Another process is at work in {folder}. Wait until it ends or stop it"):
            claim(folder, new=False)
        assert not claim(folder, new=True)
        process.kill()
        process.wait()
        assert claim(folder, new=False)
    release(folder)


def test_a_new_folder_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "a/b/run"
    assert claim(folder, new=True) and folder.is_dir()
    assert not claim(folder, new=True)
    assert claim(folder, new=False)
    release(folder)
    assert not folder.parent.parent.exists() and tmp_path.is_dir()
    release(folder)


def test_a_folder_that_is_let_go_keeps_what_is_in_it(tmp_path: Path) -> None:
    claim(tmp_path / "run", new=True)
    (tmp_path / "run/config.yml").touch()
    release(tmp_path / "run")
    assert (tmp_path / "run/config.yml").exists()
    with another_process(tmp_path / "run"):
        pass


def test_where_nothing_can_be_locked_new_folders_still_differ(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert claim(tmp_path / "run", new=True) and not claim(tmp_path / "run", new=True)
    assert claim(tmp_path / "run", new=False)
    release(tmp_path / "run")


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(TdaError, match="run is no folder"):
        claim(tmp_path / "run", new=False)
