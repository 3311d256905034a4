"""Weights as a checkpoint's files hold them: in half precision, or in eight bits an entry.

In: tensors by name. Out: the same, rounded to what their file can hold, packed, unpacked. A matrix
in eight bits is whole multiples, up to 127, of a power of two for each row. Half precision holds
these products exactly and rounding them again changes nothing, so a model that was loaded is, bit
for bit, the model that was saved. Deliberately not here: which weights a model rounds (``model``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from raclap.files import replacing

_MOST = 127  # steps from zero that eight bits count
_LEAST_EXPONENT = -24  # of the smallest number in half precision
_EXPONENTS = "/exponents"


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Round to half precision."""
    return {name: value.detach().half().cpu().contiguous() for name, value in tensors.items()}


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors in half precision are the same bit for bit: 0 and -0 are not."""
    return torch.equal(one.view(torch.int16), other.view(torch.int16))


def eighths(matrix: Tensor) -> Tensor:
    """Round a matrix (N, M) to what eight bits an entry and a power of two a row can hold."""
    exponents = _exponents(matrix)
    return _steps(matrix, exponents) * _power(exponents)


def _exponents(matrix: Tensor) -> Tensor:
    """Of each row (N, 1) int, the least power of two of which 127 reach its largest entry."""
    largest = matrix.float().abs().amax(dim=1, keepdim=True)
    fraction, exponent = torch.frexp(largest / _MOST)  # fraction from 1/2 to below 1, or 0
    return torch.where(fraction == 0.5, exponent - 1, exponent).clamp(min=_LEAST_EXPONENT)


def _steps(matrix: Tensor, exponents: Tensor) -> Tensor:
    """Count each row's entries in its power of two: whole numbers to 127, and no -0."""
    return (matrix.float() * _power(-exponents)).round() + 0.0


def _power(exponents: Tensor) -> Tensor:
    """Return 2 to each exponent, exactly."""
    return torch.ldexp(torch.ones_like(exponents, dtype=torch.float32), exponents.int())


def write(path: Path, tensors: Mapping[str, Tensor], packed: Collection[str] = ()) -> None:
    """Write a file of tensors that a kill cannot halve.

    Args:
        path: safetensors.
        tensors: in half precision.
        packed: names of matrices that `eighths` rounded; they are kept in eight bits.
    """
    held: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name in packed:
            exponents = _exponents(value)
            held[name] = _steps(value, exponents).to(torch.int8)
            held[name + _EXPONENTS] = exponents.to(torch.int8)
        else:
            held[name] = value
    with replacing(path) as part:
        save_file(held, part)


def read(path: Path) -> dict[str, Tensor]:
    """Read what `write` wrote, in full precision.

    Raises:
        SafetensorError: the file is damaged.
        RuntimeError: a packed matrix does not fit the powers of two of its rows.
    """
    held = load_file(path)
    tensors = {}
    for name, value in held.items():
        if name.endswith(_EXPONENTS):
            continue
        exponents = held.get(name + _EXPONENTS)
        value = value.float()
        tensors[name] = value if exponents is None else value * _power(exponents)
    return tensors
