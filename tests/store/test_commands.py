"""`tda store`: what its commands say and do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tda_nerfstudio.cli import store as commands
from tda_nerfstudio.core.errors import TdaError
from tda_nerfstudio.store.shared_parts import write_shared_parts
from tda_nerfstudio.store.store import Store


def test_info_lists_scenes_and_names_what_is_left_out(store: Store, capsys: pytest.CaptureFixture) -> None:
    path = store.file("cab").path
    path.write_bytes(path.read_bytes()[:50])
    commands.info(store.folder)
    text = capsys.readouterr().out
    assert "van" in text and "20.000" in text and "fp32" in text and "2 scenes in 1 files" in text
    assert "Left out:" in text and path.stem in "".join(text.split())


def test_verify_ends_with_what_is_wrong(store: Store, capsys: pytest.CaptureFixture) -> None:
    commands.verify(store.folder)
    assert "3 scenes in 2 files: every byte is as it was written." in capsys.readouterr().out
    path = store.file("van").path
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    with pytest.raises(TdaError, match=path.name):
        commands.verify(store.folder)


def test_scenes_move_between_stores_of_the_same_shared_parts_alone(store: Store, parts, tmp_path: Path) -> None:
    write_shared_parts(tmp_path / "twin", parts, store.manifest.shots, {})
    commands.add(tmp_path / "twin", store.folder, ("van", "cab"))
    commands.remove(tmp_path / "twin", ("cab",))
    twin = Store(tmp_path / "twin")
    assert list(twin) == ["van"] and twin.file("van").precision == "fp32"
    parts.scenes.base.data.add_(1)
    write_shared_parts(tmp_path / "other", parts, store.manifest.shots, {})
    with pytest.raises(TdaError, match=f"has the shared parts {store.manifest.hash}"):
        commands.add(tmp_path / "other", store.folder)
    assert not len(Store(tmp_path / "other"))
