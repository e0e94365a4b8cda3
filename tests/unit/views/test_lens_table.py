"""The lens table as a figure holds the reading, and text stays text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import lens
from lens.numerics import Reading
from lens.views import lens_table


@pytest.fixture(scope="module")
def reading() -> Reading:
    return lens.read(lens.load("demo"), "The old man sat", k=6)


@pytest.mark.parametrize("metric", ["probability", "entropy", "rank", "kl", "surprisal"])
def test_colours_are_the_metric(reading: Reading, metric: str) -> None:
    heat = lens_table(reading, cast="mat", metric=metric).data[0]
    expected = reading.probabilities[1, :, :, 0] if metric == "probability" else getattr(reading, metric)[1]
    np.testing.assert_array_equal(np.asarray(heat.z), expected)
    assert heat.text[3][2] == reading.labels[int(reading.token_ids[1, 3, 2, 0])]
    assert heat.customdata[3][2].count("<br>") == 4
    assert f"{reading.probabilities[1, 3, 2, 4]:.1%}" in heat.customdata[3][2]


def test_mark_up_in_tokens_is_shown_as_text(reading: Reading) -> None:
    hostile = replace(reading, labels=dict.fromkeys(reading.labels, "<b>x</b>"), tokens=("<i>",) * len(reading.tokens))
    figure = lens_table(hostile)
    assert figure.data[0].text[0][0] == "&lt;b&gt;x&lt;/b&gt;"
    assert figure.layout.xaxis.ticktext[0] == "&lt;i&gt;"


def test_what_is_not_in_the_reading_is_said(reading: Reading) -> None:
    with pytest.raises(lens.LensError, match="holds the casts id, mat"):
        lens_table(reading, cast="tuned")
