"""Adam over visited rows: Adam where rows are visited, nothing where they are not."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn
from torch.nn.functional import embedding

from tda_nerfstudio.core.row_adam import RowAdam


def table(rows: int = 6, width: int = 5) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, width, generator=torch.Generator().manual_seed(0)))


def visit(parameter: nn.Parameter, optimizer, rows: list[int], target: float = 0.3, sparse: bool = True) -> None:
    """Take one step of a loss whose gradient changes with the values."""
    optimizer.zero_grad(set_to_none=True)
    found = embedding(torch.tensor(rows), parameter, sparse=sparse)
    ((found - target) ** 2 + 0.1 * found**4).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("options", [{"lr": 1e-2}, {"lr": 0.3, "betas": (0.8, 0.95), "eps": 1e-3}])
def test_without_absent_rows_it_is_adam(options):
    ours, theirs = table(), table()
    row_adam, adam = RowAdam([ours], **options), torch.optim.Adam([theirs], **options)
    for step in range(30):
        visit(ours, row_adam, [5, 0, 2, 1, 4, 3], target=0.1 * step)
        visit(theirs, adam, list(range(6)), target=0.1 * step, sparse=False)
    # Bias corrections in float32 are off by up to 1e-5 of themselves.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)
    assert (ours - table()).abs().min() > 0.01


def test_rows_that_are_always_visited_move_as_adam_moves_them():
    ours, theirs = table(), nn.Parameter(table()[[1, 4]].detach())
    row_adam, adam = RowAdam([ours], lr=1e-2), torch.optim.Adam([theirs], lr=1e-2)
    for step in range(20):
        visit(ours, row_adam, [1, 4, step % 2])  # row 0 comes and goes; row 1 is named twice in odd steps
        found = theirs[torch.tensor([0, 1, 0])] if step % 2 else theirs
        adam.zero_grad()
        ((found - 0.3) ** 2 + 0.1 * found**4).sum().backward()
        adam.step()
    torch.testing.assert_close(ours[[1, 4]], theirs, rtol=0, atol=2e-6)


def test_absent_rows_do_not_move_by_a_bit():
    parameter = table()
    optimizer = RowAdam([parameter], lr=0.1)
    for _ in range(3):
        visit(parameter, optimizer, [0, 1, 2, 3, 4, 5])
    before, state = parameter.detach().clone(), {k: v.clone() for k, v in optimizer.state[parameter].items()}
    for _ in range(4):
        visit(parameter, optimizer, [3, 1])
    absent, present = [0, 2, 4, 5], [1, 3]
    assert torch.equal(parameter[absent], before[absent])
    assert (parameter[present] != before[present]).all()
    for name, value in optimizer.state[parameter].items():
        assert torch.equal(value[absent], state[name][absent])
        assert (value[present] != state[name][present]).all()
    assert optimizer.state[parameter]["step"].tolist() == [3, 7, 3, 7, 3, 3]


def test_a_rows_first_update_is_the_same_whenever_it_comes():
    early, late = table(), table()
    first, last = RowAdam([early], lr=0.1), RowAdam([late], lr=0.1)
    visit(early, first, [2])
    for _ in range(300):
        visit(late, last, [0, 1])
    visit(late, last, [0, 2, 1])  # beside rows of 300 steps
    assert torch.equal(early[2], late[2])
    step = (early[2] - table()[2]).abs()
    torch.testing.assert_close(step, torch.full((5,), 0.1), rtol=1e-4, atol=0)  # Adam's first step is lr long


def test_the_learning_rate_of_the_group_counts():
    parameter = table()
    optimizer = RowAdam([parameter], lr=0.1)
    optimizer.param_groups[0]["lr"] = 0.02
    visit(parameter, optimizer, [2])
    torch.testing.assert_close((parameter[2] - table()[2]).abs(), torch.full((5,), 0.02), rtol=1e-4, atol=0)


def test_tables_of_more_dimensions_and_in_double_precision():
    ours = nn.Parameter(torch.randn(4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    theirs = nn.Parameter(ours.detach().clone())
    row_adam, adam = RowAdam([ours], lr=1e-2), torch.optim.Adam([theirs], lr=1e-2)
    for step in range(5):
        grad = torch.randn(4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        ours.grad, theirs.grad = torch.sparse_coo_tensor(torch.arange(4)[None], grad, check_invariants=True), grad
        row_adam.step()
        adam.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_a_saved_run_continues_bitwise(tmp_path):
    rows = [[0, 1], [1, 3], [5], [3, 0, 2], [1, 5]]
    whole = table()
    optimizer = RowAdam([whole], lr=0.05, betas=(0.9, 0.99))
    for step in rows[:3]:
        visit(whole, optimizer, step)
    file = tmp_path / "state.pt"
    torch.save({"table": whole.detach(), "optimizer": optimizer.state_dict()}, file)
    for step in rows[3:]:
        visit(whole, optimizer, step)

    saved = torch.load(file, weights_only=True)
    resumed = nn.Parameter(saved["table"])
    again = RowAdam([resumed], lr=1.0)
    again.load_state_dict(saved["optimizer"])
    for step in rows[3:]:
        visit(resumed, again, step)
    assert torch.equal(resumed, whole)
    for name, value in optimizer.state[whole].items():
        assert torch.equal(value, again.state[resumed][name])


def test_loaded_state_lies_where_the_table_lies():
    """Checkpoints are read to the CPU; the table may be on a GPU, here on torch's device without memory."""
    parameter = table()
    optimizer = RowAdam([parameter], lr=0.1)
    visit(parameter, optimizer, [2])
    elsewhere = nn.Parameter(torch.empty(6, 5, device="meta"))
    loaded = RowAdam([elsewhere], lr=0.1)
    loaded.load_state_dict(optimizer.state_dict())
    found = embedding(torch.tensor([2], device="meta"), elsewhere, sparse=True)
    found.sum().backward()
    loaded.step()
    assert {value.device.type for value in loaded.state[elsewhere].values()} == {"meta"}


def test_an_unused_optimizer_can_be_saved_and_loaded():
    parameter, buffer = table(), io.BytesIO()
    torch.save(RowAdam([parameter], lr=0.1).state_dict(), buffer)
    buffer.seek(0)
    optimizer = RowAdam([parameter], lr=1.0)
    optimizer.load_state_dict(torch.load(buffer, weights_only=True))
    visit(parameter, optimizer, [2])
    torch.testing.assert_close((parameter[2] - table()[2]).abs(), torch.full((5,), 0.1), rtol=1e-4, atol=0)


def test_a_table_without_gradient_stands_still():
    parameter = table()
    optimizer = RowAdam([parameter], lr=0.1)
    optimizer.step()
    assert torch.equal(parameter, table()) and not optimizer.state[parameter]


def test_dense_gradients_are_refused():
    parameter = table()
    optimizer = RowAdam([parameter], lr=0.1)
    with pytest.raises(TypeError, match=r"needs sparse gradients: look rows up with embedding\(\.\.\., sparse=True\)"):
        visit(parameter, optimizer, [1], sparse=False)
    assert torch.equal(parameter, table())


def test_a_closure_is_evaluated_with_gradients():
    parameter = table()
    optimizer = RowAdam([parameter], lr=0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = embedding(torch.tensor([2]), parameter, sparse=True).sum()
        loss.backward()
        return loss

    expected = table()[2].sum()
    assert torch.equal(optimizer.step(closure), expected)
    assert (parameter[2] < table()[2]).all() and torch.equal(parameter[0], table()[0])
