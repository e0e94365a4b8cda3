"""Fitted maps and their r² against scikit-learn on vectors taken from the real model by plain hooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import lens
from lens.analyses import sample_sentences

TRAIN, HELD = sample_sentences()[:60], sample_sentences()[60:80]


def vectors(model: Any, texts: list[str]) -> list[np.ndarray]:
    """At each boundary the float64 vectors of every token, sentence by sentence, unpadded."""
    streams: list[list[np.ndarray]] = [[] for _ in range(model.n_blocks + 1)]
    hf = model.hf

    def keep(place: int, stream: torch.Tensor) -> None:
        streams[place].append(stream[0].double().numpy())

    hooks = [
        block.register_forward_pre_hook(lambda _, args, place=place: keep(place, args[0]))
        for place, block in enumerate(hf.transformer.h)
    ]
    hooks.append(hf.transformer.h[-1].register_forward_hook(lambda _, __, out: keep(model.n_blocks, out)))
    for text in texts:
        with torch.no_grad():
            hf(torch.tensor([model.tokenizer(text)["input_ids"][:256]]), use_cache=False)
    for hook in hooks:
        hook.remove()
    return [np.concatenate(rows) for rows in streams]


@pytest.fixture(scope="module")
def demo() -> Any:
    return lens.load("demo")


def test_maps_and_r2_equal_scikit_learn(demo: Any) -> None:
    pairs = [(0, 12), (3, 7), (11, 12)]
    maps = lens.fit(demo, TRAIN, pairs=pairs, positions="all", holdout=HELD)
    train, held = vectors(demo, TRAIN), vectors(demo, HELD)
    assert (maps.card.tokens, maps.card.heldout_tokens) == (len(train[0]), len(held[0]))
    for source, target in pairs:
        oracle = LinearRegression(fit_intercept=False).fit(train[source], train[target])
        matrix = maps.tensors("mat", source, target)["matrix"].numpy()
        np.testing.assert_allclose(matrix, oracle.coef_, rtol=1e-3, atol=1e-3 * np.abs(oracle.coef_).max())
        expected = r2_score(held[target], oracle.predict(held[source]))
        assert maps.card.r2["mat"][f"{source}>{target}"] == pytest.approx(expected, abs=1e-4)
        same = r2_score(held[target], held[source])
        assert maps.card.r2["id"][f"{source}>{target}"] == pytest.approx(same, abs=1e-4)


@pytest.mark.parametrize("name", ["demo", "demo-bert"])
def test_one_position_a_sentence_is_repeatable(name: str) -> None:
    model, heard = lens.load(name), []
    options: dict[str, Any] = {"pairs": "final", "positions": "one", "seed": 3}
    first = lens.fit(model, TRAIN, progress=heard.append, **options)
    again, other = lens.fit(model, TRAIN, **options), lens.fit(model, TRAIN, **options | {"seed": 4})
    last = model.n_blocks
    assert first.card == again.card
    assert first.card.tokens == first.card.sentences == 54
    assert first.card.heldout_tokens == first.card.heldout_sentences == 6
    assert torch.equal(first.tensors("mat", 2, last)["matrix"], again.tensors("mat", 2, last)["matrix"])
    assert not torch.equal(first.tensors("mat", 2, last)["matrix"], other.tensors("mat", 2, last)["matrix"])
    assert [(step.stage, step.sentences, step.total) for step in heard][-1] == ("score", 6, 6)


def test_a_fit_stops_when_its_progress_says_so(demo: Any) -> None:
    class Stop(Exception):  # noqa: N818 - not an error
        pass

    def stop(_: Any) -> None:
        raise Stop

    with pytest.raises(Stop):
        lens.fit(demo, TRAIN, progress=stop)


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ([], {}, "too little text"),
        (["one only."], {}, "too little text"),
        (["", "  "], {"holdout": ["x"]}, "too little text"),
        (TRAIN, {"holdout": 1.5}, "share between 0 and 1"),
        (TRAIN, {"pairs": [(5, 5)]}, "choose 0 ≤ source < target ≤ 12"),
        (TRAIN, {"pairs": [(0, 13)]}, "choose 0 ≤ source < target ≤ 12"),
        (TRAIN, {"kind": "id"}, "needs no fitting"),
        (TRAIN, {"kind": "magic"}, "no cast called 'magic'"),
        (TRAIN, {"positions": "some"}, "positions"),
    ],
)
def test_what_cannot_be_fitted_is_said(demo: Any, texts: list[str], options: Any, message: str) -> None:
    with pytest.raises(lens.LensError, match=message):
        lens.fit(demo, texts, **options)
