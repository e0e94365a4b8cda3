"""What cannot be meant is refused in words by every public function: no bare TypeError, no KeyError."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lens
from lens.analyses import fit_budget, heldout_sentences
from lens.cluster import Workers
from lens.errors import EngineError, LensError, MapsError, ModelError, PlanError, TextError
from lens.plans import Plan

TEXT, TEXTS = "The old man sat by the fire", heldout_sentences()[:3]
NO_TEXTS = [None, 5, [5], ["one", None], [["one"]], b"one"]
NO_PLANS = [None, 5, [], ["0-3"], b"0", True]
NAN = float("nan")


@pytest.fixture(scope="module")
def demo() -> Any:
    return lens.load("demo")


def over_texts(name: str, model: Any, texts: Any) -> Any:
    more: dict[str, Any] = {
        "fit": {"pairs": "final"},
        "exit_times": {"threshold": 0.9},
        "sweep": {"plans": ["0-3"]},
    }
    return getattr(lens, name)(model, texts, **more.get(name, {}))


@pytest.mark.parametrize("texts", NO_TEXTS, ids=repr)
@pytest.mark.parametrize(
    "name",
    [
        *("fit", "r2", "curves", "early_exit", "exit_times", "composition", "submodules", "alternation", "sweep"),
        *("layers", "painters", "windows", "loops", "orders"),
    ],
)
def test_no_texts(demo: Any, name: str, texts: Any) -> None:
    with pytest.raises(TextError, match=r"Texts are a list of sentences, one string each; .* is no string"):
        over_texts(name, demo, texts)


@pytest.mark.parametrize("plan", NO_PLANS, ids=repr)
@pytest.mark.parametrize(
    "ask",
    [
        lambda _, plan: Plan.parse(plan),
        lambda model, plan: lens.run(model, TEXT, plan),
        lambda model, plan: lens.as_model(model, plan),
        lambda model, plan: lens.compare_plan(model, TEXT, plan),
        lambda model, plan: lens.latency(model, TEXT, plan, rounds=2),
        lambda model, plan: lens.generate(model, TEXT, 5 if plan is None else plan),
        lambda model, plan: lens.sweep(model, TEXTS, [[plan]]),
    ],
    ids=["parse", "run", "as_model", "compare_plan", "latency", "generate", "sweep"],
)
def test_no_plan(demo: Any, ask: Callable[[Any, Any], Any], plan: Any) -> None:
    with pytest.raises(PlanError, match="a plan is a text"):
        ask(demo, plan)


def final(model: Any) -> lens.Maps:
    return lens.fit(model, TEXTS, pairs="final")


CASES: dict[str, tuple[type[LensError], Callable[[Any], Any]]] = {
    "casts 5": (LensError, lambda m: lens.read(m, TEXT, casts=5)),
    "casts [['id']]": (LensError, lambda m: lens.read(m, TEXT, casts=[["id"]])),
    "casts of r2": (LensError, lambda m: lens.r2(m, TEXTS, casts=[["id"]])),
    "casts of curves": (LensError, lambda m: lens.curves(m, TEXTS, casts=5)),
    "casts of early_exit": (LensError, lambda m: lens.early_exit(m, TEXTS, casts=[["id"]])),
    "cast of alternation": (LensError, lambda m: lens.alternation(m, TEXTS, cast=["mat"])),
    "cast of composition": (LensError, lambda m: lens.composition(m, TEXTS, cast=["mat"])),
    "cast of exit_times": (LensError, lambda m: lens.exit_times(m, TEXTS, 0.9, cast=["mat"])),
    "kind of transfer": (LensError, lambda m: lens.transfer(m, {"a": TEXTS, "b": TEXTS}, kind=["mat"])),
    "corpora of transfer": (LensError, lambda m: lens.transfer(m, [TEXTS, TEXTS])),
    "no corpora": (LensError, lambda m: lens.transfer(m, None)),
    "ks 5": (LensError, lambda m: lens.curves(m, TEXTS, ks=5)),
    "lambdas 0.9": (LensError, lambda m: lens.early_exit(m, TEXTS, casts=["id"], lambdas=0.9)),
    "no sentences": (LensError, lambda m: lens.exit_times(m, TEXTS, 0.9, sentences=0)),
    "less than no sentences": (LensError, lambda m: lens.exit_times(m, TEXTS, 0.9, sentences=-1)),
    "timed -1": (LensError, lambda m: lens.sweep(m, TEXTS, ["0-3"], timed=-1)),
    "timed 1.5": (LensError, lambda m: lens.sweep(m, TEXTS, ["0-3"], timed=1.5)),
    "memory of a sweep": (LensError, lambda m: lens.sweep(m, TEXTS, ["0-3"], memory=None)),
    "plans None": (LensError, lambda m: lens.sweep(m, TEXTS, None)),
    "seed of orders": (LensError, lambda m: lens.orders(m, TEXTS, seed=1.5)),
    "recipes 'skip'": (LensError, lambda m: lens.painters(m, TEXTS, recipes="skip")),
    "recipes None": (LensError, lambda m: lens.painters(m, TEXTS, recipes=None)),
    "parameters 5": (LensError, lambda m: lens.windows(m, TEXTS, recipe="repeat", parameters=5)),
    "a window in a grid of windows": (LensError, lambda m: lens.windows(m, TEXTS, parameters={"start": 0})),
    "recipe []": (PlanError, lambda _: lens.recipe([], 12)),
    "parts of submodules": (LensError, lambda m: lens.submodules(m, TEXTS, parts=[["attn"]])),
    "parts of fit": (LensError, lambda m: lens.fit(m, TEXTS, parts=5)),
    "kind of fit": (LensError, lambda m: lens.fit(m, TEXTS, kind=None)),
    "kinds of fit": (LensError, lambda m: lens.fit(m, TEXTS, kind=[["mat"]])),
    "pairs 5": (LensError, lambda m: lens.fit(m, TEXTS, pairs=5)),
    "pairs [5]": (LensError, lambda m: lens.fit(m, TEXTS, pairs=[5])),
    "pairs of nan": (LensError, lambda m: lens.fit(m, TEXTS, pairs=[(0, NAN)])),
    "pairs of halves": (LensError, lambda m: lens.fit(m, TEXTS, pairs=[(0.5, 1.5)])),
    "ridge None": (LensError, lambda m: lens.fit(m, TEXTS, kind="ridge", ridge=None)),
    "memory of fit": (LensError, lambda m: lens.fit(m, TEXTS, memory="1")),
    "memory nan": (LensError, lambda m: fit_budget(m, memory=NAN)),
    "kinds 0": (LensError, lambda m: fit_budget(m, kinds=0)),
    "holdout None": (TextError, lambda m: lens.fit(m, TEXTS, holdout=None)),
    "seed that no card holds": (LensError, lambda m: lens.fit(m, TEXTS, seed=-1)),
    "large seed": (LensError, lambda m: lens.fit(m, TEXTS, seed=2**60)),
    "corpus that no card holds": (LensError, lambda m: lens.fit(m, TEXTS, corpus=5)),
    "held-out corpus": (LensError, lambda m: lens.fit(m, TEXTS, heldout_corpus="\ud800")),
    "maps 5": (MapsError, lambda m: lens.read(m, TEXT, maps=5)),
    "maps by name": (MapsError, lambda m: lens.maps_for(m, "demo")),
    "seed of generate": (LensError, lambda m: lens.generate(m, TEXT, seed=1.5)),
    "large seed of generate": (LensError, lambda m: lens.generate(m, TEXT, seed=2**70)),
    "hot": (LensError, lambda m: lens.generate(m, TEXT, temperature=10**400)),
    "batched 'x'": (LensError, lambda m: lens.run(m, TEXT, "[3-4]", batched="x")),
    "a model's name": (ModelError, lambda _: lens.read("demo", TEXT)),
    "no model": (ModelError, lambda _: lens.curves(None, TEXTS)),
    "a part that there is not": (ModelError, lambda m: m.record(m.encode(TEXT), parts=["nope"])),
    "spans": (ModelError, lambda m: m.spans("nope")),
    "device 5": (ModelError, lambda _: lens.load("demo", device=5)),
    "device cpu:x": (ModelError, lambda _: lens.load("demo", device="cpu:x")),
    "n_blocks '3'": (PlanError, lambda _: Plan.parse("0", "3")),
    "full None": (PlanError, lambda _: Plan.full(None)),
    "a jump without its map": (MapsError, lambda m: lens.as_model(m, "mat(0>5) 5-11", maps=final(m))),
    "a part without its map": (MapsError, lambda m: lens.as_model(m, "0-11~attn", maps=final(m))),
    "a cast that was not fitted": (MapsError, lambda m: lens.as_model(m, "tuned(0>12)")),
    "a port of letters": (EngineError, lambda _: lens.load("demo", engine="http://localhost:abc")),
    "half an address": (EngineError, lambda _: lens.load("demo", engine="http://[::1")),
    "too long a name": (EngineError, lambda _: lens.load("demo", engine=f"http://{'a' * 300}")),
    "shard 1.5": (LensError, lambda _: Workers(shard=1.5)),
    "shard 'x'": (LensError, lambda _: Workers(shard="x")),
    "cpus nan": (LensError, lambda _: Workers(cpus=NAN)),
    "gpus 'x'": (LensError, lambda _: Workers(gpus="x")),
    "explore 5": (LensError, lambda _: lens.explore(5)),
    "state 5": (LensError, lambda _: lens.explore(state=5)),
    "json 5": (PlanError, lambda _: Plan.from_json(5)),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_in_words(demo: Any, case: str) -> None:
    kind, ask = CASES[case]
    with pytest.raises(kind):
        ask(demo)


def test_what_numpy_counts_is_counted(demo: Any) -> None:
    maps = lens.fit(demo, TEXTS, kind="lowrank", rank=np.int64(2), pairs=np.array([[0, 12]]), seed=np.int64(3))
    assert (maps.card.options, maps.card.seed, maps.pairs["lowrank"]) == ({"rank": 2}, 3, {(0, 12)})
    assert lens.generate(demo, TEXT, temperature=1.0, seed=np.int64(3), max_new_tokens=2) == lens.generate(
        demo, TEXT, temperature=1.0, seed=3, max_new_tokens=2
    )


def test_next_to_no_temperature_is_the_likeliest(demo: Any) -> None:
    cold, none = (lens.generate(demo, TEXT, temperature=t, max_new_tokens=4) for t in (1e-320, 0))
    assert cold.ids == none.ids


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, "float16"], ids=str)
def test_maps_are_stored_as_fractions_only(demo: Any, tmp_path: Path, dtype: Any) -> None:
    maps = lens.fit(demo, TEXTS, pairs=[(0, 12)])
    with pytest.raises(MapsError, match="Maps are not stored as"):
        maps.save(tmp_path / "maps", dtype)
    assert not (tmp_path / "maps").exists()


def test_a_model_may_be_named() -> None:
    """A model on an engine is found wherever in the call it stands."""
    asked = []

    class Remote:
        def ask(self, call: Any, arguments: Any) -> Any:
            asked.append((call.name, dict(arguments)))

    class Elsewhere:
        remote = Remote()

    lens.read(text=TEXT, model=Elsewhere())  # type: ignore[arg-type]
    assert asked == [("read", {"text": TEXT})]
