"""Leaving early, by a double loop over the paper's rule, and composition by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import r2_score

import lens
from lens.analyses import composition, early_exit, exit_layers, exit_threshold, exit_times, sample_sentences
from lens.errors import LensError
from tests.oracle._plain import TEXTS, head, sentences, softmax

TRAIN = sample_sentences()[:120]


@pytest.fixture(scope="module")
def fitted() -> dict[str, tuple[Any, lens.Maps]]:
    models = {name: lens.load(name) for name in ("demo", "demo-bert")}
    return {name: (model, lens.fit(model, TRAIN, positions="all", holdout=TEXTS)) for name, model in models.items()}


def leave(confidences: list[float], lam: float, t: float, length: float) -> int:
    """CALM's rule as the paper's code has it, layer by layer."""
    last = len(confidences) - 1
    for layer in range(1, last):
        if confidences[layer] > 0.9 * lam + 0.1 * np.exp(-4 * t / length):
            return layer
    return last


@pytest.mark.parametrize("name", ["demo", "demo-bert"])
def test_exits_equal_a_double_loop(fitted: Any, name: str) -> None:
    model, maps = fitted[name]
    result = early_exit(model, TEXTS, maps=maps)
    plain, last = sentences(model, TEXTS, "one"), model.n_blocks
    length = np.mean([s.places[0] + 1 for s in plain])
    assert result.length == pytest.approx(length)
    for c, cast in enumerate(("id", "mat")):
        table = []
        for s in plain:
            at = s.places[0]
            jumps = [
                np.eye(model.width)
                if cast == "id" or layer == last
                else maps.tensors("mat", layer, last)["matrix"].numpy()
                for layer in range(last + 1)
            ]
            logits = [head(model.hf, s.streams[layer][at] @ jump.T) for layer, jump in enumerate(jumps)]
            tops = [np.sort(softmax(row))[::-1][:2] for row in logits]
            right = [int(row.argmax()) == int(s.logits[at].argmax()) for row in logits]
            table.append(([float(a - b) for a, b in tops], right, at))
        for m, lam in enumerate(result.lambdas[c]):
            left = [leave(sure, lam, at if model.kind == "causal" else 3, length) for sure, _, at in table]
            kept = [right[layer] for layer, (_, right, _) in zip(left, table, strict=True)]
            assert result.layers.value[c, m] == pytest.approx(np.mean(left))
            assert result.precision.value[c, m] == pytest.approx(np.mean(kept))
            assert result.exits[c, m].tolist() == pytest.approx(np.bincount(left, minlength=last + 1) / len(left))
        for layer in range(last + 1):
            assert result.fixed.value[c, layer] == pytest.approx(np.mean([right[layer] for _, right, _ in table]))
    assert result.layers.value[:, 0].tolist() == [1, 1]  # λ = −1.112: everybody leaves at once
    assert result.layers.value[:, -1].tolist() == [last, last]  # λ = 1.112: nobody does
    assert len(result.lambdas[0]) == 22


def test_savings_are_the_fewest_layers_that_keep_enough(fitted: Any) -> None:
    model, maps = fitted["demo"]
    result = early_exit(model, TEXTS, maps=maps)
    for wanted in (0.5, 0.9, 1.0):
        for saving in result.saving(wanted):
            rows = result.frame().query("cast == @saving.cast and how == @saving.how and precision >= @wanted")
            assert saving.layers == pytest.approx(rows.layers.min())
            assert saving.saved == pytest.approx(12 - saving.layers)
            assert saving.saved_share == pytest.approx(saving.saved / 12)


def test_nobody_leaves_at_the_first_layer_and_all_at_the_last() -> None:
    sure = np.array([[0.9, 0.1, 0.2, 0.3], [0.0, 0.0, 0.8, 0.0]])
    assert exit_layers(sure, np.array([0.5, 0.5])).tolist() == [3, 2]
    assert exit_layers(sure, np.array([-1.0, 0.05])).tolist() == [1, 2]
    assert float(exit_threshold(1.0, 0, 10)) == pytest.approx(1.0)


def test_times_are_of_the_same_exits(fitted: Any) -> None:
    model, maps = fitted["demo"]
    found = exit_times(model, TEXTS, -1.112, maps=maps)
    assert found.layers == 1
    never = exit_times(model, TEXTS, 1.112, maps=maps)
    assert never.layers == 12
    assert never.sentences == len(TEXTS)
    assert never.break_even == pytest.approx(never.test / never.block)
    assert float(found.ratio.value) < float(never.ratio.value)  # one block and one look, against twelve and twelve


@pytest.mark.parametrize("name", ["demo", "demo-bert"])
def test_times_are_of_the_tokens_that_the_curve_counts(fitted: Any, name: str) -> None:
    model, maps = fitted[name]
    for lam in (0.3, 0.6):
        counted = early_exit(model, TEXTS, maps=maps, casts=["mat"], lambdas=[lam])
        timed = exit_times(model, TEXTS, lam, maps=maps)
        assert timed.layers == pytest.approx(float(counted.layers.value[0, 0]))


def test_composition_equals_scikit_learn(fitted: Any) -> None:
    model, maps = fitted["demo"]
    found = composition(model, TEXTS, maps=maps, positions="all")
    plain = sentences(model, TEXTS, "all")
    streams = [np.concatenate([s.streams[layer] for s in plain]).astype(np.float64) for layer in range(13)]

    def a(i: int, k: int) -> np.ndarray:
        matrix: np.ndarray = maps.tensors("mat", i, k)["matrix"].numpy().astype(np.float64)
        return matrix

    for i, j in [(0, 1), (2, 7), (10, 11)]:
        direct = r2_score(streams[12], streams[i] @ a(i, 12).T)
        around = r2_score(streams[12], streams[i] @ a(i, j).T @ a(j, 12).T)
        assert float(found.direct.value[i]) == pytest.approx(direct, abs=1e-4)
        assert float(found.composed.value[i, j]) == pytest.approx(around, abs=1e-4)
        assert float(found.loss.value[i, j]) == pytest.approx(direct - around, abs=1e-4)
        expected = np.linalg.norm(a(j, 12) @ a(i, j) - a(i, 12)) / np.linalg.norm(a(i, 12))
        assert found.distance[i, j] == pytest.approx(expected)
    assert np.isnan(found.composed.value[5, 5])
    assert len(found.frame()) == 66


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lambdas": ()}, "give numbers"),
        ({"lambdas": ("much",)}, "give numbers"),
        ({"lambdas": (float("nan"),)}, "give numbers"),
        ({"casts": ("affine",)}, "hold no such map"),
    ],
)
def test_what_cannot_be_asked_is_said(fitted: Any, options: Any, message: str) -> None:
    model, maps = fitted["demo"]
    with pytest.raises(LensError, match=message):
        early_exit(model, TEXTS, maps=maps, **options)


def test_composition_needs_all_pairs(fitted: Any) -> None:
    model, maps = fitted["demo"]
    with pytest.raises(LensError, match="mat maps of all pairs up to layer 12"):
        composition(model, TEXTS, maps=lens.fit(model, TRAIN[:20], pairs="final"))
    with pytest.raises(LensError, match="from 2 to 12"):
        composition(model, TEXTS, maps=maps, target=1)
