"""Configurations: what they resolve to, what they build, what they refuse."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.autoencoder.fine import FineAutoencoder
from tda_nerfstudio.autoencoder.identity import IdentityAutoencoder
from tda_nerfstudio.autoencoder.light import LightAutoencoder
from tda_nerfstudio.base.errors import TdaError


def test_light_by_default_with_the_sizes_it_says():
    config = AutoencoderConfig()
    resolved = resolve(config)
    assert resolved in (replace(config, sub=4), replace(config, sub=4, start="scratch"))
    assert (build(config).sub, build(resolved).sub) == (4, 4)
    model = build(config)
    assert isinstance(model, LightAutoencoder) and (model.f, model.channels) == (config.f, config.channels) == (8, 48)


def test_width_and_blocks_are_used():
    def size(**options):
        return sum(p.numel() for p in build(AutoencoderConfig(**options)).parameters())

    # A block: two 3 x 3 convolutions with bias and a gain; one in the encoder, one in the decoder.
    block = 2 * (9 * 16 * 16 + 16) + 16
    assert size(width=16, blocks=2) - size(width=16, blocks=1) == 2 * block
    assert size(width=32, blocks=1) > 2 * size(width=16, blocks=1)


@pytest.mark.parametrize(("f", "channels"), [(2, 4), (32, 4), (0, 4), (8, 0)])
def test_unknown_sizes_are_refused(f, channels):
    with pytest.raises(TdaError, match=f"knows f = 4, 8.* 16 and C >= 1, not f = {f}, C = {channels}"):
        build(AutoencoderConfig(f=f, channels=channels))


@pytest.mark.parametrize(("channels", "sub"), [(64, 4), (48, 4), (36, 2), (16, 2), (12, 2), (14, 1), (8, 1), (1, 1)])
def test_latent_pixels_have_parts_where_that_leaves_them_three_channels(channels, sub):
    config = AutoencoderConfig(channels=channels, width=16, blocks=1)
    assert resolve(config).sub == sub and build(config).sub == sub
    assert resolve(replace(config, f=4)).sub == min(sub, 2)  # a part of one image pixel would be no latent


def test_parts_that_cannot_be_are_refused():
    for channels, sub in ((6, 2), (24, 4), (27, 3)):
        with pytest.raises(TdaError, match=f"C = {channels} channels cannot have {sub} x {sub} parts: give sub 1,"):
            build(AutoencoderConfig(channels=channels, sub=sub))


@pytest.mark.parametrize(
    ("kind", "made"), [("identity", IdentityAutoencoder), ("colours", FineAutoencoder), ("fine", FineAutoencoder)]
)
def test_kinds_at_full_resolution_have_a_part_for_every_pixel(kind, made):
    config = AutoencoderConfig(kind, f=8, channels=4)
    resolved = resolve(config)
    assert (resolved.f, resolved.channels, resolved.sub) == (2, 12, 2) and (config.f, config.channels) == (8, 4)
    assert not resolved.knows and resolve(resolved) == resolved
    for model in (build(config), build(resolved)):
        assert type(model) is made and (model.f, model.channels, model.sub, model.point_channels) == (2, 12, 2, 3)
        assert model.keeps_pixels == (kind != "fine")


def test_colours_and_fine_have_the_sizes_that_they_resolve_to():
    """Checkpoints are opened by what was resolved, which the builder does not read for these kinds."""
    for kind, networks in (("colours", 1), ("fine", 2)):
        resolved = resolve(AutoencoderConfig(kind))
        model, block = build(resolved), 2 * (9 * resolved.width**2 + resolved.width) + resolved.width
        ends = 9 * 12 * resolved.width * 2 + resolved.width + 12
        assert sum(p.numel() for p in model.parameters()) == networks * (resolved.blocks * block + ends)


@pytest.mark.parametrize("kind", ["kl", "tiny"])
def test_pre_trained_kinds_need_a_source(kind):
    with pytest.raises(TdaError, match="--pipeline.model.autoencoder.source"):
        resolve(AutoencoderConfig(kind))


def test_a_configuration_survives_plain_data():
    config = AutoencoderConfig("light", 4, 2, 16, 1)
    again = AutoencoderConfig(**asdict(config))
    assert again == config and build(again, 3).fingerprint() == build(config, 3).fingerprint()


def test_our_own_kinds_do_not_import_diffusers():
    code = (
        "import sys; from tda_nerfstudio.autoencoder.build import build, resolve;"
        "from tda_nerfstudio.autoencoder.config import AutoencoderConfig;"
        "build(resolve(AutoencoderConfig(f=4, width=16)));"
        "[build(resolve(AutoencoderConfig(kind))) for kind in ('colours', 'fine', 'identity')];"
        "assert not {'diffusers', 'huggingface_hub', 'nerfstudio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
