"""Galleries: what is written, what is refused, what is rendered again, and that no text becomes markup."""

from __future__ import annotations

import errno
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from PIL import Image
from scenes_on_disk import write_scene

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.cli.look import gallery
from tda_nerfstudio.looking.gallery import pages, pictures
from tda_nerfstudio.looking.gallery.addresses import address, file_stem, in_order
from tda_nerfstudio.looking.gallery.entries import Entry
from tda_nerfstudio.looking.gallery.exports import find_exports
from tda_nerfstudio.looking.gallery.folder import put_text
from tda_nerfstudio.looking.gallery.options import Options, Sheet
from tda_nerfstudio.looking.gallery.rendering import Made, Shown
from tda_nerfstudio.looking.gallery.write_gallery import write_gallery
from tda_nerfstudio.store.learnt_scene import LearntScene, Record
from tda_nerfstudio.store.store import Store
from tda_nerfstudio.store.stored_scene import StoredScene

VOID = {"meta", "link", "img", "wbr", "br", "input"}
FEW = Options(frames=4, views=2)
HOSTILE = ["<script>alert(1)</script>", "\"'`><img src=x onerror=alert(1)>", "#?%20&amp;[x](y)", "../../etc", "x" * 300]
HOSTILE += ["\ud800 half", "con", "\u2028line", "{{ 7 * 7 }}", "-->", "a\nb"]


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects tags, addresses and text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(path.read_text())
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("href", "src")]
        assert not [key for key, _ in attrs if key.startswith("on") or key == "style"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Read all files below a folder, with the times when they were written."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def listed(out: Path) -> list[list]:
    """Read the list of scenes out of the script that gives it to the page."""
    text = (out / "scenes.js").read_text()
    assert text.isascii() and not set(text) & set("<>&'")
    return json.loads(text.removeprefix("const SCENES = ").removesuffix(";\n"))


def check_links(out: Path) -> None:
    """Check that every page is whole, and that all it leads to is a file in the gallery."""
    for path in out.rglob("*.html"):
        for link in Page(path).links:
            assert link.startswith("#") or (path.parent / unquote(link)).resolve().is_relative_to(out.resolve())
            assert link.startswith("#") or (path.parent / unquote(link)).is_file(), link
    for name, stem, key, *_ in listed(out):
        assert (out / f"scenes/{stem}.html").is_file(), name
        assert not key or (out / f"scenes/{stem}.{key}.webp").is_file(), name


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    """An atlas with images of the scene 'van' alone."""
    return write_scene(tmp_path / "atlas/van", "blender", count=6, size=16, held_out=3).parent


def test_a_gallery_has_a_sheet_views_and_a_page_of_each_scene(store: Store, atlas: Path, tmp_path: Path) -> None:
    store.put_aside("taxi", "It diverged, twice.", {})
    made = write_gallery(Store(store.folder), tmp_path / "out", atlas, FEW)
    assert (made.scenes, made.rendered, made.damaged, made.unseen) == (4, 3, 0, 2)
    check_links(tmp_path / "out")
    rows = {row[0]: row for row in listed(tmp_path / "out")}
    assert list(rows) == ["bus", "cab", "taxi", "van"]
    assert rows["van"][3] == 20.0 and rows["van"][5:] == ["", 0] and rows["van"][4] > 1e9
    assert rows["taxi"][2:] == ["", None, None, "It diverged, twice.", 1]
    van, taxi, bus = (Page(tmp_path / f"out/scenes/{name}.html") for name in ("van", "taxi", "bus"))
    for words in ("20.00 dB", "3 to learn from, 3 held out", "Held-out view 1 of 3", "Truth, decoded, and absolute"):
        assert words in van.text
    assert "Put aside: It diverged, twice." in taxi.text and "Turntable" not in taxi.text
    assert "Decoded views" in bus.text and "Truth" not in bus.text
    assert {"bus.html", "taxi.html"} <= set(Page(tmp_path / "out/scenes/cab.html").links)
    sheet = Image.open(tmp_path / f"out/scenes/van.{rows['van'][2]}.webp")
    assert sheet.size == (32, 32)
    frames = store["van"].render(store.orbit(4)).view(2, 2, 3, 16, 16).permute(0, 3, 1, 4, 2).reshape(32, 32, 3) * 255
    assert np.abs(np.asarray(sheet, float) - frames.numpy()).mean() < 12
    strip = Image.open(tmp_path / f"out/scenes/van.{rows['van'][2]}.0.webp")
    assert strip.size == (48, 16)


def test_pages_ask_the_network_for_nothing_and_have_what_readers_of_screens_need(store: Store, tmp_path: Path) -> None:
    index = write_gallery(Store(store.folder), tmp_path / "out", None, FEW).index
    for path in (index, tmp_path / "out/scenes/van.html"):
        text = path.read_text()
        assert "Content-Security-Policy" in text and "default-src 'none'" in text and "unsafe" not in text
        assert not re.search(r"https?://", text) and 'lang="en"' in text and "<main" in text and "<header" in text
        assert all("alt=" in image for image in re.findall("<img[^>]*>", text))
    for path in (tmp_path / "out/assets").iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", path.read_text())
    page = Page(index)
    assert "noscript" in page.tags and "scenes/van.html" in page.links and 'aria-live="polite"' in index.read_text()


def test_the_same_line_again_renders_nothing_and_changes_no_file(store: Store, tmp_path: Path) -> None:
    write_gallery(Store(store.folder), tmp_path / "out", None, FEW)
    before = contents(tmp_path / "out")
    assert write_gallery(Store(store.folder), tmp_path / "out", None, FEW).rendered == 0
    assert contents(tmp_path / "out") == before


def test_only_what_changed_is_rendered_again_and_what_is_gone_is_removed(
    store: Store, learnt: list[LearntScene], tmp_path: Path
) -> None:
    write_gallery(Store(store.folder), tmp_path / "out", None, FEW)
    before = set(contents(tmp_path / "out"))
    store.remove("cab")
    store.add([replace(learnt[0], weights=learnt[0].weights + 1)], "fp32")
    (tmp_path / "out/scenes/mine.txt").write_text("kept")
    made = write_gallery(Store(store.folder), tmp_path / "out", None, FEW)
    after = set(contents(tmp_path / "out"))
    assert (made.scenes, made.rendered) == (2, 1)
    assert not [name for name in after if "cab" in name] and "scenes/mine.txt" in after
    assert {name for name in before if "bus" in name} == {name for name in after if "bus" in name}
    assert {name for name in before if "van." in name} != {name for name in after if "van." in name}
    check_links(tmp_path / "out")
    assert write_gallery(Store(store.folder), tmp_path / "out", None, replace(FEW, frames=5)).rendered == 2
    assert len([name for name in contents(tmp_path / "out") if name.endswith(".webp")]) == 2 * 3


def test_an_interrupted_run_goes_on_and_leaves_the_earlier_gallery_until_then(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gallery(Store(store.folder), tmp_path / "out", None, FEW)
    before, render = contents(tmp_path / "out"), StoredScene.render

    def cut(self: StoredScene, *args, **kwargs):
        if self.record.name == "van":
            raise KeyboardInterrupt
        return render(self, *args, **kwargs)

    monkeypatch.setattr(StoredScene, "render", cut)
    more = replace(FEW, frames=6)
    with pytest.raises(KeyboardInterrupt):
        write_gallery(Store(store.folder), tmp_path / "out", None, more)
    now = contents(tmp_path / "out")
    assert {name: now[name] for name in before if not name.startswith("made/")} == {
        name: content for name, content in before.items() if not name.startswith("made/")
    }
    check_links(tmp_path / "out")
    monkeypatch.undo()
    assert write_gallery(Store(store.folder), tmp_path / "out", None, more).rendered == 1
    check_links(tmp_path / "out")


def test_a_picture_that_is_gone_or_a_note_that_is_damaged_is_made_again(store: Store, tmp_path: Path) -> None:
    write_gallery(Store(store.folder), tmp_path / "out", None, FEW)
    next((tmp_path / "out/scenes").glob("bus.*.0.webp")).unlink()
    (tmp_path / "out/made/van.json").write_text("[]")
    assert write_gallery(Store(store.folder), tmp_path / "out", None, FEW).rendered == 2
    check_links(tmp_path / "out")


def test_changed_images_are_shown_anew(store: Store, atlas: Path, tmp_path: Path) -> None:
    write_gallery(Store(store.folder), tmp_path / "out", atlas, FEW)
    path = atlas / "van/rgb/000005.png"
    Image.new("RGBA", (16, 16), "red").save(path)
    assert write_gallery(Store(store.folder), tmp_path / "out", atlas, FEW).rendered == 1
    path.write_bytes(path.read_bytes()[:60])
    assert write_gallery(Store(store.folder), tmp_path / "out", atlas, FEW).rendered == 1
    assert "Decoded views" in Page(tmp_path / "out/scenes/van.html").text


def test_a_full_disk_is_named_with_what_to_do(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tda_nerfstudio.looking.gallery.folder.replace_file", full)
    with pytest.raises(TdaError, match=r"gallery.json cannot be written \(No space left on device\). Make room"):
        write_gallery(Store(store.folder), tmp_path / "out", None, FEW)


def test_the_store_of_a_run_is_found_and_called_by_its_name(store: Store, tmp_path: Path) -> None:
    index = write_gallery(Store(store.folder), tmp_path / "out", None, FEW).index
    assert f"<title>{tmp_path.name}: 3 scenes</title>" in index.read_text()


def test_a_damaged_scene_says_so_and_the_others_are_shown(store: Store, tmp_path: Path, capsys) -> None:
    path = store.file("cab").path
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    (path.parent / "other.safetensors").write_bytes(b"nothing")
    gallery(str(store.folder), tmp_path / "out", frames=4, views=1)
    assert "3 scenes, 2 rendered now, 1 damaged;" in capsys.readouterr().out
    rows = {row[0]: row for row in listed(tmp_path / "out")}
    assert rows["cab"][2] == "" and rows["cab"][6] == 2 and rows["van"][2]
    page, index = Page(tmp_path / "out/scenes/cab.html").text, Page(tmp_path / "out/index.html").text
    assert f"Damaged: The file of scenes scenes/{path.name} cannot be read" in page
    assert "1 file of the store cannot be read" in index and "other.safetensors" in index
    assert str(tmp_path) not in page + index + (tmp_path / "out/scenes.js").read_text()
    check_links(tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "--frames is 0. Give a whole number of 1 or more."),
        ({"size": -3}, "--size is -3"),
        ({"views": 0}, "--views is 0"),
        ({"quality": 101}, "--quality is 101. Give a number from 1 to 100."),
        ({"kilobytes": 3}, "--kilobytes is 3. A scene needs 20 or more."),
        ({"size": 4096, "frames": 360}, "do not fit into one picture of 16383 x 16383. Give fewer --frames"),
        ({"data": Path("none")}, "The data folder none does not exist"),
        ({"out": Path("file")}, "file is a file. Name a folder for the gallery"),
        ({"out": Path("file/out")}, "Nothing can be written to file/out"),
        ({"out": Path("full")}, "full is no gallery and not empty (1 file: letter): nothing was written. Name a new"),
        ({"out": Path("other")}, "other is the gallery of another store, whose shared parts are abc, not"),
        ({"store": "full"}, "full is neither a store nor a run"),
    ],
)
def test_what_cannot_be_is_refused_before_the_work(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(StoredScene, "render", lambda *_: pytest.fail("the work began"))
    for path in ("file", "full/letter", "other/gallery.json"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(json.dumps({"format": "tda gallery 1", "shared": "abc"}))
    before = contents(tmp_path)
    with pytest.raises(TdaError) as refused:
        gallery(**{"store": str(store.folder), "out": Path("new"), **options})
    assert message in str(refused.value)
    assert contents(tmp_path) == before and not Path("new").exists()


def test_a_store_without_scenes_is_refused_and_one_of_scenes_put_aside_is_shown(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TdaError, match="holds no scenes: there is nothing to show. Learn some first"):
        write_gallery(Store(folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    Store(folder).put_aside("taxi", "", {})
    assert write_gallery(Store(folder), tmp_path / "out").scenes == 1
    check_links(tmp_path / "out")


def test_a_folder_of_exports_alone_becomes_a_gallery_that_links_to_them(store: Store, tmp_path: Path) -> None:
    for path in ("out/exports/van.ply", "exports/van.ply", "exports/van.GLB", "exports/van.txt", "out/exports/v.ply"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"1" * 2000)
    (tmp_path / "exports/van.obj").mkdir()
    (tmp_path / "exports/van.splats.ply").write_bytes(b"2" * 3000)
    write_gallery(Store(store.folder), tmp_path / "out", None, FEW)
    found = find_exports(store.folder, tmp_path / "out", tmp_path / "out/scenes")
    assert [(one.kind, one.path, one.size) for one in found["van"]] == [
        ("PLY", "../exports/van.ply", 2000),
        ("GLB", "../../exports/van.GLB", 2000),
        ("splats (PLY)", "../../exports/van.splats.ply", 3000),
    ]
    page = Page(tmp_path / "out/scenes/van.html")
    assert {"../exports/van.ply", "../../exports/van.GLB"} <= set(page.links) and "2 kB" in page.text
    assert "Downloads" not in Page(tmp_path / "out/scenes/bus.html").text


def test_a_scene_takes_less_than_60_kb_even_of_noise(store: Store, atlas: Path, tmp_path: Path, monkeypatch) -> None:
    generator = torch.Generator().manual_seed(0)

    def noise(self: StoredScene, view, *_, **__) -> torch.Tensor:
        return torch.rand(len(view), 3, view.height, view.width, generator=generator)

    monkeypatch.setattr(StoredScene, "render", noise)
    write_gallery(Store(store.folder), tmp_path / "out", atlas, replace(Options(), size=128))
    for name in ("van", "bus"):
        files = list((tmp_path / "out/scenes").glob(f"{name}.*"))
        assert len(files) == 1 + 1 + 3 and 20_000 < sum(path.stat().st_size for path in files) < 60_000


def test_pictures_are_made_smaller_only_where_they_must() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    sizes = [len(pictures.encoded(noise, 90, most)) for most in (100_000, 3000, 500)]
    assert sizes[0] > 3000 >= sizes[1] > 500 >= sizes[2]
    flat = np.full((64, 192, 3), 255, np.uint8)
    assert Image.open(io.BytesIO(pictures.encoded(flat, 90, 10_000, 96))).size == (96, 32)
    truth, decoded = torch.zeros(3, 2, 2), torch.zeros(3, 2, 2)
    decoded[:, 0, 0], decoded[:, 1, 1] = 0.125, 0.9
    assert pictures.beside_truth(truth, decoded)[:, 4:, 0].tolist() == [[128, 255], [255, 0]]
    frames = torch.arange(3).view(3, 1, 1, 1).expand(3, 3, 1, 2) / 255
    assert pictures.sheet_of(frames, 2)[..., 0].tolist() == [[0, 0, 1, 1], [2, 2, 255, 255]]


def test_sheets_keep_the_shape_of_images_and_are_as_wide_as_they_are() -> None:
    assert Sheet.of(Options(), 48, 48) == Sheet(24, 5, 5, 48, 48)
    assert Sheet.of(Options(), 400, 300) == Sheet(24, 5, 5, 128, 96)
    assert Sheet.of(Options(frames=2, size=64), 400, 300) == Sheet(2, 2, 1, 64, 48)
    assert all(Sheet.of(Options(frames=frames), 8, 8).rest < frames for frames in range(1, 40))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup_or_leaves_the_folder(name: str, tmp_path: Path) -> None:
    record = Record(name, {"psnr": float("nan"), "ssim": "<b>"}, {name: {"a": name}, "seed": 1})  # type: ignore[dict-item]
    entries = [Entry(name, record, "0", -(10**30), 5), Entry(f"{name}2", reason=name), Entry("van", record)]
    made, sheet = [Made("0" * 12, (Shown(name), Shown(name, 3.0))), Made(), Made(damage=name)], Sheet(4, 2, 2, 8, 8)
    path = tmp_path / "page.html"
    for at in range(3):
        put_text(path, pages.scene_page(name, entries, at, made[at], sheet, []))
        page = Page(path)
        own = page.tags[page.tags.index("body") :]
        assert own.count("img") == len(made[at].files("x")) and "script" not in own and "49" not in page.text
        assert all(re.fullmatch(r"#main|[\w./%~-]+", link) for link in page.links)
        assert not [link for link in page.links if ".." in link.removeprefix("../")]
        assert len(path.read_bytes()) < 10_000
    put_text(path, pages.index_page(name, entries, sheet, [name]))
    assert Page(path).tags.count("script") == 4
    script = pages.list_script(entries, made)
    assert script.isascii() and not set(script) & set("<>&'")
    rows = json.loads(script.removeprefix("const SCENES = ").removesuffix(";\n"))
    assert rows[0][0] == name and rows[0][3] is None


def test_names_of_files_are_safe_and_unique_on_any_system() -> None:
    names = [*HOSTILE, "van", "Van", "VAN", "van.", "van.abc", "", ".", "..", "-", "nul", "com1", "a" * 60, "a" * 61]
    stems = [file_stem(name) for name in names]
    assert len({stem.lower() for stem in stems}) == len(names) and file_stem("van") == "van"
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,70}", stem) for stem in stems)
    assert address("a b#?%<é") == "a%20b%23%3F%25%3C%C3%A9"
    assert sorted(["van_10", "Van_9", "bus", "van_9"], key=in_order) == ["bus", "Van_9", "van_9", "van_10"]
