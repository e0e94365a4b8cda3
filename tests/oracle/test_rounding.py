"""Whether two tensors agree to rounding, against numpy, vector by vector."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lens.numerics import agree

ALLOWED = {torch.float32: 1e-4, torch.float64: 1e-8, torch.bfloat16: 5e-2, torch.float16: 5e-2}


@pytest.mark.parametrize("dtype", ALLOWED)
@pytest.mark.parametrize("largest", [4.0, -4.0])
@pytest.mark.parametrize("times", [0.5, 2.0])
def test_a_vector_may_differ_by_so_much_of_its_own_largest(dtype: torch.dtype, largest: float, times: float) -> None:
    """In the last of three vectors, beside one thousands of times as large and one of zeros."""
    other = torch.tensor([[1e4, 1.0, 1e4], [0.0, 0.0, 0.0], [largest, 1.0, 0.0]], dtype=torch.float32).to(dtype)
    one = other.clone()
    one[2, 2] = ALLOWED[dtype] * 4 * times
    row, same = (tensor[2].double().numpy() for tensor in (one, other))
    expected = np.allclose(row, same, rtol=0, atol=ALLOWED[dtype] * np.abs(same).max())
    assert agree(one, other) == agree(one[None], other[None]) == expected == (times < 1)


def test_the_measure_is_the_second_and_the_border_is_allowed() -> None:
    other = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert agree(torch.tensor([1.0, 1e-8], dtype=torch.float64), other)
    assert not agree(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0]))
    assert not agree(torch.tensor([1e9, 1.0]), torch.tensor([1.0, 1.0]))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([1.0, torch.inf], [1.0, torch.inf], True),
        ([1.0, torch.inf], [1.0, -torch.inf], False),
        ([1.0, torch.inf], [1.0, 2.0], False),
        ([1.0, 2.0], [1.0, torch.inf], False),
        ([1.0, torch.nan], [1.0, torch.nan], False),
        ([1.0, torch.nan], [1.0, 2.0], False),
        ([2e-5, torch.inf], [1e-5, torch.inf], False),
        ([1.0], [1.0, 1.0], False),
    ],
)
def test_infinities_agree_with_their_like_and_what_is_no_number_with_nothing(
    one: list[float], other: list[float], same: bool
) -> None:
    found = agree(torch.tensor(one), torch.tensor(other))
    assert found == same
    if len(one) == len(other):
        finite = [abs(number) for number in other if np.isfinite(number)]
        assert found == np.allclose(one, other, rtol=0, atol=1e-4 * max(finite))
