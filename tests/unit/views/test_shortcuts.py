"""Figures of linear shortcuts hold the numbers of their results, and text in them stays text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lens import views
from lens.errors import LensError
from lens.numerics import R2, VARIANTS, Composition, Curves, EarlyExit, Estimate, Transfer

EVIL = "<script>alert(1)</script>"


def estimate(*shape: int, seed: int = 0) -> Estimate:
    chance = np.random.default_rng(seed)
    return Estimate(chance.uniform(size=shape), chance.uniform(0, 0.1, size=shape))


def r2(layers: int = 3) -> R2:
    values = estimate(3, 2, layers, layers)
    values.value[0, 1, 0, 1] = -4.0
    values.value[:, :, *np.tril_indices(layers, -1)] = np.nan
    return R2(EVIL, "c", ("id", "mat"), layers - 1, tuple(VARIANTS), values, 9, 90)


def curves(methods: tuple[str, ...] = ("id", EVIL), bins: tuple[str, ...] = ("all",)) -> Curves:
    shape = len(methods), 4, len(bins)
    tokens = np.array([7] * len(bins))
    tokens[-1] = 0 if len(bins) > 1 else 7
    three = (estimate(*shape, seed=n) for n in (1, 2, 3))
    plans = tuple(("0-1",) * 4 for _ in methods)
    return Curves(EVIL, "c", methods, (0, 1, 2, 3), bins, (1, 5), estimate(*shape, 2), *three, 5, tokens, plans)


def early_exit() -> EarlyExit:
    lambdas = ((0.0, 0.5, 1.0),) * 2
    exits = np.full((2, 3, 4), 0.25)
    return EarlyExit(
        "m", "c", 3, ("id", "mat"), lambdas, estimate(2, 3), estimate(2, 3), exits, estimate(2, 4), 5.0, 9, 9
    )


def test_heat_maps_share_one_scale_and_hold_the_numbers() -> None:
    result = r2()
    figure = views.r2_maps(result, variant="update")
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    for trace, cast in zip(maps, result.casts, strict=True):
        np.testing.assert_array_equal(np.array(trace.z, float), result.of(cast, "update").value)
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmax) == (0, 1)
    assert axis.colorbar.ticktext[0] == "≤0.0"
    assert {trace.coloraxis for trace in maps} == {"coloraxis"}
    assert "<script" not in figure.to_json()


@pytest.mark.parametrize(("metric", "k"), [("precision", 5), ("surprisal", 1), ("kl", 1), ("entropy", 1)])
def test_lines_hold_the_numbers_and_bands_two_errors(metric: str, k: int) -> None:
    result = curves()
    figure = views.curves(result, metric=metric, k=k)
    lower, upper, line = figure.data[:3]
    found = getattr(result, metric)
    place = (0, slice(None), 0, 1) if metric == "precision" else (0, slice(None), 0)
    np.testing.assert_allclose(line.y, found.value[place])
    np.testing.assert_allclose(np.array(upper.y) - np.array(lower.y), 4 * found.error[place])
    assert "<script" not in figure.to_json()


def test_breakdowns_leave_empty_bins_out() -> None:
    result = curves(bins=("0", "1–3", "4–"))
    figure = views.breakdown(result, method="id")
    assert [trace.name for trace in figure.data] == ["0 (n = 7)", "1–3 (n = 7)"]
    np.testing.assert_allclose(figure.data[1].y, result.precision.value[0, :, 1, 0])


def test_leaving_early_is_drawn_by_layers_run() -> None:
    result = early_exit()
    lines = [trace for trace in views.early_exit(result).data if trace.mode == "lines+markers"]
    assert [line.line.dash for line in lines] == ["solid", "dash"] * 2
    assert list(lines[0].x) == sorted(result.layers.value[0])
    np.testing.assert_allclose(lines[1].y, result.fixed.value[0, 1:])
    bars = views.exit_layers(result, cast="mat", lam=0.4).data[0]
    assert list(bars.y) == [0.25] * 4


def test_composition_and_transfer_hold_the_numbers() -> None:
    pair = estimate(4, 4)
    composed = Composition("m", "c", "mat", 3, 3, estimate(4), pair, pair, pair.value, 9, 9)
    np.testing.assert_allclose(views.composition(composed).data[0].z, pair.value)
    one = curves(("mat",))
    moved = Transfer("m", "mat", ("a", EVIL), ((one, one), (one, one)), estimate(2, 2))
    figure = views.transfer(moved)
    assert len(figure.data) == 4
    np.testing.assert_allclose(figure.data[2].y, one.precision.value[0, :, 0, 0])
    assert "<script" not in figure.to_json()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: views.r2_maps(r2(), variant="x"),
        lambda: views.curves(curves(), metric="x"),
        lambda: views.curves(curves(), k=3),
        lambda: views.curves(curves(), bin="x"),
        lambda: views.curves(curves(bins=("0", "1–3", "4–"))),  # no line is of all tokens
        lambda: views.breakdown(curves(), method="x"),
        lambda: views.exit_layers(early_exit(), cast="x"),
    ],
)
def test_what_a_result_does_not_hold_is_said(ask: Any) -> None:
    with pytest.raises(LensError, match="This result holds"):
        ask()
