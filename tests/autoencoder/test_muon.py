"""Muon: orthogonal moves for kernels, Adam for vectors, and bits that survive a checkpoint."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from tda_nerfstudio.autoencoder.muon import Muon, orthogonalise


def parameter(*shape: int, seed: int = 0) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("shape", [(16, 16), (8, 72), (72, 8)])
def test_singular_values_go_to_about_one_and_singular_vectors_stay(shape):
    matrix = parameter(*shape).detach() * torch.logspace(-0.3, 0.3, shape[1])
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    seen = u.T @ orthogonalise(matrix) @ vh.T
    assert seen.diagonal().min() > 0.6 and seen.diagonal().max() < 1.25
    assert (seen - seen.diagonal().diag()).abs().max() < 0.02  # bfloat16, where the processor has it


def test_nothing_is_orthogonal_to_nothing():
    assert not orthogonalise(torch.zeros(3, 5)).any()


def test_a_kernel_moves_by_the_rate_whatever_the_gradient_is_worth():
    for scale in (1e-6, 1e3):
        kernel = parameter(32, 8, 3, 3)
        before = kernel.detach().clone()
        kernel.grad = scale * torch.randn(kernel.shape, generator=torch.Generator().manual_seed(1))
        Muon([kernel], lr=1e-2).step()
        moved = kernel.detach() - before
        assert 0.15e-2 < moved.square().mean().sqrt() < 0.2e-2
        assert (moved * kernel.grad).sum() < 0


def test_vectors_are_moved_by_adam():
    ours, theirs = parameter(7), parameter(7)
    muon, adam = Muon([ours], lr=1e-2), torch.optim.Adam([theirs], lr=1e-2, betas=(0.9, 0.99))
    for step in range(20):
        for vector, optimizer in ((ours, muon), (theirs, adam)):
            optimizer.zero_grad()
            ((vector - 0.1 * step) ** 2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    assert (ours - parameter(7)).abs().mean() > 0.1


def test_a_parameter_without_gradient_stays_where_it_is():
    kernel, vector = parameter(4, 4), parameter(4)
    Muon([kernel, vector]).step()
    assert torch.equal(kernel, parameter(4, 4)) and torch.equal(vector, parameter(4))


def test_a_run_that_was_saved_and_loaded_goes_on_in_the_same_bits():
    def step(params, optimizer, i):
        optimizer.zero_grad()
        sum(((p - i) ** 2).sum() for p in params).backward()
        optimizer.step()

    whole = [parameter(6, 2, 3, 3), parameter(6)]
    optimizer = Muon(whole)
    step(whole, optimizer, 0)
    saved = io.BytesIO()
    torch.save({"values": [p.detach() for p in whole], "state": optimizer.state_dict()}, saved)
    step(whole, optimizer, 1)
    saved.seek(0)
    state = torch.load(saved, weights_only=True)
    again = [nn.Parameter(value) for value in state["values"]]
    resumed = Muon(again)
    resumed.load_state_dict(state["state"])
    step(again, resumed, 1)
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def test_memory_order_does_not_matter():
    plain, last = parameter(6, 4, 3, 3), nn.Parameter(parameter(6, 4, 3, 3).to(memory_format=torch.channels_last))
    for kernel in (plain, last):
        kernel.square().sum().backward()
        Muon([kernel]).step()
    torch.testing.assert_close(plain, last, rtol=0, atol=1e-5)
