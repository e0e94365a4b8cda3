"""Precision@k, surprisal, KL, entropy, breakdowns, parts and alternations against plain hooks and numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import lens
from lens.analyses import Progress, alternation, curves, heldout_sentences, sample_sentences, submodules, transfer
from lens.errors import LensError
from lens.numerics import Curves, ratio
from lens.plans import Plan, best_alternation, even_alternation
from tests.oracle._plain import TEXTS, averaged, blocks_of, head, measures, sentences

TRAIN = sample_sentences()[:120]


@pytest.fixture(scope="module")
def fitted() -> dict[str, tuple[Any, lens.Maps]]:
    found = {}
    for name in ("demo", "demo-bert"):
        model = lens.load(name)
        parts = ("attn", "ffn", "ln")
        found[name] = model, lens.fit(model, TRAIN, positions="all", parts=parts, holdout=TEXTS)
    return found


def values(result: Curves, method: str, layer: int, place: int = 0) -> dict[str, float]:
    at = result.methods.index(method), result.layers.index(layer), place
    found = {f"p{k}": result.precision.value[at][n] for n, k in enumerate(result.ks)}
    return found | {name: getattr(result, name).value[at] for name in ("surprisal", "kl", "entropy")}


def matrix(maps: lens.Maps, source: int, target: int) -> np.ndarray:
    found: np.ndarray = maps.tensors("mat", source, target)["matrix"].numpy()
    return found


def test_whoever_watches_soon_sees_it_move_and_reads_the_same_numbers() -> None:
    model, texts = lens.load("demo"), heldout_sentences()[:100]
    seen: list[Progress] = []
    watched = curves(model, texts, casts=["id"], progress=seen.append)
    alone = curves(model, texts, casts=["id"])
    np.testing.assert_allclose(watched.surprisal.value, alone.surprisal.value, rtol=1e-5)
    np.testing.assert_allclose(watched.surprisal.error, alone.surprisal.error, rtol=1e-4)
    done = [step.sentences for step in seen]
    assert (done[0], done[-1]) == (0, len(texts))
    assert 0 < done[1] < len(texts) / 2
    assert seen[1].remaining is not None
    shares = np.diff(done) / len(texts)
    assert shares.max() < 0.5  # of the way at one step


@pytest.mark.parametrize(("name", "positions"), [("demo", "one"), ("demo", "all"), ("demo-bert", "one")])
def test_every_measure_equals_the_formula(fitted: Any, name: str, positions: str) -> None:
    model, maps = fitted[name]
    result = curves(model, TEXTS, maps=maps, positions=positions)
    plain, last = sentences(model, TEXTS, positions), model.n_blocks
    assert result.sentences == len(TEXTS)
    assert int(result.tokens[0]) == sum(len(sentence.places) for sentence in plain)
    for layer in (0, 3, last - 1, last):
        for cast in ("id", "mat"):
            jump = np.eye(model.width) if cast == "id" or layer == last else matrix(maps, layer, last)
            rows = [
                [measures(head(model.hf, s.streams[layer][at] @ jump.T), s.logits[at]) for at in s.places]
                for s in plain
            ]
            assert values(result, cast, layer) == pytest.approx(averaged(rows), abs=2e-4)
    assert values(result, "mat", last)["p1"] == 1
    assert result.plans[1][3] == f"0-2 mat(3>{last})"


def test_another_target_is_carried_on_by_the_real_blocks(fitted: Any) -> None:
    model, maps = fitted["demo"]
    result = curves(model, TEXTS, maps=maps, target=7, positions="all")
    frame = result.frame()
    for cast in ("id", "mat"):
        rows = []
        for text in TEXTS:
            reading = lens.read(model, text, casts=(cast,), target=7, k=1, maps=maps)
            rows.append((reading.token_ids[0, 3, :, 0] == reading.model_token_ids[:, 0], reading.kl[0, 3]))
        picked = frame.query("method == @cast and layers == 3").iloc[0]
        assert picked.precision_at_1 == pytest.approx(np.concatenate([row[0] for row in rows]).mean(), abs=1e-9)
        assert picked.kl == pytest.approx(np.concatenate([row[1] for row in rows]).mean(), abs=1e-4)
        assert picked.plan == f"0-2 {cast}(3>7) 7-11"


def test_breakdowns_add_up(fitted: Any) -> None:
    model, maps = fitted["demo"]
    whole = curves(model, TEXTS, maps=maps, casts=("mat",), positions="all")
    plain = sentences(model, TEXTS, "all")
    tops = [int(s.logits[at].argmax()) for s in plain for at in s.places]
    places = np.array([at for s in plain for at in s.places])
    for by in ("position", "frequency"):
        parts = curves(model, TEXTS, maps=maps, casts=("mat",), positions="all", by=by)
        assert parts.tokens.sum() == whole.tokens[0]
        held = parts.tokens > 0
        mean = (parts.precision.value[0, 4, held, 0] * parts.tokens[held]).sum() / parts.tokens.sum()
        assert mean == pytest.approx(whole.precision.value[0, 4, 0, 0])
        if by == "position":
            assert parts.tokens[:3].tolist() == [
                (places == 0).sum(),
                ((places > 0) & (places < 4)).sum(),
                ((places > 3) & (places < 8)).sum(),
            ]
        else:
            counts = np.bincount(tops)[tops]
            bounds = [int(name.split("–")[1].split()[0].replace(",", "")) for name in parts.bins]
            assert parts.tokens.tolist() == np.histogram(counts, [0.5, *(b + 0.5 for b in bounds)])[0].tolist()


def test_standard_errors_are_the_bootstraps() -> None:
    chance = np.random.default_rng(0)
    counts = chance.integers(1, 30, 400).astype(float)
    sums = np.array([chance.binomial(int(n), chance.beta(4, 2)) for n in counts], float)
    found = ratio(sums, counts)
    assert found.value == pytest.approx(sums.sum() / counts.sum())
    drawn = chance.integers(0, 400, (2000, 400))
    assert float(found.error) == pytest.approx((sums[drawn].sum(1) / counts[drawn].sum(1)).std(), rel=0.1)
    assert np.isnan(ratio(sums[:1], counts[:1]).error)


def spans(hf: Any, part: str, block: int) -> list[tuple[Any, Any]]:
    """The first and last module of each span, as the papers' models name them."""
    b = blocks_of(hf)[block]
    if hasattr(hf, "transformer"):
        return {"attn": [(b.attn, b.attn)], "ffn": [(b.mlp, b.mlp)], "ln": [(b.ln_1, b.ln_1), (b.ln_2, b.ln_2)]}[part]
    return {
        "attn": [(b.attention.self, b.attention.output.dense)],
        "ffn": [(b.intermediate, b.output.dense)],
        "ln": [(b.attention.output.LayerNorm,) * 2, (b.output.LayerNorm,) * 2],
    }[part]


