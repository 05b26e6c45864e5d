"""Films of scenes: what is refused before the work, what is in their frames, and that they go on where they stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.base.errors import StoreError, TdaError
from tda_nerfstudio.looking.look import Look
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.source import StoreSource
from tda_nerfstudio.looking.truth import truth_of
from tda_nerfstudio.looking.videos import films, reel
from tda_nerfstudio.looking.videos import render as rendering
from tda_nerfstudio.looking.videos.cameras import read_camera_path
from tda_nerfstudio.looking.videos.films import HEADER, eased, frames_of, tile_size
from tda_nerfstudio.looking.videos.render import Options, render
from tda_nerfstudio.store.store import Store


def frames(path: Path) -> np.ndarray:
    import imageio.v2 as imageio

    return np.stack(list(imageio.get_reader(path).iter_data())).astype(float)


def pictures(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("frame_*.png"))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ("rgb", "normal")}, "There is no output 'normal'. Scenes have rgb, latent, depth, normals, accum"),
        ({"names": ("dept",)}, "Did you mean 'depth'?"),
        ({"names": ()}, "There is no output 'none'. Scenes have rgb"),
        ({"frames": 0}, "--frames is 0. Give a whole number of 1 or more."),
        ({"size": (-1,)}, "--size is -1"),
        ({"size": (1, 2, 3)}, "--size takes a width and a height in pixels, or one number for both."),
        ({"elevation": float("nan")}, "--elevation is nan. Give a finite number of degrees above the horizon."),
        ({"fps": 0}, "--fps is 0"),
        ({"output": "turn.png"}, "The output turn.png ends in '.png': what kind of file is it to be? Name it turn.mp4"),
        ({"output": "."}, "The output . is a folder"),
        ({"output": "file/turn.mp4"}, "Nothing can be written to file"),
        ({"output": "full"}, "full is there already and holds no frames of ours. Name another folder, or remove it."),
        ({"camera_path": Path("none.json")}, "The camera path none.json does not exist. Save one in the viewer's"),
        ({"scenes": ("vam",)}, "holds no scene 'vam'. Did you mean 'van'?"),
        ({"scenes": ("x*",)}, "x*"),
        ({"wall": True, "morph": True}, "--wall and --morph are different films. Choose one."),
        ({"wall": True, "names": ("depth",)}, "--wall shows decoded images. Leave --output-names out."),
        ({"labels": True}, "--labels writes names below the tiles of a --wall."),
        ({"compare": True}, "--compare shows scenes beside their images, which are not at hand. Add --data ATLAS."),
        ({"compare": True, "size": (8,)}, "Leave --camera-path and --size out."),
        ({"morph": True, "scenes": ("van",)}, "--morph goes through at least two scenes. Name them in order"),
        ({"output": "frames", "names": ("rgb", "depth")}, "A folder of frames has one output"),
    ],
)
def test_what_cannot_be_shown_or_written_is_refused_before_the_work(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, message: str
) -> None:
    monkeypatch.setattr(rendering, "make", lambda *given: pytest.fail("the work began"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("mine")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(TdaError) as refused:
        render(store, Options(**{"output": Path(options.pop("output", "turn.mp4")), **options}))
    assert message in str(refused.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.fixture
def drawn(store: Store, tmp_path: Path) -> Path:
    """Two cameras of the store's orbit, as nerfstudio's render tab writes them."""
    view = store.orbit(2)
    cameras = [
        {"camera_to_world": [*pose.flatten().tolist(), 0.0, 0.0, 0.0, 1.0], "fov": 43.60281897270362, "aspect": 1.0}
        for pose in view.c2w  # 2 atan(8 / 20)
    ]
    sizes = {"camera_type": "perspective", "render_height": 16, "render_width": 16, "fps": 2.0, "seconds": 1.0}
    (tmp_path / "path.json").write_text(json.dumps(sizes | {"camera_path": cameras}))
    return tmp_path / "path.json"


def test_a_camera_path_of_the_viewer_is_rendered(store: Store, drawn: Path, tmp_path: Path) -> None:
    import imageio.v2 as imageio

    view, fps = read_camera_path(drawn)
    assert fps == 2 and (view.width, view.height) == (16, 16) and view.fx.tolist() == pytest.approx([20.0] * 2)
    path = render(store, Options(tmp_path / "van.mp4", ("van",), camera_path=drawn))
    assert imageio.get_reader(path).get_meta_data()["fps"] == 2
    expected = store["van"].render(store.orbit(2)).permute(0, 2, 3, 1).numpy() * 255
    assert frames(path).shape == (2, 16, 16, 3) and abs(frames(path) - expected).mean() < 12
    large = render(store, Options(tmp_path / "large.mp4", ("van",), camera_path=drawn, size=(48, 32), fps=5))
    assert frames(large).shape == (2, 32, 48, 3)


def test_its_cameras_are_those_that_nerfstudio_reads(drawn: Path) -> None:
    from nerfstudio.cameras.camera_paths import get_path_from_json

    theirs, (ours, _) = get_path_from_json(json.loads(drawn.read_text())), read_camera_path(drawn)
    torch.testing.assert_close(ours.c2w, theirs.camera_to_worlds.float(), rtol=0, atol=1e-6)
    for name in ("fx", "fy", "cx", "cy"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name)[:, 0].float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera_path": []}, "cannot be read as a camera path"),
        ({"render_width": None}, "An image's size is"),
        ({"camera_path": [{"fov": 40}]}, "cannot be read as a camera path"),
        ({"fps": "many"}, "cannot be read as a camera path"),
        ({"camera_type": "equirectangular"}, "is of the type equirectangular. Scenes are shown through Perspective"),
    ],
)
def test_a_damaged_camera_path_is_named(drawn: Path, change: dict, message: str) -> None:
    drawn.write_text(json.dumps(json.loads(drawn.read_text()) | change))
    with pytest.raises(TdaError) as refused:
        read_camera_path(drawn)
    assert message in str(refused.value) and str(drawn) in str(refused.value)
    drawn.write_text("[1, 2]")
    with pytest.raises(TdaError, match=r"path.json cannot be read as a camera path \(TypeError"):
        read_camera_path(drawn)


def test_a_turn_shows_scenes_one_after_the_other_as_the_store_renders_them(store: Store, tmp_path: Path) -> None:
    folder = render(store, Options(tmp_path / "turn", ("van", "bus"), frames=2, names=("depth",)))
    assert [picture.shape for picture in pictures(folder)] == [(16, 16, 3)] * 4
    whole = render(store, Options(tmp_path / "turn.webm", ("all",), frames=2, names=("rgb", "latent")))
    assert frames(whole).shape == (6, 16, 32, 3)
    expected = torch.cat([store[name].render(store.orbit(2)) for name in store]).permute(0, 2, 3, 1).numpy() * 255
    assert abs(frames(whole)[:, :, :16] - expected).mean() < 16
    assert not list(tmp_path.glob(".*"))  # frames are gone once the film is there


def test_frames_of_a_folder_have_alpha_from_which_the_image_comes_back(store: Store, tmp_path: Path) -> None:
    folder = render(store, Options(tmp_path / "frames", ("van",), frames=2))
    expected = store["van"].render(store.orbit(2)).permute(0, 2, 3, 1).numpy()
    for picture, image in zip(pictures(folder), expected, strict=True):
        colour, alpha = picture[..., :3] / 255, picture[..., 3:] / 255
        fair = (colour > 0) & (colour < 1)  # this untrained decoder also darkens what is hardly there
        assert picture.shape == (16, 16, 4) and fair.mean() > 0.2
        assert abs(colour * alpha + 1 - alpha - image)[fair].max() <= 1.01 / 255
    whole = films.with_alpha(torch.full((3, 1, 1), 0.6), torch.full((1, 1, 1), 0.5))
    assert whole.tolist() == [[[52, 52, 52, 128]]]  # (0.6 - 0.498) / 0.502, as alpha is 128 / 255


def test_a_wall_has_all_scenes_in_a_grid_with_white_where_there_is_none(store: Store, tmp_path: Path) -> None:
    folder = render(store, Options(tmp_path / "wall", wall=True, frames=2, size=(16,)))
    (first, second), shelf, view = pictures(folder), Shelf(StoreSource(store)), store.orbit(2)
    assert first.shape == (32, 32, 3) and (first != second).any()
    for k, name in enumerate(store):
        (tile,) = frames_of(shelf, Look(name), view[:1])
        assert np.array_equal(first[k // 2 * 16 : k // 2 * 16 + 16, k % 2 * 16 : k % 2 * 16 + 16], tile)
    assert (first[16:, 16:] == 255).all()
    named = render(store, Options(tmp_path / "named", wall=True, frames=1, size=(16,), labels=True))
    assert pictures(named)[0].shape[0] % (16 + HEADER) == 0
    assert tile_size(100, 128, 128) == (128, 128) and tile_size(1000, 128, 128) == (45, 45)


def test_a_morph_begins_and_ends_as_its_scenes_and_changes_between(store: Store, tmp_path: Path) -> None:
    shelf = Shelf(StoreSource(store))
    film = films.morph(shelf, ["van", "bus", "cab"], store.orbit(9))
    for i, name in ((0, "van"), (4, "bus"), (8, "cab")):
        assert np.array_equal(film.paint(i), frames_of(shelf, Look(name), store.orbit(9)[i : i + 1])[0]), name
    assert (film.paint(2) != frames_of(shelf, Look("van"), store.orbit(9)[2:3])[0]).any()
    assert [round(eased(x), 3) for x in (0, 0.1, 0.5, 0.9, 1)] == [0, 0, 0.5, 1, 1]
    assert frames(render(store, Options(tmp_path / "m.gif", morph=True, frames=5))).shape[0] == 5


@pytest.fixture
def atlas(store: Store, tmp_path: Path) -> Path:
    """Red images of the van, from four sides."""
    view, folder = store.orbit(4), tmp_path / "atlas" / "van"
    folder.mkdir(parents=True)
    poses = [[*pose.tolist(), [0.0, 0.0, 0.0, 1.0]] for pose in view.c2w]
    listed = []
    for i in (2, 0, 3, 1):  # azimuth orders them
        Image.new("RGB", (16, 16), "red").save(folder / f"{i}.png")
        listed.append({"file_path": f"{i}", "transform_matrix": poses[i]})
    for split in ("train", "test"):
        content = {"camera_angle_x": 2 * np.arctan(8 / 20), "frames": listed[:1] if split == "train" else listed[1:]}
        (folder / f"transforms_{split}.json").write_text(json.dumps(content))
    return tmp_path / "atlas"


def test_a_scene_is_shown_beside_its_images_and_a_baseline(store: Store, atlas: Path, tmp_path: Path) -> None:
    truth = truth_of(store, atlas)
    output = tmp_path / "beside"
    folder = render(store, Options(output, ("van",), compare=True), truth, Store(store.folder))
    shown = pictures(folder)
    assert len(shown) == 3 and shown[0].shape == (16 + 2 * HEADER, 48, 3)
    views = truth.views("van")  # type: ignore[union-attr]
    order = films.order_by_azimuth(views.c2w, store.shared.scenes.box.mean(0)).tolist()  # type: ignore[union-attr]
    expected = store["van"].render(views[order]).permute(0, 2, 3, 1).numpy() * 255  # type: ignore[index]
    for picture, image in zip(shown, expected, strict=True):
        middle = picture[HEADER:-HEADER].astype(int)
        assert (middle[:, :16] == [255, 0, 0]).all() and abs(middle[:, 16:32] - image).max() <= 1
        assert np.array_equal(middle[:, 16:32], middle[:, 32:])
    with pytest.raises(TdaError, match="lacks 1 scene: bus. Leave them out, or give their atlas: --data"):
        render(store, Options(tmp_path / "b.mp4", ("van", "bus"), compare=True), truth)
    other = Store(store.folder)
    other.remove("van")
    with pytest.raises(TdaError, match="The baseline .* lacks 1 scene: van"):
        render(store, Options(tmp_path / "b.mp4", ("van",), compare=True), truth, other)


def test_a_stopped_film_goes_on_and_another_one_begins_anew(store: Store, tmp_path: Path, monkeypatch) -> None:
    painted, real = [], films.frames_of

    def paint(shelf, look, view, names=("rgb",)):
        if len(painted) == 3:
            raise KeyboardInterrupt
        painted.append(1)
        return real(shelf, look, view, names)

    options = Options(tmp_path / "turn.mp4", ("van",), frames=5)
    monkeypatch.setattr(films, "frames_of", paint)
    with pytest.raises(KeyboardInterrupt):
        render(store, options)
    assert [path.name for path in tmp_path.glob("*.mp4")] == []
    del painted[:]
    render(store, options)
    assert len(painted) == 2 and len(frames(tmp_path / "turn.mp4")) == 5
    del painted[:]
    with pytest.raises(KeyboardInterrupt):
        render(store, options)
    del painted[:]
    render(store, Options(tmp_path / "turn.mp4", ("van",), frames=3))  # another film of the same name
    assert len(painted) == 3 and len(frames(tmp_path / "turn.mp4")) == 3


def test_a_film_that_cannot_be_written_leaves_the_old_one_and_its_frames(store, tmp_path: Path, monkeypatch) -> None:
    options = Options(tmp_path / "turn.mp4", ("van",), frames=2)
    render(store, options)
    before = (tmp_path / "turn.mp4").read_bytes()
    monkeypatch.setattr(reel, "_video", lambda *given: (_ for _ in ()).throw(OSError("No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        render(store, Options(tmp_path / "turn.mp4", ("van",), frames=3))
    assert (tmp_path / "turn.mp4").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"turn.mp4", ".turn.mp4.frames", "store"}


def test_a_file_that_lacks_frames_is_no_film(store, tmp_path: Path, monkeypatch) -> None:
    real = reel._video
    monkeypatch.setattr(reel, "_video", lambda folder, count, path, fps: real(folder, count - 1, path, fps))
    with pytest.raises(OSError, match="Only 2 of 3 frames could be written"):
        render(store, Options(tmp_path / "turn.mp4", ("van",), frames=3))
    assert not (tmp_path / "turn.mp4").exists()


def test_the_same_scenes_in_other_files_are_the_same_film(store: Store, learnt: list) -> None:
    before = films.one_after_the_other(Shelf(StoreSource(store)), ["van", "cab"], store.orbit(2), ("rgb",)).key
    store.add([scene for scene in learnt if scene.record.name in ("van", "cab")], "fp32")
    assert films.one_after_the_other(Shelf(StoreSource(store)), ["van", "cab"], store.orbit(2), ("rgb",)).key == before
    assert films.one_after_the_other(Shelf(StoreSource(store)), ["van", "bus"], store.orbit(2), ("rgb",)).key != before


def test_alpha_of_enlarged_frames_is_as_sharp_as_they_are(store: Store) -> None:
    shelf, view = Shelf(StoreSource(store)), store.orbit(1, size=64)
    (frame,) = frames_of(shelf, Look("van"), view, ("rgba",))
    assert frame.shape == (64, 64, 4)
    repeated = frame[::4, ::4, 3].repeat(4, 0).repeat(4, 1)
    assert (frame[..., 3] != repeated).any()


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".mov", ".mkv", ".avi"])
def test_every_kind_of_file_has_all_frames(store: Store, tmp_path: Path, suffix: str) -> None:
    path = render(store, Options(tmp_path / f"turn{suffix}", ("bus",), frames=4, fps=10, size=(32, 24)))
    assert frames(path)[..., :3].shape == (4, 24, 32, 3)
    if suffix == ".gif":
        assert Image.open(path).info["duration"] == 100


def test_a_damaged_scene_takes_none_of_the_others_out_of_all(store: Store, tmp_path: Path, capsys) -> None:
    path = store.file("cab").path
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    video = render(store, Options(tmp_path / "all.mp4", ("all",), frames=2))
    text = " ".join(capsys.readouterr().out.split())
    assert len(frames(video)) == 4 and "Left out: 'cab'. The file of scenes" in text and path.name in text
    with pytest.raises(StoreError, match=path.name):
        render(store, Options(tmp_path / "cab.mp4", ("cab",), frames=2))
    assert not (tmp_path / "cab.mp4").exists()
    for name in list(store):
        store.remove(name) if name != "cab" else None
    with pytest.raises(StoreError):
        render(Store(store.folder), Options(tmp_path / "x.mp4", ("all",), frames=2))
