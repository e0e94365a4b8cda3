"""Fitted maps and their r² against scikit-learn on vectors taken from the real model by plain hooks."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score

import lens
from lens.analyses import Progress, _checkpoint, _vectors, fit_budget, sample_sentences
from lens.casts import cast_named
from lens.errors import LensError

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


@pytest.fixture(scope="module")
def plain(demo: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return vectors(demo, TRAIN), vectors(demo, HELD)


def scores(maps: Any, cast: str, source: int, target: int, variant: str = "stream") -> list[float]:
    found: list[float] = maps.card.scores[cast][f"{source}>{target}"][variant]
    return found


def test_maps_and_r2_equal_scikit_learn(demo: Any, plain: Any) -> None:
    pairs = [(0, 12), (3, 7), (11, 12)]
    maps = lens.fit(demo, TRAIN, pairs=pairs, positions="all", holdout=HELD)
    train, held = plain
    assert (maps.card.tokens, maps.card.heldout_tokens) == (len(train[0]), len(held[0]))
    starts = np.cumsum([0, *(min(256, len(demo.tokenizer(text)["input_ids"])) for text in HELD)])[:-1]
    inner = np.setdiff1d(np.arange(len(held[0])), starts)
    for source, target in pairs:
        oracle = LinearRegression(fit_intercept=False).fit(train[source], train[target])
        matrix = maps.tensors("mat", source, target)["matrix"].numpy()
        np.testing.assert_allclose(matrix, oracle.coef_, rtol=1e-3, atol=1e-3 * np.abs(oracle.coef_).max())
        start, end = held[source], held[target]
        # the forwards differ by float32 rounding: ours are padded batches, the oracle's single texts
        guess = oracle.predict(start)
        assert scores(maps, "mat", source, target)[0] == pytest.approx(r2_score(end, guess), abs=2e-5)
        assert scores(maps, "id", source, target)[0] == pytest.approx(r2_score(end, start), abs=2e-5)
        expected = r2_score(end[inner], guess[inner])
        assert scores(maps, "mat", source, target, "inner")[0] == pytest.approx(expected, abs=2e-5)
        expected = r2_score(end - start, guess - start)
        assert scores(maps, "mat", source, target, "update")[0] == pytest.approx(expected, abs=2e-5)
        assert scores(maps, "id", source, target, "update")[0] <= 0  # standing still explains nothing of a move


def test_on_the_same_vectors_r2_is_scikit_learns(demo: Any) -> None:
    chosen = {"parts": (), "positions": "all", "report": None, "start": Progress("fit", 0, 0, 0, 0.0)}
    chunks = [list(_vectors.gathered(demo, texts, (3, 12), seed=0, **chosen)) for texts in (TRAIN, HELD)]
    (x, y), (start, end) = (
        [torch.cat([chunk.at[site] for chunk in part]).numpy() for site in (3, 12)] for part in chunks
    )
    oracle = LinearRegression(fit_intercept=False).fit(x, y)
    maps = lens.fit(demo, TRAIN, pairs=[(3, 12)], positions="all", holdout=HELD)
    assert scores(maps, "mat", 3, 12)[0] == pytest.approx(r2_score(end, oracle.predict(start)), abs=1e-6)
    assert scores(maps, "id", 3, 12)[0] == pytest.approx(r2_score(end, start), abs=1e-6)


def test_several_kinds_in_one_go_equal_scikit_learn(demo: Any, plain: Any) -> None:
    kinds = ["mat", "affine", "ridge", "lowrank"]
    maps = lens.fit(demo, TRAIN, kind=kinds, pairs=[(4, 9)], positions="all", ridge=200.0, rank=8, holdout=HELD)
    (train, held), ours = plain, {}
    for kind in kinds:
        cast = cast_named(kind)
        ours[kind] = cast.apply(torch.tensor(held[4]), **maps.tensors(kind, 4, 9)).numpy()
    oracles = {"mat": LinearRegression(fit_intercept=False), "affine": LinearRegression()}
    oracles["ridge"] = Ridge(alpha=200.0, fit_intercept=False)
    scale = np.abs(held[9]).max()
    for kind, oracle in oracles.items():
        expected = oracle.fit(train[4], train[9]).predict(held[4])
        np.testing.assert_allclose(ours[kind], expected, rtol=0, atol=2e-4 * scale)
        assert scores(maps, kind, 4, 9)[0] == pytest.approx(r2_score(held[9], expected), abs=2e-4)
    assert np.linalg.matrix_rank(ours["lowrank"], tol=1e-4 * scale) == 8
    assert maps.card.options == {"ridge": 200.0, "rank": 8}


def test_maps_of_parts_equal_scikit_learn(demo: Any) -> None:
    maps = lens.fit(demo, TRAIN, pairs=[(0, 1)], parts=("attn", "ffn", "ln"), positions="all", holdout=HELD)
    block = demo.hf.transformer.h[5]
    for part, number, module in [
        ("attn", 0, block.attn),
        ("ffn", 0, block.mlp),
        ("ln", 0, block.ln_1),
        ("ln", 1, block.ln_2),
    ]:
        rows: list[tuple[Any, Any]] = []
        hook = module.register_forward_hook(
            lambda _, args, kwargs, out, rows=rows: rows.append(
                ((args[0] if args else kwargs["hidden_states"])[0], (out[0] if isinstance(out, tuple) else out)[0])
            ),
            with_kwargs=True,
        )
        for text in TRAIN:
            with torch.no_grad():
                demo.hf(torch.tensor([demo.tokenizer(text)["input_ids"]]))
        hook.remove()
        x, y = (torch.cat([row[side] for row in rows]).double().numpy() for side in (0, 1))
        oracle = LinearRegression(fit_intercept=False).fit(x, y)
        ours = x @ maps.part(part, 5)[number].numpy().T
        np.testing.assert_allclose(ours, oracle.predict(x), rtol=0, atol=1e-3 * np.abs(y).max())
        assert maps.card.scores[f"~{part}"][f"5.{number}"]["stream"][0] <= 1


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
    # fewer vectors than coordinates, fewer still at layer 0, where a token's place and name are all there is
    assert 1 < first.card.rank["0"] <= first.card.rank["5"] <= 54
    assert torch.equal(first.tensors("mat", 2, last)["matrix"], again.tensors("mat", 2, last)["matrix"])
    assert not torch.equal(first.tensors("mat", 2, last)["matrix"], other.tensors("mat", 2, last)["matrix"])
    assert [(step.stage, step.sentences, step.total) for step in heard][-1] == ("score", 6, 6)
    assert heard[0].sentences == 0
    assert heard[0].memory > 0


def test_several_passes_give_the_maps_of_one(demo: Any) -> None:
    needed = fit_budget(demo).memory
    heard: list[Progress] = []
    whole = lens.fit(demo, TRAIN, holdout=HELD)
    split = lens.fit(demo, TRAIN, holdout=HELD, memory=needed // 2, progress=heard.append)
    assert heard[0].steps > 1
    assert heard[0].memory <= needed // 2
    assert {step.step for step in heard} == set(range(1, heard[0].steps + 1))
    assert split.card == whole.card
    assert all(
        torch.equal(split.tensors("mat", *pair)["matrix"], whole.tensors("mat", *pair)["matrix"])
        for pair in whole.pairs["mat"]
    )
    with pytest.raises(LensError, match=r'Fit fewer pairs \(pairs="final"'):
        lens.fit(demo, TRAIN, memory=10**6)


def test_a_killed_fit_goes_on_and_gives_the_same_maps(
    demo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(_vectors, "ROWS", 32)
    texts = sample_sentences()[:400]
    options: dict[str, Any] = {"pairs": [(0, 12), (6, 12)], "positions": "all", "holdout": HELD}
    begin = time.monotonic()
    whole = lens.fit(demo, texts, **options)
    spent, chance = time.monotonic() - begin, random.Random(0)  # noqa: S311
    started: list[int] = []
    for _ in range(5):
        child = os.fork()
        if not child:
            lens.fit(demo, texts, checkpoint=tmp_path, **options)
            os._exit(0)
        time.sleep(spent * chance.uniform(0.1, 0.4))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    heard: list[Progress] = []
    resumed = lens.fit(demo, texts, checkpoint=tmp_path, progress=heard.append, **options)
    started = [step.resumed for step in heard if step.stage == "fit"]
    assert not started or started[0] > 0  # it went on, or was through already
    assert resumed.card == whole.card
    for pair in whole.pairs["mat"]:
        assert torch.equal(resumed.tensors("mat", *pair)["matrix"], whole.tensors("mat", *pair)["matrix"])
    with pytest.raises(LensError, match="of another fit"):
        lens.fit(demo, texts[:-1], checkpoint=tmp_path, **options)
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(LensError, match="can't be read"):
        lens.fit(demo, texts, checkpoint=tmp_path, **options)


def test_memory_does_not_grow_with_the_text(demo: Any) -> None:
    """The peak of a process of its own, with 1,250 sentences and with twice as many, at every token.

    As many texts are tokenized at a time as are sorted together, 1,024: with fewer the peak is lower, and says nothing.
    """
    lens.fit(demo, TRAIN, pairs="final", holdout=HELD)  # whatever is allocated once

    def peak(count: int) -> int:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            lens.fit(demo, sample_sentences()[:count], pairs="final", positions="all", holdout=HELD)
            os.write(writer, str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss).encode())
            os._exit(0)
        os.waitpid(child, 0)
        return int(os.read(reader, 99))

    assert peak(2500) < 1.05 * peak(1250)


def test_a_checkpoint_that_cannot_be_written_says_so(demo: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LensError, match="could not be written"):
        lens.fit(demo, TRAIN, pairs="final", checkpoint=tmp_path / "file")


def test_a_fit_stops_when_its_progress_says_so(demo: Any) -> None:
    class Stop(Exception):  # noqa: N818 - not an error
        pass

    def stop(_: Any) -> None:
        raise Stop

    with pytest.raises(Stop):
        lens.fit(demo, TRAIN, progress=stop)


def test_values_that_are_no_numbers_name_layer_and_text(byte_level: Any) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    hf = GPT2LMHeadModel(GPT2Config(vocab_size=400, n_positions=64, n_embd=32, n_layer=2, n_head=2))
    model = lens.load(hf, tokenizer=byte_level)
    _ = model.anatomy  # proved before it is spoilt
    spoilt = byte_level("z")["input_ids"][0]
    with torch.no_grad():
        hf.transformer.wte.weight[spoilt] = float("nan")
    texts = ["A good text.", "Another good text.", "A z spoils it.", "Yes."]
    with pytest.raises(LensError, match=r"Layer 0 holds values that are not finite numbers on text 3 \('A z spoils"):
        lens.fit(model, texts, positions="all", holdout=["Held out."])


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ([], {}, "too little text"),
        (["one only."], {}, "too little text"),
        (["", "  "], {"holdout": ["x"]}, "too little text"),
        ("one string", {}, "a single string was given"),
        (TRAIN, {"holdout": "one string"}, "a single string was given"),
        (TRAIN, {"holdout": 1.5}, "share between 0 and 1"),
        (TRAIN, {"pairs": [(5, 5)]}, "choose 0 ≤ source < target ≤ 12"),
        (TRAIN, {"pairs": [(0, 13)]}, "choose 0 ≤ source < target ≤ 12"),
        (TRAIN, {"pairs": "some"}, '"all", "final", or a list'),
        (TRAIN, {"pairs": [(1, 2, 3)]}, '"all", "final", or a list'),
        (TRAIN, {"kind": "id"}, "needs no fitting"),
        (TRAIN, {"kind": "magic"}, "no cast called 'magic'"),
        (TRAIN, {"kind": []}, r"kind is \[\]"),
        (TRAIN, {"kind": "ridge"}, "a number above 0"),
        (TRAIN, {"kind": "lowrank", "rank": 1000}, "a whole number from 1 to 192"),
        (TRAIN, {"ridge": 1.0}, "ridge=1.0 would change nothing: it belongs to kind='ridge'"),
        (TRAIN, {"rank": 3}, "rank=3 would change nothing: it belongs to kind='lowrank'"),
        (TRAIN, {"parts": "attn"}, "give a list of attn, ffn, ln"),
        (TRAIN, {"parts": ["head"]}, "give a list of attn, ffn, ln"),
        (TRAIN, {"positions": "some"}, "positions"),
    ],
)
def test_what_cannot_be_fitted_is_said(demo: Any, texts: Any, options: Any, message: str) -> None:
    with pytest.raises(lens.LensError, match=message):
        lens.fit(demo, texts, **options)


def test_a_cast_named_twice_is_scored_once(demo: Any) -> None:
    once, twice = (lens.r2(demo, HELD, casts=casts) for casts in (["mat"], ["mat", "mat"]))
    assert twice.casts == ("mat",)
    np.testing.assert_array_equal(twice.of("mat").value, once.of("mat").value)


def test_merged_maps_keep_the_scores_of_both(demo: Any, tmp_path: Path) -> None:
    one, other = (lens.fit(demo, TRAIN, pairs=[pair], holdout=HELD) for pair in ((3, 12), (0, 5)))
    both = one.merged(other).card.scores
    assert both["mat"] == {**one.card.scores["mat"], **other.card.scores["mat"]}
    assert both["id"] == {**one.card.scores["id"], **other.card.scores["id"]}


def test_alternation_needs_the_score_of_each_pair(demo: Any) -> None:
    maps = lens.fit(demo, TRAIN, holdout=HELD)
    del maps.card.scores["mat"]["3>4"]
    with pytest.raises(lens.LensError, match="Scored mat maps of all pairs"):
        lens.alternation(demo, HELD, maps=maps)