def with_linear(model: Any, maps: lens.Maps, ids: list[int], part: str, start: int) -> np.ndarray:
    """Logits of the model itself with hooks that answer for the part in every block from `start` on."""
    hooks = []
    for block in range(start, model.n_blocks):
        for number, (first, last) in enumerate(spans(model.hf, part, block)):
            seen: list[np.ndarray] = []
            weights = maps.part(part, block)[number].numpy()

            def enter(_: Any, args: Any, kwargs: Any, seen: Any = seen) -> None:
                seen[:] = [(args[0] if args else kwargs["hidden_states"]).numpy()]

            def leave(_: Any, __: Any, out: Any, seen: Any = seen, weights: Any = weights) -> Any:
                answer = torch.tensor(seen[0] @ weights.T)
                return (answer, *out[1:]) if isinstance(out, tuple) else answer

            hooks += [first.register_forward_pre_hook(enter, with_kwargs=True), last.register_forward_hook(leave)]
    with torch.no_grad():
        logits: np.ndarray = model.hf(torch.tensor([ids])).logits[0].numpy()
    for hook in hooks:
        hook.remove()
    return logits


@pytest.mark.parametrize("name", ["demo", "demo-bert"])
def test_linear_parts_equal_plain_hooks(fitted: Any, name: str) -> None:
    model, maps = fitted[name]
    result = submodules(model, TEXTS[:8], maps=maps)
    plain = sentences(model, TEXTS[:8], "one")
    for part in ("attn", "ffn", "ln"):
        for layer in (0, 4, model.n_blocks - 1):
            rows = [
                [measures(with_linear(model, maps, s.ids, part, layer)[at], s.logits[at]) for at in s.places]
                for s in plain
            ]
            assert values(result, f"~{part}", layer) == pytest.approx(averaged(rows), abs=1e-3)
    last = model.n_blocks
    assert result.plans[0][3] == f"0-2 3-{last - 1}~attn"
    assert (result.precision.value[:, -1, 0, 0] == 1).all()
    assert set(result.methods) == {"~attn", "~ffn", "~ln", "mat", "id"}


def test_run_knows_parts(fitted: Any) -> None:
    model, maps = fitted["demo"]
    text = TEXTS[0]
    run = lens.run(model, text, "0-5 6-11~ffn", maps=maps)
    expected = with_linear(model, maps, model.tokenizer(text)["input_ids"], "ffn", 6)
    np.testing.assert_allclose(run.logits.numpy(), expected, rtol=0, atol=2e-3)


