"""Top-k and scores against numpy and scipy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from scipy.stats import entropy

from lens.numerics import score, top_k


def test_scores_equal_scipy() -> None:
    torch.manual_seed(0)
    logits, reference = 3 * torch.randn(7, 50), 3 * torch.randn(7, 50)
    scores = score(logits, reference, 5)
    p, q = (np.exp(log_softmax(x.double().numpy(), axis=1)) for x in (logits, reference))
    np.testing.assert_allclose(scores.entropy, entropy(p, axis=1), atol=1e-6)
    np.testing.assert_allclose(scores.kl, entropy(q, p, axis=1), atol=1e-5)
    np.testing.assert_allclose(scores.surprisal, -np.log(q[np.arange(7), p.argmax(1)]), atol=1e-5)
    np.testing.assert_array_equal(scores.rank, (p > p[np.arange(7), q.argmax(1)][:, None]).sum(1))
    np.testing.assert_array_equal(scores.token_ids, np.argsort(-p, axis=1, kind="stable")[:, :5])
    np.testing.assert_allclose(scores.probabilities, -np.sort(-p, axis=1)[:, :5], atol=1e-6)


def test_many_predictions_at_once_are_each_scored_alone() -> None:
    """Casts and layers are an axis before the positions; forbidden tokens among them."""
    torch.manual_seed(1)
    logits, reference = 3 * torch.randn(4, 3, 20), 3 * torch.randn(3, 20)
    logits[1, 2, :5], reference[0, 7] = -torch.inf, -torch.inf
    together = score(logits, reference, 5)
    for layer in range(4):
        for position in range(3):
            alone = score(logits[layer, position][None], reference[position][None], 5)
            for name in vars(alone):
                np.testing.assert_allclose(getattr(together, name)[layer, position], getattr(alone, name)[0], rtol=1e-5)


def test_a_model_agrees_with_itself() -> None:
    logits = torch.randn(4, 30)
    scores = score(logits, logits, 3)
    assert scores.kl.tolist() == [0.0] * 4
    assert scores.rank.tolist() == [0] * 4


def test_an_impossible_token_adds_nothing() -> None:
    logits = torch.tensor([[0.0, 0.0, -torch.inf]])
    scores = score(logits, logits, 2)
    np.testing.assert_allclose(scores.entropy.item(), np.log(2), rtol=1e-7)
    assert scores.kl.item() == 0.0


@settings(deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 6))
def test_equal_values_come_by_ascending_id(rows: list[list[int]], k: int) -> None:
    logits = torch.tensor(rows, dtype=torch.float32)
    expected = [sorted(range(6), key=lambda token: (-row[token], token))[:k] for row in rows]
    assert top_k(logits, k).tolist() == expected


@pytest.mark.parametrize("block", [1, 70, 400, 2**20])
def test_scores_do_not_depend_on_how_many_are_made_together(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    torch.manual_seed(1)
    logits, reference = 3 * torch.randn(2, 5, 7, 50), 3 * torch.randn(7, 50)
    monkeypatch.setattr("lens.numerics._scores.BLOCK", block)
    scores = score(logits, reference, 5)
    p, q = (np.exp(log_softmax(x.double().numpy(), axis=-1)) for x in (logits, reference))
    np.testing.assert_allclose(scores.entropy, entropy(p, axis=-1), atol=1e-6)
    np.testing.assert_allclose(scores.kl, entropy(np.broadcast_to(q, p.shape), p, axis=-1), atol=1e-5)
    own = np.take_along_axis(p, np.broadcast_to(q.argmax(-1)[:, None], (2, 5, 7, 1)), -1)
    np.testing.assert_array_equal(scores.rank, (p > own).sum(-1))
    np.testing.assert_array_equal(scores.token_ids, np.argsort(-p, axis=-1, kind="stable")[..., :5])


def test_of_equal_tokens_the_lower_id_ranks_first() -> None:
    logits, reference = torch.tensor([[2.0, 1.0, 1.0, 1.0]]), torch.tensor([[0.0, 0.0, 9.0, 0.0]])
    assert score(logits, reference, 1).rank.tolist() == [2]


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(3000, 9000), st.sampled_from([3, 300, 10**6]))
def test_of_a_large_vocabulary_the_largest_are_numpys(seed: int, k: int, vocabulary: int, values: int) -> None:
    """With few values many are equal; with many none is."""
    rows = np.random.default_rng(seed).integers(0, values, (3, vocabulary)).astype(np.float32)
    np.testing.assert_array_equal(top_k(torch.from_numpy(rows), k), np.argsort(-rows, axis=1, kind="stable")[:, :k])


@pytest.mark.parametrize("place", [0, 4000, 5003])
def test_a_large_vocabulary_with_one_value_that_is_no_number_predicts_nothing(place: int) -> None:
    torch.manual_seed(2)
    logits = torch.randn(2, 5004)
    logits[1, place] = torch.nan
    found = top_k(logits, 3)
    assert found[0].tolist() == np.argsort(-logits[0].numpy())[:3].tolist()
    assert found[1].tolist() == [-1, -1, -1]
