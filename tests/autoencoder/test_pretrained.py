"""diffusers' autoencoders behind our interface: same values, safetensors only, errors that say what to do."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import load_file, save_file

from tda_nerfstudio.autoencoder.build import build, resolve
from tda_nerfstudio.autoencoder.config import AutoencoderConfig
from tda_nerfstudio.base.errors import TdaError

WEIGHTS = "diffusion_pytorch_model.safetensors"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ALTERNATIVES = ("local folder", "autoencoder.kind light", "runwayml/stable-diffusion-v1-5", "stabilityai/sd-vae-ft-mse")


def make_kl(**options):
    from diffusers import AutoencoderKL

    torch.manual_seed(1)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    sizes = {"block_out_channels": (8, 8, 16), "norm_num_groups": 4, "latent_channels": 5}
    return AutoencoderKL(**(blocks | sizes | options)).eval()


def make_tiny(**options):
    from diffusers import AutoencoderTiny

    torch.manual_seed(1)
    sizes = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8), "latent_channels": 6}
    return AutoencoderTiny(**(sizes | {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)} | options)).eval()


@pytest.fixture
def kl(tmp_path):
    model = make_kl()
    model.save_pretrained(tmp_path / "kl")
    return model, tmp_path / "kl"


@pytest.fixture
def tiny(tmp_path):
    model = make_tiny()
    model.save_pretrained(tmp_path / "tiny")
    return model, tmp_path / "tiny"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty hub cache and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def config(kind, source, **options):
    return AutoencoderConfig(kind, source=None if source is None else str(source), **options)


def fails(wrong, *words, when=resolve):
    with pytest.raises(TdaError) as caught:
        when(wrong)
    missing = [word for word in (*words, *ALTERNATIVES) if word not in str(caught.value)]
    assert not missing, caught.value


def test_resolving_names_f_channels_and_architecture_as_plain_data(kl, tiny):
    found = resolve(config("kl", kl[1]))
    assert (found.f, found.channels, found.architecture["block_out_channels"]) == (4, 5, [8, 8, 16])
    assert found.architecture["layers_per_block"] == 1 and "_class_name" not in found.architecture
    assert json.loads(json.dumps(asdict(found))) == asdict(found)
    assert resolve(found) == found
    found = resolve(config("tiny", tiny[1]))
    assert (found.f, found.channels, found.architecture["num_encoder_blocks"]) == (2, 6, [1, 1])


def test_a_relative_folder_is_resolved_to_an_absolute_one(kl, monkeypatch):
    monkeypatch.chdir(kl[1].parent)
    assert resolve(config("kl", "kl")).source == str(kl[1])


def test_an_architecture_keeps_defaults_that_its_config_leaves_out(kl):
    described = json.loads((kl[1] / "config.json").read_text())
    del described["mid_block_add_attention"]
    (kl[1] / "config.json").write_text(json.dumps(described))
    assert resolve(config("kl", kl[1])).architecture["mid_block_add_attention"] is True


@torch.no_grad()
def test_kl_gives_the_values_of_diffusers(kl):
    model, ours = kl[0], build(config("kl", kl[1]))
    images, noise = torch.rand(2, 3, 16, 24), torch.randn(2, 5, 4, 6)
    posterior = model.encode(2 * images - 1).latent_dist
    torch.testing.assert_close(ours.encode(images), posterior.mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.encode(images, noise), posterior.mean + posterior.std * noise, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.decode(noise), (model.decode(noise).sample + 1) / 2, rtol=0, atol=1e-6)


@torch.no_grad()
def test_kl_clamps_a_wild_variance_as_diffusers_does(kl):
    images, noise = torch.rand(1, 3, 8, 8), torch.randn(1, 5, 2, 2)
    model, ours = kl[0], build(config("kl", kl[1]))
    for convolution in (model.quant_conv, ours.encoder[1]):
        convolution.bias[5:] = 100.0  # the log variances
    posterior = model.encode(2 * images - 1).latent_dist
    drawn = ours.encode(images, noise)
    torch.testing.assert_close(drawn, posterior.mean + posterior.std * noise)
    assert 1e3 < drawn.abs().max() < 1e5  # exp(20 / 2) = 2.2e4, not exp(50)


@torch.no_grad()
def test_kl_without_the_convolutions_beside_the_latents(tmp_path):
    model = make_kl(use_quant_conv=False, use_post_quant_conv=False)
    model.save_pretrained(tmp_path)
    ours, images = build(config("kl", tmp_path)), torch.rand(1, 3, 16, 16)
    z = model.encode(2 * images - 1).latent_dist.mean
    torch.testing.assert_close(ours.encode(images), z, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.decode(z), (model.decode(z).sample + 1) / 2, rtol=0, atol=1e-6)


@torch.no_grad()
def test_tiny_gives_the_values_of_diffusers(tiny):
    model, ours = tiny[0], build(config("tiny", tiny[1]))
    images, z = torch.rand(2, 3, 8, 12), 10 * torch.randn(2, 6, 4, 6)
    torch.testing.assert_close(ours.encode(images), model.encode(2 * images - 1).latents, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.decode(z), (model.decode(z).sample + 1) / 2, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["kl", "tiny"])
def test_all_that_trains_is_encoder_or_decoder(kind, kl, tiny):
    model, folder = {"kl": kl, "tiny": tiny}[kind]
    ours = build(config(kind, folder))
    assert all(name.startswith(("encoder.", "decoder.")) for name, _ in ours.named_parameters())
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in model.parameters())
    ours.decode(ours.encode(torch.rand(1, 3, 16, 16))).square().mean().backward()
    silent = {name for name, p in ours.named_parameters() if p.grad is None or not p.grad.any()}
    # A softmax does not see what is added to all its keys.
    assert silent <= {"encoder.0.mid_block.attentions.0.to_k.bias", "decoder.1.mid_block.attentions.0.to_k.bias"}


def test_weights_in_half_precision_become_float32(kl):
    kl[0].half().save_pretrained(kl[1])
    ours = build(config("kl", kl[1]))
    assert {p.dtype for p in ours.parameters()} == {torch.float32}
    torch.testing.assert_close(ours.encoder[1].weight, kl[0].quant_conv.weight.float(), rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(), (1, 1)])
def test_old_names_and_shapes_of_attention_layers_are_read(kl, shape):
    path, old = kl[1] / WEIGHTS, {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = load_file(path)
    assert sum("attentions" in name for name in state) == 2 * 10

    def rename(name):
        for new, former in old.items():
            name = name.replace(new, former)
        return name

    expected = build(config("kl", kl[1])).fingerprint()
    for name in [name for name in state if rename(name) != name]:
        value = state.pop(name)
        state[rename(name)] = value.reshape(value.shape + shape) if value.ndim == 2 else value
    save_file(state, path)
    assert build(config("kl", kl[1])).fingerprint() == expected


def test_the_one_safetensors_file_may_have_any_name(kl):
    expected = build(config("kl", kl[1])).fingerprint()
    (kl[1] / WEIGHTS).rename(kl[1] / "vae.safetensors")
    assert build(config("kl", kl[1])).fingerprint() == expected
    (kl[1] / "other.safetensors").write_bytes(b"")
    fails(config("kl", kl[1]), "2 .safetensors files", WEIGHTS)


# Rebuilding


def test_a_checkpoint_rebuilds_without_its_source(kl):
    before = resolve(config("kl", kl[1]))
    trained = build(before)
    with torch.no_grad():
        trained.decoder[0].weight += 1
    for path in kl[1].iterdir():
        path.unlink()
    kl[1].rmdir()
    assert resolve(before) == before
    rebuilt = build(before)
    assert rebuilt.fingerprint() != trained.fingerprint()
    with pytest.raises(TdaError, match="no weights, from no checkpoint") as caught:
        rebuilt.encode(torch.rand(1, 3, 8, 8))
    assert str(kl[1]) in str(caught.value)
    with pytest.raises(TdaError, match="no weights, from no checkpoint"):
        rebuilt.decode(torch.rand(1, 5, 2, 2))
    torch.nn.ModuleDict({"all": rebuilt}).load_state_dict({f"all.{k}": v for k, v in trained.state_dict().items()})
    images = torch.rand(1, 3, 8, 8)
    assert rebuilt.fingerprint() == trained.fingerprint()
    assert torch.equal(rebuilt.encode(images), trained.encode(images))


@pytest.mark.parametrize("change", ["cut", "another"])
def test_a_checkpoint_rebuilds_when_its_source_has_changed(kl, change):
    known = resolve(config("kl", kl[1]))
    state = build(known).state_dict()
    if change == "cut":
        (kl[1] / WEIGHTS).write_bytes((kl[1] / WEIGHTS).read_bytes()[:99])
    else:
        make_kl(latent_channels=3).save_pretrained(kl[1])
    rebuilt = build(known)
    with pytest.raises(TdaError, match="no weights, from no checkpoint"):
        rebuilt.encode(torch.rand(1, 3, 8, 8))
    rebuilt.load_state_dict(state)
    assert rebuilt.encode(torch.rand(1, 3, 8, 8)).isfinite().all()


def test_resolving_leaves_the_global_random_state_alone(kl):
    before = torch.get_rng_state()
    build(resolve(config("kl", kl[1])))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_architecture_without_source_starts_from_the_seed(kl):
    bare = config("kl", None, architecture=resolve(config("kl", kl[1])).architecture)
    assert resolve(bare).f == 4 and resolve(bare).channels == 5
    assert build(bare, 3).fingerprint() == build(bare, 3).fingerprint() != build(bare, 4).fingerprint()
    assert build(bare, 3).encode(torch.rand(1, 3, 8, 8)).shape == (1, 5, 2, 2)


def test_with_a_source_the_seed_changes_nothing(tiny):
    known = resolve(config("tiny", tiny[1]))
    assert build(known, 3).fingerprint() == build(known, 4).fingerprint()


# Bad sources


@pytest.mark.parametrize("kind", ["kl", "tiny"])
def test_no_source(kind):
    fails(config(kind, None), "kl and tiny need --pipeline.model.autoencoder.source")
    fails(config(kind, ""), "kl and tiny need --pipeline.model.autoencoder.source", when=build)


@pytest.mark.parametrize("source", ["/nowhere/vae", "./vae", "~/no-such-vae", "vae"])
def test_a_missing_folder(source):
    fails(config("kl", source), f"source {source} is no folder")


@pytest.mark.parametrize("revision", [None, "main", "0123456", COMMIT.upper(), COMMIT + "0"])
def test_a_hub_id_needs_its_commit(revision, offline):
    words = (
        "no folder owner/name/vae",
        "--pipeline.model.autoencoder.revision",
        "40 hexadecimal",
        "huggingface.co/owner/name/commits/main",
    )
    fails(config("kl", "owner/name/vae", revision=revision), *words)


def test_pickles_are_refused_by_name(kl):
    (kl[1] / WEIGHTS).unlink()
    fails(config("kl", kl[1]), str(kl[1]), "no .safetensors file")
    for name in ("diffusion_pytorch_model.bin", "model.ckpt", "vae.pt"):
        (kl[1] / name).write_bytes(b"\x80\x04")
    fails(config("kl", kl[1]), "diffusion_pytorch_model.bin", "model.ckpt", "vae.pt", "can run code")


def test_a_folder_without_config(kl):
    (kl[1] / "config.json").unlink()
    fails(config("kl", kl[1]), str(kl[1]), "no config.json")


def test_the_folder_of_a_whole_pipeline_names_its_part(kl):
    kl[1].rename(kl[1].with_name("vae"))
    fails(config("kl", kl[1].parent), f"Did you mean {kl[1].parent / 'vae'}?")


@pytest.mark.parametrize("text", ["{", "[1]", "\x00"])
def test_an_unreadable_config(kl, text):
    (kl[1] / "config.json").write_text(text)
    fails(config("kl", kl[1]), str(kl[1] / "config.json"), "cannot be read")


def test_another_class_names_the_kind_for_it(kl, tiny):
    fails(config("tiny", kl[1]), "describes AutoencoderKL", "needs AutoencoderTiny", "autoencoder.kind kl for it")
    fails(config("kl", tiny[1]), "describes AutoencoderTiny", "needs AutoencoderKL", "autoencoder.kind tiny for it")


def test_an_unknown_class(kl):
    (kl[1] / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    fails(config("kl", kl[1]), "describes UNet2DModel", "needs AutoencoderKL")


def test_damaged_weights(kl):
    whole = (kl[1] / WEIGHTS).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"\x80\x04not safetensors"):
        (kl[1] / WEIGHTS).write_bytes(damaged)
        fails(config("kl", kl[1]), str(kl[1] / WEIGHTS), "is damaged")


def test_weights_that_do_not_fit(kl):
    state = load_file(kl[1] / WEIGHTS)
    save_file({k: v for k, v in state.items() if k != "quant_conv.bias"}, kl[1] / WEIGHTS)
    fails(config("kl", kl[1]), "does not fit the config.json beside it", "quant_conv.bias")


def test_arguments_that_diffusers_refuses(tiny):
    described = json.loads((tiny[1] / "config.json").read_text())
    (tiny[1] / "config.json").write_text(json.dumps(described | {"num_decoder_blocks": [1, 1, 1]}))
    fails(config("tiny", tiny[1]), "cannot build this AutoencoderTiny", "same length")


# The hub


def cache(folder, source, repository="models--owner--name", part="vae"):
    """Lay a folder out as huggingface_hub's cache."""
    snapshot = folder / repository / "snapshots" / COMMIT / part
    snapshot.mkdir(parents=True)
    for path in source.iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())


