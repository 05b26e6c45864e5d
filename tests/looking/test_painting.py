"""Pictures of looks: what each shows, and where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tda_nerfstudio.base.errors import TdaError
from tda_nerfstudio.core.metrics import psnr
from tda_nerfstudio.core.view import View
from tda_nerfstudio.looking import painting
from tda_nerfstudio.looking.colouring import NEAR_TO_FAR, depth_colours, error_colours, ramp
from tda_nerfstudio.looking.lettering import message
from tda_nerfstudio.looking.look import Look
from tda_nerfstudio.looking.painting import paint
from tda_nerfstudio.looking.shelf import Shelf
from tda_nerfstudio.looking.source import StoreSource
from tda_nerfstudio.looking.truth import Truth, nearest, truth_of
from tda_nerfstudio.store.store import Store


@pytest.fixture
def shelf(store: Store) -> Shelf:
    return Shelf(StoreSource(store))


@pytest.fixture
def view(store: Store) -> View:
    return store.orbit(5, size=(40, 32))[1:2]


def test_a_decoded_image_is_what_the_store_renders(shelf: Shelf, store: Store, view: View) -> None:
    expected = store["van"].render(view)[0].permute(1, 2, 0).numpy() * 255
    assert abs(paint(shelf, Look("van"), view) - expected).max() <= 0.51


def test_a_wipe_has_one_scene_left_and_the_other_right_of_its_line(shelf: Shelf, view: View) -> None:
    one, other = (paint(shelf, Look(name), view).astype(int) for name in ("van", "bus"))
    wiped = paint(shelf, Look("van", other="bus", mode="wipe", split=0.3), view).astype(int)
    above = slice(0, 14)  # names are written below
    assert np.array_equal(wiped[above, :12], one[above, :12]) and np.array_equal(wiped[above, 13:], other[above, 13:])
    assert (one != other)[above, :12].any() and (one != other)[above, 13:].any()
    assert np.array_equal(paint(shelf, Look("van", other="bus", mode="wipe", split=1.0), view), one)


def test_scenes_side_by_side_are_both_in_the_middle_of_their_halves(shelf: Shelf, view: View) -> None:
    both = paint(shelf, Look("van", other="van", mode="beside"), view).astype(int)
    assert both.shape == (32, 40, 3)
    assert np.array_equal(both[:14, 1:19], both[:14, 21:39])  # without the line
    assert paint(shelf, Look("van", mode="beside"), view).shape == (32, 40, 3)  # beside nothing


def test_a_blend_goes_from_one_scene_to_the_other(shelf: Shelf, view: View) -> None:
    looks = [Look("van", other="cab", share=share) for share in (0.0, 0.5, 1.0)]
    first, middle, last = (paint(shelf, look, view).astype(int) for look in looks)
    assert np.array_equal(first, paint(shelf, Look("van"), view)) and np.array_equal(
        last, paint(shelf, Look("cab"), view)
    )
    assert (middle != first).any() and (middle != last).any()
    planes = [shelf.sight(look)[1] for look in looks]
    torch.testing.assert_close(planes[1], (planes[0] + planes[2]) / 2, rtol=0, atol=1e-6)


def test_parts_alone_are_without_the_others(shelf: Shelf) -> None:
    mic = shelf.source.parts.config.triplane.micro_channels
    whole, micro, macro = (shelf.sight(Look("van", parts=parts))[1] for parts in ("all", "micro", "macro"))
    assert torch.equal(micro[..., :mic], whole[..., :mic]) and not micro[..., mic:].any()
    assert torch.equal(macro[..., mic:], whole[..., mic:]) and not macro[..., :mic].any()


def test_what_was_prepared_is_kept_until_scenes_change_and_never_too_much(shelf: Shelf, monkeypatch) -> None:
    read = []
    monkeypatch.setattr(
        type(shelf.source), "learnt", lambda s, name: read.append(name) or s.store.file(name).load(name)
    )
    for look in (Look("van"), Look("van", output="depth"), Look("van", other="cab"), Look("cab"), Look("van")):
        shelf.sight(look)
    assert read == ["van", "cab"]
    monkeypatch.setattr(shelf.source, "state", 1)
    shelf.sight(Look("van"))
    assert read == ["van", "cab", "van"]


@pytest.fixture
def truth(shelf: Shelf, store: Store, tmp_path: Path) -> Truth:
    """Images of the van, half as bright as what is rendered, in an atlas of its own."""
    import json

    view, folder = store.orbit(4), tmp_path / "atlas" / "van"
    (folder / "test").mkdir(parents=True)
    frames = []
    for i, image in enumerate(store["van"].render(view)):
        Image.fromarray((image.permute(1, 2, 0) * 255).round().byte().numpy() // 2).save(folder / f"test/{i}.png")
        pose = torch.cat([view.c2w[i], torch.tensor([[0.0, 0, 0, 1]])])
        frames.append({"file_path": f"test/{i}", "transform_matrix": pose.tolist()})
    angle = 2 * np.arctan(view.width / 2 / float(view.fx[0]))  # type: ignore[operator]
    for split, some in (("train", frames[:1]), ("test", frames[1:])):  # what is held out counts
        (folder / f"transforms_{split}.json").write_text(json.dumps({"camera_angle_x": angle, "frames": some}))
    found = truth_of(store, tmp_path / "atlas")
    assert found is not None
    return found


def test_truth_error_and_autoencoder_are_those_of_the_nearest_image(store: Store, truth: Truth, view: View) -> None:
    shelf, views = Shelf(StoreSource(store), truth), truth.views("van")
    assert views is not None and len(views) == 3 and nearest(views, views.c2w[1, :, 3] * 1.1) == 1
    square = store.orbit(4)[2:3]
    image = np.asarray(Image.open(views.paths[1]).convert("RGB")).astype(int)
    assert np.array_equal(paint(shelf, Look("van", output="truth"), square), image)
    decoded = torch.tensor(paint(shelf, Look("van"), square) / 255)
    error = paint(shelf, Look("van", output="error"), square)
    away = (decoded - torch.tensor(image / 255)).abs().mean(-1)
    expected = error_colours(away[None].float()).permute(1, 2, 0).numpy() * 255
    assert abs(error - expected).mean() < 2
    codec = shelf.source.parts.autoencoder
    own = codec.decode(codec.encode(torch.tensor(image / 255).permute(2, 0, 1)[None].float())).clamp(0, 1)
    alone = torch.tensor(paint(shelf, Look("van", output="autoencoder"), square) / 255).permute(2, 0, 1)[None]
    assert psnr(alone.float(), own) > 45
    both = paint(shelf, Look("van", mode="truth"), store.orbit(4, size=(64, 32))[2:3])
    assert both.shape == (32, 64, 3) and abs(both[:14, 1:31].astype(int) - both[:14, 33:63]).mean() > 10


def test_where_images_are_not_at_hand_the_picture_says_what_to_do(
    store: Store, truth: Truth, view: View, monkeypatch
) -> None:
    said = []
    monkeypatch.setattr(painting, "message", lambda text, *size: said.append(text) or message(text, *size))
    paint(Shelf(StoreSource(store)), Look("van", output="truth"), view)
    paint(Shelf(StoreSource(store), truth), Look("cab", output="error"), view)
    assert said == [f"The images of '{name}' are not at hand. Say where its atlas is: tda view ... --data ATLAS"
                    for name in ("van", "cab")]  # fmt: skip
    with pytest.raises(TdaError, match="has none of the store's scenes"):
        (truth.root / "van").rename(truth.root / "other")
        truth_of(store, truth.root)


def test_any_text_fits_into_a_picture() -> None:
    for text in ("x" * 5000, "", "wörds \U0001f600 and more " * 40):
        assert message(text, 120, 90).shape == (90, 120, 3)
    assert (message("something", 200, 100) != 255).any()


def test_colours_of_depth_mean_the_same_and_nothing_is_white() -> None:
    ends = ramp(torch.tensor([[0.0, 1.0]]))
    assert (ends[:, 0, 0] * 255).round().int().tolist() == list(NEAR_TO_FAR[0])
    assert (ends[:, 0, 1] * 255).round().int().tolist() == list(NEAR_TO_FAR[-1])
    depth = torch.tensor([[[0.0, 2.0, 4.0]]])
    shown = depth_colours(depth, 2.0, 4.0)
    assert (shown[:, 0, 0] == 1).all() and torch.equal(shown[:, 0, 1:], ends[:, 0])
    assert torch.equal(error_colours(torch.zeros(1, 1, 1))[:, 0, 0], ends[:, 0, 1])


def test_a_channel_alone_is_grey_and_the_palette_is_the_space_s(shelf: Shelf, view: View) -> None:
    grey = paint(shelf, Look("van", output="latent", channel=2), view)
    assert (grey.max(2) == grey.min(2)).all() and grey.std() > 1
    colours = paint(shelf, Look("van", output="latent"), view)
    assert (colours.max(2) != colours.min(2)).any()
    same = Shelf(StoreSource(Store(shelf.source.store.folder)))  # type: ignore[attr-defined]
    assert np.array_equal(paint(same, replace(Look("van"), output="latent"), view), colours)
