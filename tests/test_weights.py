"""How weights are held in files. Run: python -m pytest tests/test_weights.py."""

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from raclap import weights


def matrix(rows=40, columns=64, seed=0):
    """Rows of very different size, one of them nothing at all."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.logspace(-4, 2, rows)[:, None]
    made = torch.randn(rows, columns, generator=generator) * sizes
    made[rows // 2] = 0
    return made


def test_eighths_are_whole_multiples_of_a_power_of_two():
    rounded = weights.eighths(matrix()).double().numpy()
    for row in rounded[np.abs(rounded).max(1) > 0]:
        step = 2.0 ** np.ceil(np.log2(np.abs(row).max() / 127))
        counts = row / step
        assert (counts == counts.round()).all()
        assert 64 <= np.abs(counts).max() <= 127


def test_eighths_are_near():
    made = matrix()
    largest = made.abs().amax(1, keepdim=True)
    # A step is less than twice a 127th of the largest entry, and rounding errs by half a step.
    assert ((weights.eighths(made) - made).abs() <= largest / 127).all()
    plain = torch.randn(200, 768, generator=torch.Generator().manual_seed(1))
    assert torch.cosine_similarity(weights.eighths(plain), plain).min() > 0.9995


def test_rounding_again_changes_nothing_not_even_the_sign_of_zero():
    once = weights.eighths(matrix())
    assert torch.equal(weights.eighths(once).view(torch.int32), once.view(torch.int32))
    assert not (torch.signbit(once) & (once == 0)).any()
    halved = weights.halved({"w": once})["w"]
    assert torch.equal(halved.float(), once)  # half precision holds them exactly


@pytest.mark.parametrize("largest", [1e-30, 6e-8, 127.0, 63.5, 64.0, 1000.0])
def test_rows_at_the_edges(largest):
    row = torch.tensor([[largest, -largest / 3, 0.0]])
    once = weights.eighths(row)
    assert torch.equal(weights.eighths(once), once)
    assert torch.equal(once.half().float(), once)
    assert (once - row).abs().max() <= max(largest / 127, 2**-25)


def test_a_file_gives_back_what_it_was_given(tmp_path):
    state = weights.halved(
        {"a": weights.eighths(matrix()), "b": weights.eighths(matrix(seed=1)), "c": torch.ones(3)}
    )
    weights.write(tmp_path / "w.safetensors", state, {"a", "b", "elsewhere"})
    found = weights.read(tmp_path / "w.safetensors")
    assert found.keys() == state.keys()
    for name, value in found.items():
        assert value.dtype == torch.float32
        assert torch.equal(value.half().view(torch.int16), state[name].view(torch.int16))


def test_eight_bits_take_half_of_half_precision(tmp_path):
    state = weights.halved({"a": weights.eighths(matrix(512, 512))})
    weights.write(tmp_path / "half", state)
    weights.write(tmp_path / "packed", state, {"a"})
    assert load_file(tmp_path / "packed")["a"].dtype == torch.int8
    assert (tmp_path / "packed").stat().st_size < 0.51 * (tmp_path / "half").stat().st_size


def test_a_damaged_file_is_an_error(tmp_path):
    path = tmp_path / "w.safetensors"
    weights.write(path, weights.halved({"a": weights.eighths(matrix())}), {"a"})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SafetensorError):
        weights.read(path)
