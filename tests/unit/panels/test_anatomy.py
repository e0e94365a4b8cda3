"""A chart shows no value where it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lens
from lens.analyses import heldout_sentences
from lens.numerics import Estimate, LayerStats
from lens.panels.tabs.layers import _chart


@pytest.fixture(scope="module")
def stats() -> Any:
    return lens.layers(lens.load("demo-bert"), heldout_sentences()[:5])


def test_what_is_beyond_the_axis_is_said_and_not_drawn(stats: LayerStats) -> None:
    blocks = list(range(stats.n_blocks))
    spec = _chart("Loss", "block", blocks, "nats", "Note.", [("mat", "loss", stats.skip_change)])
    first = stats.skip_change.value[0]
    assert spec["lines"][0]["values"][0] is None
    assert f"Block 0 is beyond the axis, at {first:.2f}." in spec["note"]
    assert spec["y"]["high"] < first
    assert spec["y"]["low"] is None  # the picture begins at the least value, below 0 where there is one
    even = replace(stats, skip_change=Estimate(np.ones(stats.n_blocks), np.zeros(stats.n_blocks)))
    spec = _chart("Loss", "block", blocks, "nats", "", [("mat", "loss", even.skip_change)])
    assert spec["lines"][0]["values"] == [1.0] * stats.n_blocks
    assert spec["y"]["high"] is None