def paths(last: int, true: int) -> list[list[tuple[int, int, bool]]]:
    """Every way from 0 to `last` with `true` blocks and no two jumps in a row."""
    found: list[list[tuple[int, int, bool]]] = []

    def walk(at: int, left: int, path: list[tuple[int, int, bool]]) -> None:
        if at == last:
            if not left:
                found.append(path)
            return
        if left:
            walk(at + 1, left - 1, [*path, (at, at + 1, True)])
        if not path or path[-1][2]:
            for end in range(at + 1, last + 1):
                walk(end, left, [*path, (at, end, False)])

    walk(0, true, [])
    return found


@pytest.mark.parametrize("true", range(7))
def test_the_best_alternation_is_the_best_of_all(true: int) -> None:
    chance = np.random.default_rng(true)
    weights = {(i, j): float(np.log(chance.uniform(0.1, 1))) for i in range(6) for j in range(i + 1, 7)}
    ours = best_alternation(6, true, "mat", weights)
    total = sum(weights[stage.source, stage.target] for stage in ours.stages if hasattr(stage, "source"))
    best = max(sum(weights[i, j] for i, j, run in path if not run) for path in paths(6, true))
    assert total == pytest.approx(best)
    assert ours.applications == true
    assert even_alternation(6, true, "mat").applications == true
    ours.check(6)


def test_even_alternation_is_even() -> None:
    assert str(even_alternation(12, 6, "mat")).split()[:3] == ["mat(0>1)", "1", "mat(2>3)"]
    assert str(even_alternation(12, 4, "mat")).startswith("mat(0>2) 2 mat(3>5) 5")
    assert str(even_alternation(12, 12, "mat")) == "0-11"
    assert str(even_alternation(12, 0, "mat")) == "mat(0>12)"


def test_alternations_are_run_as_they_are_written(fitted: Any) -> None:
    model, maps = fitted["demo"]
    result = alternation(model, TEXTS[:6], maps=maps, positions="all")
    for method in (0, 1):
        for layer in (0, 5, 11, 12):
            plan = result.plans[method][layer]
            rows = []
            for text in TEXTS[:6]:
                own = lens.run(model, text, Plan.full(12)).logits.numpy()
                run = lens.run(model, text, plan, maps=maps).logits.numpy()
                rows.append([measures(one, other) for one, other in zip(run, own, strict=True)])
            assert values(result, result.methods[method], layer) == pytest.approx(averaged(rows), abs=1e-3)


def test_transfer_compares_on_the_same_sentences() -> None:
    model = lens.load("demo")
    corpora = {"a": TRAIN[:60], "b": ["It was the " + text for text in TRAIN[60:]]}
    found = transfer(model, corpora, holdout=0.2)
    own = [found.curves[i][i].precision.value[0, :-1, 0, 0].mean() for i in (0, 1)]
    for a, b in [(0, 1), (1, 0)]:
        other = found.curves[a][b].precision.value[0, :-1, 0, 0].mean()
        assert found.change.value[a, b] == pytest.approx(other - own[b])
        assert found.change.error[a, b] > 0
    assert found.change.value[0, 0] == found.change.error[0, 0] == 0
    assert len(found.frame()) == 4 * 13


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"casts": ("magic",)}, "no cast called 'magic'"),
        ({"casts": "mat"}, "give a list of casts"),
        ({"casts": ("affine",)}, "Maps for affine .* hold no such map"),
        ({"ks": (0,)}, "whole numbers from 1 to 4096"),
        ({"ks": ()}, "whole numbers from 1 to 4096"),
        ({"by": "mood"}, '"position", "frequency"'),
        ({"target": 13}, "a whole number from 0 to 12"),
        ({"positions": "some"}, '"one" random token'),
    ],
)
def test_what_cannot_be_asked_is_said(fitted: Any, options: Any, message: str) -> None:
    model, maps = fitted["demo"]
    with pytest.raises(LensError, match=message):
        curves(model, TEXTS, **{"maps": maps} | options)
    with pytest.raises(LensError, match="too little text"):
        curves(model, [" "], maps=maps)


def test_maps_that_are_missing_are_asked_for(fitted: Any) -> None:
    model, _ = fitted["demo"]
    some = lens.fit(model, TRAIN[:20], pairs="final")
    with pytest.raises(LensError, match=r"Maps of ~attn for every block are needed.*parts=\['attn'\]"):
        submodules(model, TEXTS, maps=some)
    with pytest.raises(LensError, match="Scored mat maps of all pairs"):
        alternation(model, TEXTS, maps=some)
    with pytest.raises(LensError, match="give a list of attn, ffn, ln"):
        submodules(model, TEXTS, maps=some, parts=["head"])
    with pytest.raises(LensError, match="two corpora or more"):
        transfer(model, {"a": TRAIN})
