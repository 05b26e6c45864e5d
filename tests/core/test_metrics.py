"""Image quality by hand."""

from __future__ import annotations

import pytest
import torch

from tda_nerfstudio.core import metrics
from tda_nerfstudio.core.metrics import high_frequency_share, lpips, psnr, sharpness, ssim


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_psnr_by_hand_for_each_image():
    truth = torch.full((3, 3, 4, 4), 0.5)
    output = truth + torch.tensor([0.1, 0.01, 0.0]).view(3, 1, 1, 1)
    torch.testing.assert_close(psnr(output, truth), torch.tensor([20.0, 40.0, 100.0]), rtol=1e-4, atol=0)


def test_psnr_averages_the_error_before_the_logarithm():
    truth, output = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    output[0, 0, 0, 0] = 1.0
    assert float(psnr(output, truth)) == pytest.approx(10.7918, abs=1e-4)  # 10 log10 12


def test_psnr_clamps_the_image():
    truth = torch.ones(2, 3, 4, 4)
    truth[1] = 0.0
    output = torch.full_like(truth, 1.7)
    output[1] = -3.0
    assert psnr(output, truth).tolist() == [100.0, 100.0]


def test_ssim_of_equal_images_is_one():
    images = noise(3, 3, 24, 24)
    torch.testing.assert_close(ssim(images, images), torch.ones(3))


@pytest.mark.parametrize("count", [1, 4])
def test_ssim_is_one_number_an_image(count):
    truth = noise(count, 3, 24, 32)
    value = ssim(noise(count, 3, 24, 32, seed=1), truth)
    assert value.shape == (count,) and (value < 0.3).all()


def test_ssim_judges_each_image_alone():
    truth = noise(3, 3, 24, 24)
    output = truth.clone()
    output[1] = (output[1] + 0.5 * noise(3, 24, 24, seed=1)).clamp(0, 1)
    together = ssim(output, truth)
    torch.testing.assert_close(together[[0, 2]], torch.ones(2))
    assert together[1] < 0.95
    torch.testing.assert_close(together[1:2], ssim(output[1:2], truth[1:2]))


def test_ssim_of_two_grey_levels_by_hand():
    value = ssim(torch.full((1, 3, 24, 24), 0.25), torch.full((1, 3, 24, 24), 0.75))
    assert float(value) == pytest.approx((2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4), rel=1e-3)


def test_ssim_clamps_the_image():
    truth = (noise(1, 3, 24, 24) > 0.5).float()
    torch.testing.assert_close(ssim(3 * truth - 1, truth), torch.ones(1))


def wave(cycles: int, size: int = 16) -> torch.Tensor:
    x = torch.arange(size) * (2 * torch.pi * cycles / size)
    return x.cos().expand(1, 1, size, size)


def test_constant_latents_have_no_high_frequencies():
    assert high_frequency_share(torch.full((2, 4, 8, 8), 3.7)) == 0.0


@pytest.mark.parametrize(("cycles", "share"), [(1, 0.0), (4, 0.0), (5, 1.0), (8, 1.0)])
def test_half_the_nyquist_frequency_divides_low_from_high(cycles, share):
    for latents in (wave(cycles), wave(cycles).mT):
        assert high_frequency_share(latents + 9.0) == pytest.approx(share, abs=1e-6)


def test_a_checkerboard_is_all_high():
    assert high_frequency_share(wave(8) * wave(8).mT) == pytest.approx(1.0, abs=1e-6)


def test_share_is_of_variance():
    # Amplitudes 3 and 1: one part in ten.
    assert high_frequency_share(3 * wave(2) + wave(6)) == pytest.approx(0.1, abs=1e-5)


def test_sharpness_by_hand_for_each_image():
    truth = torch.zeros(3, 3, 4, 4)
    truth[..., 2:] = 1.0  # one edge
    output = torch.stack([truth[0], truth[0] / 2, truth[0] * 1.5])  # the last one is clamped
    torch.testing.assert_close(sharpness(output, truth), torch.tensor([1.0, 0.25, 1.0]))


def test_sharpness_falls_with_blur_and_blank_images_are_as_sharp_as_each_other():
    truth = noise(1, 3, 32, 32)
    blurred = torch.nn.functional.avg_pool2d(truth, 3, 1, 1)
    assert float(sharpness(blurred, truth)) < 0.3
    assert float(sharpness(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))) == 1.0


@pytest.fixture
def no_network_kept():
    metrics._lpips_network.cache_clear()
    yield
    metrics._lpips_network.cache_clear()


def test_lpips_is_left_out_without_weights_and_never_downloads(no_network_kept, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a download")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    assert lpips(noise(2, 3, 64, 64), noise(2, 3, 64, 64)) is None


def test_lpips_of_each_image_where_weights_are_at_hand(no_network_kept, tmp_path, monkeypatch):
    import torchvision

    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/alexnet-owt-7be5be79.pth").touch()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    plain = torchvision.models.alexnet
    monkeypatch.setattr(torchvision.models, "alexnet", lambda weights: plain(weights=None))
    truth = noise(2, 3, 64, 64)
    output = truth.clone()
    output[1] = noise(3, 64, 64, seed=1)
    first, second = lpips(output, truth).tolist()
    assert first == 0.0 and second > 1e-4
    assert lpips(output[..., :16, :16], truth[..., :16, :16]) is None
