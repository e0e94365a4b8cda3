"""The soak's own judgement: what grows is seen to, what only wavers is not, and each thing that is wrong is told."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import linregress  # type: ignore[import-untyped]

from tests.soak import LATE, PARTS, Held, judged, trend

HOURS = np.arange(240) / 120  # two hours, every half minute
NOISE = np.random.default_rng(0).normal(0, 1, len(HOURS))


def test_the_line_is_that_of_scipy() -> None:
    held = 100 + 7 * HOURS + 20 * NOISE
    found = trend(HOURS, held)
    x, y = ([part.mean() for part in np.array_split(each[60:], PARTS)] for each in (HOURS, held))
    expected = linregress(x, y)
    assert found is not None
    assert (found.growth, found.error) == pytest.approx((expected.slope, expected.stderr))
    assert found.level == pytest.approx(np.mean(y))


@pytest.mark.parametrize(
    ("held", "verdict"),
    [
        (140 + NOISE, "flat"),
        (140 - 40 * np.exp(-HOURS / 0.1) + NOISE, "flat"),  # warms up, and then is flat
        (140 + 10 * HOURS + NOISE, "grows"),
        (140 + 2 * HOURS + NOISE, "flat"),  # within three of a hundred
        (2000 + 800 * (-1.0) ** (np.arange(240) // 15), "cannot be told: run longer"),
    ],
)
def test_growth_is_told_from_wavering(held: Any, verdict: str) -> None:
    found = trend(HOURS, held)
    assert found is not None
    assert found.verdict == verdict


def test_a_short_run_has_no_line() -> None:
    assert trend(HOURS[:20], NOISE[:20]) is None


GOOD: dict[str, Any] = {
    "counts": {"visits": 3, "requests served": 9, "visits that ended with an answer": 3},
    "thrown": {},
}


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, []),
        ({"thrown": {LATE: 4}}, []),
        ({"thrown": {"TypeError": 1}}, ["thrown"]),
        ({"counts": {"requests answered by 500": 1}}, ["requests answered by 500"]),
        ({"counts": {"requests failed": 1}}, ["requests failed"]),
        ({"counts": {"visits that never came to an answer": 1}}, ["visits that never came to an answer"]),
        ({"counts": {"visits that ended without an answer": 1}}, ["visits that ended without an answer"]),
        ({"orphans": 1}, ["kernels without a visitor"]),
        ({"left": 1}, ["processes that outlived the server"]),
        ({"log": "lens is at http://127.0.0.1:1/ …\nTraceback\n"}, ["log"]),
        ({"own": 140 + 20 * HOURS}, ["the memory of server grows"]),
    ],
)
def test_what_is_wrong_is_told(changed: dict[str, Any], wrong: list[str]) -> None:
    given = GOOD | {"log": "lens is at http://127.0.0.1:1/ …\n", "orphans": 0, "left": 0, "own": 140 + NOISE} | changed
    soaking: Any = SimpleNamespace(counts=Counter(given["counts"]), thrown=Counter(given["thrown"]))
    server: Any = None
    held = Held(server, list(HOURS), list(given["own"]), list(500 + NOISE))
    assert judged(soaking, held, given["log"], given["orphans"], given["left"])[1] == wrong
