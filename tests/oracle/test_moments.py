"""Moments, maps and r² against numpy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from lens.numerics import Moments, least_squares, r2_of_map


def streams(seed: int, count: int = 400, width: int = 12) -> dict[int, torch.Tensor]:
    """Three related boundaries; coordinate 0 has a large mean and a small spread, coordinate 1 copies coordinate 2."""
    chance = np.random.default_rng(seed)
    first = chance.normal(size=(count, width))
    first[:, 0] = 1000 + 0.1 * first[:, 0]
    first[:, 1] = first[:, 2]
    mix = np.random.default_rng(99).normal(size=(width, width)) / width
    second = first @ mix + 0.3 * chance.normal(size=(count, width))
    third = np.tanh(second) + 0.1 * first
    return {0: torch.tensor(first), 1: torch.tensor(second), 2: torch.tensor(third)}


def moments_of(*parts: dict[int, torch.Tensor]) -> Moments:
    moments = Moments([(0, 1), (0, 2), (1, 2)], 12)
    for part in parts:
        moments.update(part)
    return moments


def test_moments_equal_numpy() -> None:
    data = streams(0)
    moments = moments_of({b: x[:150] for b, x in data.items()}, {b: x[150:] for b, x in data.items()})
    joint = np.cov(data[0].numpy().T, data[2].numpy().T, bias=True)
    assert moments.count == 400
    np.testing.assert_allclose(moments.covariance(0, 2).numpy(), joint[:12, 12:], rtol=0, atol=1e-10)
    np.testing.assert_allclose(moments.second(0, 1), data[0].T @ data[1] / 400, rtol=1e-12)


def test_shards_merge_in_any_order() -> None:
    data = streams(1)
    shards = [moments_of({b: x[start::5] for b, x in data.items()}) for start in range(5)]
    whole = moments_of(data)
    for order in ([0, 1, 2, 3, 4], [3, 0, 4, 2, 1]):
        merged = Moments([(0, 1), (0, 2), (1, 2)], 12)
        for place in order:
            merged.merge(shards[place])
        assert merged.count == whole.count
        for pair in whole.pairs:
            torch.testing.assert_close(merged.scatter[pair], whole.scatter[pair], rtol=1e-10, atol=1e-8)


def test_no_vectors_change_nothing() -> None:
    moments = moments_of(streams(2))
    before = moments.scatter[0, 1].clone()
    moments.update({b: x[:0] for b, x in streams(3).items()})
    moments.merge(Moments([(0, 1), (0, 2), (1, 2)], 12))
    assert moments.count == 400
    assert torch.equal(before, moments.scatter[0, 1])


@pytest.mark.parametrize(("source", "target"), [(0, 1), (0, 2), (1, 2)])
def test_maps_and_r2_equal_scikit_learn(source: int, target: int) -> None:
    train, held = streams(4), streams(5)
    matrix = least_squares(moments_of(train), source, [target])[target]
    oracle = LinearRegression(fit_intercept=False).fit(train[source].numpy(), train[target].numpy())
    predicted = oracle.predict(held[source].numpy())
    np.testing.assert_allclose((held[source] @ matrix.T).numpy(), predicted, rtol=0, atol=1e-6)
    ours = r2_of_map(moments_of(held), source, target, matrix)
    theirs = r2_score(held[target].numpy(), predicted, multioutput="raw_values")
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-7, atol=1e-6)  # one r² is near −173


def test_a_constant_coordinate_has_no_r2() -> None:
    data = streams(6)
    data[2][:, 3] = 7.0
    moments = moments_of(data)
    r2 = r2_of_map(moments, 0, 2, least_squares(moments, 0, [2])[2])
    assert r2.isnan().nonzero().flatten().tolist() == [3]


def test_fewer_vectors_than_coordinates_fit_exactly() -> None:
    data = {b: x[:5] for b, x in streams(7).items()}
    matrix = least_squares(moments_of(data), 0, [1])[1]
    torch.testing.assert_close(data[0] @ matrix.T, data[1], rtol=1e-6, atol=1e-6)