@pytest.mark.parametrize(("part", "source"), [("", "owner/name"), ("vae", "owner/name/vae")])
def test_a_hub_id_is_read_from_the_cache(kl, offline, part, source):
    cache(offline, kl[1], part=part)
    known = resolve(config("kl", source, revision=COMMIT))
    assert (known.source, known.revision, known.f) == (source, COMMIT, 4)
    assert build(known).fingerprint() == build(config("kl", kl[1])).fingerprint()


def test_a_hub_id_without_network(offline):
    fails(
        config("kl", "owner/name", revision=COMMIT),
        "owner/name",
        COMMIT,
        f"`hf download owner/name --revision {COMMIT}`",
    )


def test_a_hub_id_whose_weights_are_pickles(kl, offline):
    (kl[1] / WEIGHTS).rename(kl[1] / "diffusion_pytorch_model.bin")
    cache(offline, kl[1])
    fails(config("kl", "owner/name/vae", revision=COMMIT), "owner/name", "pickles (.bin) do not count")


@pytest.mark.parametrize("error", [ConnectionError("no route"), ValueError("odd id"), RuntimeError("xet\nbroke")])
def test_whatever_the_hub_answers_is_told(monkeypatch, error):
    import huggingface_hub

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    fails(config("tiny", "owner/name", revision=COMMIT), "owner/name", COMMIT, " ".join(str(error).split()))


def test_only_the_first_resolve_may_use_the_network(kl, monkeypatch):
    import huggingface_hub

    asked = []

    def download(name, file, *, subfolder, revision, local_files_only):
        asked.append((name, file, subfolder, revision, local_files_only))
        return str(kl[1] / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    known = resolve(config("kl", "owner/name/a/b", revision=COMMIT))
    first = [("owner/name", file, "a/b", COMMIT, False) for file in ("config.json", WEIGHTS)]
    assert asked == first
    assert resolve(known) == known and asked == first
    build(known)
    assert asked[2:] == [(*call[:4], True) for call in first]
