"""Whoever looks finds the old file or the new one, whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tda_nerfstudio.base import atomic
from tda_nerfstudio.base.errors import TdaError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint that was saved before."""
    path = tmp_path / "run/nerfstudio_models/step-000000005.ckpt"
    atomic.save_tensors(path, {"step": 5, "x": torch.arange(4)})
    return path


def files(checkpoint: Path) -> list[str]:
    run = checkpoint.parents[1]
    return sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())


def test_what_was_saved_comes_back(checkpoint: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)
    assert state["step"] == 5
    assert state["x"].tolist() == [0, 1, 2, 3]
    atomic.write_text(checkpoint.parents[1] / "note.txt", "größer")
    assert (checkpoint.parents[1] / "note.txt").read_text(encoding="utf-8") == "größer"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failing_writer_leaves_the_old_file_and_nothing_else(checkpoint: Path, error: BaseException) -> None:
    before = checkpoint.read_bytes()

    def write(file) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        atomic.replace_file(checkpoint, write, checkpoint.parent.parent)
    assert checkpoint.read_bytes() == before
    assert files(checkpoint) == ["nerfstudio_models/step-000000005.ckpt"]


def test_what_cannot_be_saved_leaves_the_old_checkpoint(checkpoint: Path) -> None:
    before = checkpoint.read_bytes()
    with pytest.raises(Exception, match="pickle|local object"):
        atomic.save_tensors(checkpoint, {"x": torch.zeros(9), "f": lambda: None})
    assert checkpoint.read_bytes() == before
    assert files(checkpoint) == ["nerfstudio_models/step-000000005.ckpt"]


def test_while_it_writes_the_checkpoint_folder_holds_whole_checkpoints_alone(checkpoint: Path) -> None:
    seen = []

    def write(file) -> None:
        file.write(b"new")
        seen.extend(path.name for path in checkpoint.parent.iterdir())
        seen.append(checkpoint.read_bytes()[:2])

    atomic.replace_file(checkpoint, write, checkpoint.parent.parent)
    assert seen == ["step-000000005.ckpt", b"PK"]
    assert checkpoint.read_bytes() == b"new"


def test_a_new_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "run/nerfstudio_models/step-000000001.ckpt"

    def write(file) -> None:
        file.write(b"x")
        assert not path.exists()

    atomic.replace_file(path, write)
    assert files(path) == ["nerfstudio_models/step-000000001.ckpt"]


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    atomic.require_writable(tmp_path / "new/and/deep")
    atomic.require_writable(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TdaError) as caught:
        atomic.require_writable(tmp_path / "file/out")
    assert str(caught.value) == (
        f"Nothing can be written to {tmp_path / 'file/out'} (Not a directory). Name another folder, or make this one"
        " writable."
    )

    def refuse(**options: object) -> None:
        raise PermissionError(1, "Operation not permitted", str(tmp_path))

    monkeypatch.setattr(atomic.tempfile, "TemporaryFile", refuse)
    with pytest.raises(TdaError, match="out .Operation not permitted."):
        atomic.require_writable(tmp_path / "out")
