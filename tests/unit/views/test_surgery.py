"""Figures of sweeps, grids and layer statistics show the numbers of the result, as text that stays text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lens
from lens.analyses import heldout_sentences
from lens.errors import LensError
from lens.views import cosines, grid, importance, inversions, skip_effect, sweep


@pytest.fixture(scope="module")
def demo() -> Any:
    return lens.load("demo")


def test_grids(demo: Any) -> None:
    texts = heldout_sentences()[:2]
    found = lens.painters(demo, texts, recipes=["skip", "reverse"])
    lines = [trace for trace in grid(found, metric="kl").data if trace.name]
    assert [line.name for line in lines] == ["skip", "reverse"]
    np.testing.assert_array_equal(lines[1].y, found.of("kl").value[1])
    windows = lens.windows(demo, texts, recipe="skip")
    (heat,) = grid(windows).data
    np.testing.assert_array_equal(heat.z, windows.of("change").value)
    assert heat.customdata[4][7][1] == "0-3 8-11"
    with pytest.raises(LensError, match="give change"):
        grid(windows, metric="nonsense")


def test_sweeps(demo: Any) -> None:
    found = lens.sweep(demo, heldout_sentences()[:3], {"<b>one</b>": "0-3 7-4 8-11", "two": "0-11"}, by="position")
    (points,) = sweep(found, metric="loss", bin="0").data
    assert points.y[0] == "&lt;b&gt;one&lt;/b&gt;"
    np.testing.assert_array_equal(points.x, found.loss.value[:, 0])
    (orders,) = inversions(lens.orders(demo, heldout_sentences()[:2], n=4, samples=3)).data
    assert set(orders.x) <= {0, 1, 2, 3}
    (order,) = inversions(found, bin="1–3").data
    assert order.x == (6, 0)
    np.testing.assert_array_equal(order.y, found.change.value[:, 1])
    for ask in (lambda: sweep(found, bin="99"), lambda: sweep(found), lambda: inversions(found)):
        with pytest.raises(LensError, match=r"holds 0, 1–3, .* is not among them"):
            ask()


def test_grids_by_position(demo: Any) -> None:
    found = lens.painters(demo, heldout_sentences()[:2], recipes=["skip"], by="position")
    line = next(trace for trace in grid(found, bin="1–3").data if trace.name)
    np.testing.assert_array_equal(line.y, found.of("change", "1–3").value[0])
    assert not np.array_equal(line.y, found.of("change", "0").value[0])
    with pytest.raises(LensError, match="'all' is not among them"):
        grid(found)


def test_layer_statistics(demo: Any) -> None:
    found = lens.layers(demo, heldout_sentences()[:3])
    figure = cosines(found)
    np.testing.assert_array_equal([heat.z for heat in figure.data], found.cosines.value)
    lines = [trace for trace in importance(found).data if trace.name]
    np.testing.assert_array_equal(lines[0].y, found.skip_change.value)
    np.testing.assert_array_equal(skip_effect(found).data[0].z, found.skip_effect.value)
