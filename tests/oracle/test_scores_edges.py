"""Comparisons and judgements against scipy in float64; ties, and rows without a token, to the last place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import entropy

from lens.numerics import Reference, compare, judge, score, top_k

WIDE = 3_000  # tokens: enough for sorts that keep no order among equals


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return 3 * torch.randn(9, 40), 3 * torch.randn(9, 40)


def logs(tensor: torch.Tensor) -> np.ndarray:
    return log_softmax(tensor.double().numpy(), axis=1)


def test_comparisons_equal_scipy(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, reference = pair
    found, p, q = compare(logits, reference), logs(logits), logs(reference)
    top = p.argmax(1)
    np.testing.assert_array_equal(found.token_ids, top)
    np.testing.assert_array_equal(found.place, (q > q[np.arange(9), top][:, None]).sum(1))
    np.testing.assert_allclose(found.surprisal, -q[np.arange(9), top], atol=1e-5)
    np.testing.assert_allclose(found.kl, entropy(np.exp(q), np.exp(p), axis=1), atol=1e-5)
    np.testing.assert_allclose(found.entropy, entropy(np.exp(p), axis=1), atol=1e-5)
    given = compare(logits, reference, torch.log_softmax(reference, -1))
    assert torch.equal(given.kl, found.kl)
    assert not torch.equal(compare(logits, reference, torch.log_softmax(logits, -1)).kl, found.kl)


def test_judgements_equal_scipy(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, reference = pair
    logits[4] = 2 * reference[4]  # agrees
    answers = torch.tensor([0, 39, 5, -1, 7, 1, 2, 3, 4])
    found = judge(logits, Reference.of(reference), answers).numpy()
    p, q = logs(logits), logs(reference)
    assert found.dtype == np.float64
    expected = np.where(answers.numpy() < 0, np.nan, -p[np.arange(9), answers.clamp_min(0).numpy()])
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(found[:, 1], entropy(np.exp(q), np.exp(p), axis=1), atol=1e-5)
    np.testing.assert_array_equal(found[:, 2], p.argmax(1) == q.argmax(1))
    assert found[4, 2] == 1


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_a_row_that_is_no_number_is_judged_by_none_and_leaves_the_others(
    pair: tuple[torch.Tensor, torch.Tensor], broken: float
) -> None:
    logits, reference = pair
    answers = torch.arange(9)
    whole = judge(logits, Reference.of(reference), answers)
    logits[2, 7], reference[5, 0] = broken, broken
    found = judge(logits, Reference.of(reference), answers)
    alone = [0, 1, 3, 4, 6, 7, 8]
    assert torch.equal(found[alone], whole[alone])
    assert found[[2, 5]].isnan().all()
    compared, scored = compare(logits, reference), score(logits, reference, 3)
    assert compared.place[[2, 5]].tolist() == [40, 40]
    assert compared.token_ids[2] == -1
    assert compared.surprisal[[2, 5]].isnan().all()
    assert scored.rank[[2, 5]].tolist() == [-1, -1]
    assert scored.token_ids[2].tolist() == [-1, -1, -1]


def test_the_own_token_may_be_the_first_of_the_vocabulary() -> None:
    reference, logits = torch.tensor([[9.0, 1.0, 0.0]]), torch.tensor([[2.0, 3.0, 4.0]])
    assert score(logits, reference, 1).rank.tolist() == [2]
    assert compare(reference, logits).place.tolist() == [2]
    assert score(reference, reference, 1).rank.tolist() == [0]
    own = -float(torch.log_softmax(reference, -1)[0, 0])
    judged = judge(reference, Reference.of(reference), torch.tensor([0]))[0].tolist()
    assert judged == pytest.approx([own, 0, 1], abs=1e-6)
    assert float(compare(reference, reference).surprisal) == pytest.approx(own)
    assert judge(logits, Reference.of(reference), torch.tensor([0]))[0].isfinite().all()
    assert judge(reference, Reference.of(logits), torch.tensor([0]))[0].isfinite().all()


def test_of_two_that_are_equal_the_lower_is_before() -> None:
    reference = torch.tensor([[0.0, 9.0, 1.0]])
    assert score(torch.tensor([[3.0, 3.0, 1.0]]), reference, 1).rank.tolist() == [1]
    assert score(torch.tensor([[1.0, 3.0, 3.0]]), reference, 1).rank.tolist() == [0]


@pytest.mark.parametrize("levels", [1, 3, 200])
def test_among_thousands_equal_values_come_by_ascending_id(levels: int) -> None:
    logits = torch.randint(levels, (6, WIDE), generator=torch.Generator().manual_seed(levels)).float()
    expected = np.argsort(-logits.numpy(), axis=1, kind="stable")
    for k in (1, 5, 40, WIDE - 1, WIDE):
        np.testing.assert_array_equal(top_k(logits, k), expected[:, :k])
    place = score(logits, logits.flip(1), 1).rank
    own = np.argsort(-logits.flip(1).numpy(), axis=1, kind="stable")[:, 0]
    np.testing.assert_array_equal(place, [list(row).index(one) for row, one in zip(expected, own, strict=True)])


def test_half_precision_is_ranked_as_the_numbers_that_it_holds() -> None:
    """Also beyond 256 equal ones, which a sum in bfloat16 could not count."""
    logits = torch.randint(4, (2, WIDE), generator=torch.Generator().manual_seed(0)).bfloat16()
    whole, half = score(logits.float(), logits.flip(1).float(), 4), score(logits, logits.flip(1), 4)
    assert torch.equal(half.rank, whole.rank)
    assert torch.equal(half.token_ids, whole.token_ids)
    assert half.probabilities.dtype == torch.float32
