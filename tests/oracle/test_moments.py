"""Moments, maps and r² against numpy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score

from lens.errors import LensError
from lens.numerics import GROUPS, Moments, Residuals, affine, least_squares, reduced_rank

PAIRS = [(0, 1), (0, 2), (1, 2)]


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
    moments = Moments(PAIRS, 12)
    for part in parts:
        moments.update(part)
    return moments


def residuals(data: dict[int, torch.Tensor], predicted: torch.Tensor, pair: tuple[int, int], pieces: int) -> Residuals:
    """Each vector a sentence of its own; every seventh stands at position 0."""
    found, count = Residuals(12), len(predicted)
    for rows in torch.arange(count).chunk(pieces):
        at = {site: x[rows] for site, x in data.items()}
        found.update(at, rows, rows % 7, [("mat", pair, predicted[rows])])
    return found


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
        merged = Moments(PAIRS, 12)
        for place in order:
            merged.merge(shards[place])
        assert merged.count == whole.count
        for pair in whole.pairs:
            torch.testing.assert_close(merged.scatter[pair], whole.scatter[pair], rtol=1e-10, atol=1e-8)


def test_no_vectors_change_nothing() -> None:
    moments = moments_of(streams(2))
    before = moments.scatter[0, 1].clone()
    moments.update({b: x[:0] for b, x in streams(3).items()})
    moments.merge(Moments(PAIRS, 12))
    assert moments.count == 400
    assert torch.equal(before, moments.scatter[0, 1])


def test_no_sites_see_no_vectors() -> None:
    moments = Moments([], 3)
    moments.update({})
    assert moments.count == 0


def test_the_state_of_other_sites_is_not_gone_on_from() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Moments(PAIRS, 12).restore(Moments([(0, 1)], 12).state())


def test_moments_go_on_from_their_state() -> None:
    first, second = streams(2), streams(3)
    whole, resumed = moments_of(first, second), Moments(PAIRS, 12)
    resumed.restore({name: tensor.clone() for name, tensor in moments_of(first).state().items()})
    resumed.update(second)
    assert resumed.count == whole.count
    assert all(torch.equal(resumed.scatter[pair], whole.scatter[pair]) for pair in whole.pairs)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_maps_and_r2_equal_scikit_learn(source: int, target: int) -> None:
    train, held = streams(4), streams(5)
    matrix = least_squares(moments_of(train), source, [target]).maps[target]["matrix"]
    oracle = LinearRegression(fit_intercept=False).fit(train[source].numpy(), train[target].numpy())
    predicted = oracle.predict(held[source].numpy())
    np.testing.assert_allclose((held[source] @ matrix.T).numpy(), predicted, rtol=0, atol=1e-6)
    ours = residuals(held, held[source] @ matrix.T, (source, target), 3)
    truth = held[target].numpy()
    assert float(ours.r2("mat", (source, target)).value) == pytest.approx(r2_score(truth, predicted), abs=1e-6)
    inner = np.arange(400) % 7 != 0
    expected = r2_score(truth[inner], predicted[inner])
    assert float(ours.r2("mat", (source, target), "inner").value) == pytest.approx(expected, abs=1e-6)
    step, start = truth - held[source].numpy(), held[source].numpy()
    if source:  # from source 0 the constant-but-for-a-tenth coordinate swamps the update of both alike
        expected = r2_score(step, predicted - start)
        assert float(ours.r2("mat", (source, target), "update").value) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.3, 50.0])
def test_ridge_equals_scikit_learn(alpha: float) -> None:
    train, held = streams(4), streams(5)
    matrix = least_squares(moments_of(train), 0, [2], ridge=alpha).maps[2]["matrix"]
    oracle = Ridge(alpha=alpha, fit_intercept=False, solver="svd").fit(train[0].numpy(), train[2].numpy())
    np.testing.assert_allclose((held[0] @ matrix.T).numpy(), oracle.predict(held[0].numpy()), rtol=0, atol=1e-6)


def test_a_ridge_on_one_vector_is_right_to_the_last_digit() -> None:
    """x = y = 1: the map is 1 / (1 + ridge); a ridge in single precision would be wrong in the ninth digit."""
    moments = Moments([(0, 1)], 1)
    moments.update({0: torch.ones(1, 1), 1: torch.ones(1, 1)})
    assert least_squares(moments, 0, [1], ridge=0.1).maps[1]["matrix"].item() == pytest.approx(1 / 1.1, rel=1e-15)


def test_the_condition_of_two_coordinates() -> None:
    """Of mean square 1 and mean product 0.8: the eigenvalues are 1.8 and 0.2, whatever the units."""
    moments = Moments([(0, 0)], 2)
    moments.update({0: torch.tensor([[2.0, 1e6], [1.0, 2e6]])})
    assert least_squares(moments, 0, [0]).condition == pytest.approx(9, rel=1e-12)


def test_a_coordinate_that_is_always_zero_takes_no_part() -> None:
    moments = Moments([(0, 1)], 2)
    moments.update({0: torch.tensor([[0.0, 1.0], [0.0, 2.0]]), 1: torch.tensor([[3.0, 1.0], [6.0, 2.0]])})
    found = least_squares(moments, 0, [1])
    assert found.rank == 1
    assert found.maps[1]["matrix"].flatten().tolist() == pytest.approx([0, 3, 0, 1])


def test_vectors_along_one_line_have_rank_one() -> None:
    chance = torch.Generator().manual_seed(0)
    moments = Moments([(0, 0)], 12)
    moments.update({0: torch.randn(400, 1, generator=chance) * torch.randn(1, 12, generator=chance)})
    found = least_squares(moments, 0, [0])
    assert (found.rank, found.condition) == (1, pytest.approx(1))


def test_a_source_that_is_always_zero_has_no_rank_and_no_map() -> None:
    moments = Moments([(0, 1)], 2)
    moments.update({0: torch.zeros(5, 2), 1: torch.ones(5, 2)})
    found = least_squares(moments, 0, [1])
    assert (found.rank, found.condition) == (0, 1.0)
    assert found.maps[1]["matrix"].tolist() == [[0, 0], [0, 0]]


def test_affine_equals_scikit_learn() -> None:
    train, held = streams(4), streams(5)
    fitted = affine(moments_of(train), 0, [2]).maps[2]
    oracle = LinearRegression().fit(train[0].numpy(), train[2].numpy())
    ours = held[0] @ fitted["matrix"].T + fitted["bias"]
    np.testing.assert_allclose(ours.numpy(), oracle.predict(held[0].numpy()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 3, 11])
def test_the_low_rank_map_is_the_best_of_its_rank(rank: int) -> None:
    train = streams(4)
    fitted = reduced_rank(moments_of(train), 1, [2], rank=rank).maps[2]
    ours = (train[1] @ fitted["down"].T @ fitted["up"]).numpy()
    x, y = train[1].numpy(), train[2].numpy()
    full = LinearRegression(fit_intercept=False).fit(x, y).predict(x)
    # Eckart–Young: the best approximation of the fitted values of that rank
    left, values, right = np.linalg.svd(full, full_matrices=False)
    best = (left[:, :rank] * values[:rank]) @ right[:rank]
    np.testing.assert_allclose(ours, best, rtol=0, atol=1e-7)
    assert np.linalg.matrix_rank(fitted["up"].T.numpy() @ fitted["down"].numpy()) == rank


def test_rank_and_condition_are_told() -> None:
    whole = least_squares(moments_of(streams(4)), 0, [1])
    assert whole.rank == 11  # a coordinate is the copy of another
    few = least_squares(moments_of({b: x[:5] for b, x in streams(7).items()}), 0, [1])
    assert few.rank == 5
    x = streams(4)[1].numpy()
    unit = x / np.sqrt((x**2).mean(0))
    second = least_squares(moments_of(streams(4)), 1, [2])
    assert second.condition == pytest.approx(np.linalg.cond(unit) ** 2, rel=1e-6)


def test_fewer_vectors_than_coordinates_fit_exactly() -> None:
    data = {b: x[:5] for b, x in streams(7).items()}
    matrix = least_squares(moments_of(data), 0, [1]).maps[1]["matrix"]
    torch.testing.assert_close(data[0] @ matrix.T, data[1], rtol=1e-6, atol=1e-6)


def test_what_cannot_be_solved_is_said() -> None:
    with pytest.raises(LensError, match="no vectors"):
        least_squares(Moments(PAIRS, 12), 0, [1])
    data = streams(0)
    data[0][3, 3] = torch.nan
    with pytest.raises(LensError, match="not finite"):
        least_squares(moments_of(data), 0, [1])


def test_a_constant_coordinate_has_no_r2() -> None:
    data = streams(6)
    predicted = data[2] + 0.1 * streams(7)[2]
    varying = [c for c in range(12) if c != 3]
    expected = r2_score(data[2].numpy()[:, varying], predicted.numpy()[:, varying])
    data[2][:, 3] = 1e5 / 3
    assert float(residuals(data, predicted, (1, 2), 4).r2("mat", (1, 2)).value) == pytest.approx(expected, abs=1e-9)
    data[2][:] = 7.0
    assert np.isnan(residuals(data, predicted, (1, 2), 4).r2("mat", (1, 2)).value)


def test_a_coordinate_that_varies_in_the_seventh_digit_has_an_r2() -> None:
    data = streams(6)
    data[2][:, 3] = 1 + 1e-6 * data[2][:, 3]
    predicted = data[2].clone()
    predicted[:, 3] += 1e-6 * streams(7)[2][:, 3]
    expected = r2_score(data[2].numpy(), predicted.numpy())
    assert expected < 0.95
    assert float(residuals(data, predicted, (1, 2), 4).r2("mat", (1, 2)).value) == pytest.approx(expected, abs=1e-6)


def test_groups_of_one_sentence_are_left_out_and_halves_are_merged() -> None:
    """Of 25 sentences in 20 groups: five groups of two, the others of one."""
    data = streams(8, count=25)
    predicted, pair = data[2] + 0.2 * streams(9, count=25)[1], (1, 2)
    groups = np.arange(25) % GROUPS
    expected = [r2_score(data[2].numpy()[groups != g], predicted.numpy()[groups != g]) for g in range(GROUPS)]
    whole, merged = residuals(data, predicted, pair, 1), Residuals(12)
    np.testing.assert_allclose(whole.leave_outs("mat", pair)[1:], expected, rtol=1e-9)
    for rows in (torch.arange(11, 25), torch.arange(11)):
        half = Residuals(12)
        half.update({site: x[rows] for site, x in data.items()}, rows, rows % 7, [("mat", pair, predicted[rows])])
        merged.merge(half)
    assert (merged.sentences, merged.count) == (whole.sentences, whole.count) == (25, 25)
    for variant in ("stream", "inner", "update"):
        one, other = (each.leave_outs("mat", pair, variant) for each in (merged, whole))
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_standard_errors_are_the_jackknifes_and_the_bootstraps() -> None:
    data = streams(8, count=1000)
    predicted = data[2] + 0.2 * streams(9, count=1000)[1]
    ours = residuals(data, predicted, (1, 2), 5).r2("mat", (1, 2))
    truth, guess = data[2].numpy(), predicted.numpy()
    groups = np.arange(1000) % GROUPS
    without = np.array([r2_score(truth[groups != g], guess[groups != g]) for g in range(GROUPS)])
    expected = np.sqrt((GROUPS - 1) / GROUPS * ((without - without.mean()) ** 2).sum())
    assert float(ours.error) == pytest.approx(expected, rel=1e-6)
    chance = np.random.default_rng(0)
    drawn = [chance.integers(0, 1000, 1000) for _ in range(300)]
    bootstrap = np.std([r2_score(truth[rows], guess[rows]) for rows in drawn])
    assert float(ours.error) == pytest.approx(bootstrap, rel=0.4)  # 20 groups know it to a sixth
