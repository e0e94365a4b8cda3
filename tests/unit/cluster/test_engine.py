"""What a shared engine says to one visitor at a time is what the model says here, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

import lens
from lens.analyses import heldout_sentences
from lens.casts import Maps
from lens.cluster._host import Host
from lens.errors import LensError, MapsError, ModelError, PlanError, TextError
from lens.models import Model
from tests._questions import QUESTIONS, TEXT, TEXTS
from tests.unit.cluster._near import near


def assert_same(one: Any, other: Any) -> None:
    """Equal to the last bit, field by field."""
    assert type(one) is type(other)
    if is_dataclass(one):
        for item in fields(one):
            assert_same(getattr(one, item.name), getattr(other, item.name))
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    elif isinstance(one, float):
        assert one == other or (one != one and other != other)
    else:
        assert one == other


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_analysis_says_the_same_there_and_here(question: str, there: Model, here: Model) -> None:
    assert_same(QUESTIONS[question](there), QUESTIONS[question](here))


def test_facts_tokens_and_labels_are_the_models(there: Model, here: Model) -> None:
    assert not lens.load("demo", engine="http://127.0.0.1:9").loaded  # nothing is asked before it is needed
    for name in ("kind", "n_blocks", "width", "vocab_size", "context", "mask_token", "fingerprint", "parts", "name"):
        assert getattr(there, name) == getattr(here, name)
    assert there.encode(TEXT, limit=4) == here.encode(TEXT, limit=4)
    assert there.label(5) == here.label(5)


def test_a_masked_model_answers_too(address: str) -> None:
    text = "The old man sat by the [MASK]."
    assert_same(lens.read(lens.load("demo-bert", engine=address), text), lens.read(lens.load("demo-bert"), text))


def test_progress_and_what_is_known_so_far_come_on_the_way(there: Model, here: Model) -> None:
    heard: dict[str, list[Any]] = {"progress": [], "stream": []}
    found = lens.sweep(there, TEXTS, ["0-2 4-11"], progress=heard["progress"].append, stream=heard["stream"].append)
    assert [step.sentences for step in heard["progress"]][:: len(heard["progress"]) - 1] == [0, len(TEXTS)]
    assert_same(heard["stream"][-1], found)
    written: list[str] = []
    done = lens.generate(there, TEXT, max_new_tokens=4, stream=lambda said: written.append(said.text))
    assert written[-1] == done.text
    assert len(written) == 4
    from lens.execution import generation

    assert [each.text for each in generation(there, TEXT, max_new_tokens=4)] == written


@pytest.mark.parametrize(
    ("ask", "kind", "words"),
    [
        (lambda m: lens.read(m, " "), TextError, "There is no text yet"),
        (lambda m: lens.read(m, TEXT, target=99), LensError, "target layer is 99"),
        (lambda m: lens.compare_plan(m, TEXT, "0-99"), PlanError, "99"),
        (lambda m: lens.run(m, TEXT, "0-11"), ModelError, "its weights stay there"),
        (lambda m: lens.as_model(m, "0-11"), ModelError, "its weights stay there"),
        (lambda m: lens.sweep(m, TEXTS, ["0-11"], memory=1), LensError, "sweep takes no memory on a shared engine"),
        (lambda m: lens.orders(m, TEXTS, samples=10**9), LensError, "from 1 to 20,000"),
        (lambda m: lens.read(m, TEXT, casts=object()), LensError, "object does not travel"),
        (lambda m: lens.read(m, TEXT, k="ten"), LensError, "k of read is of another type"),
        (lambda m: lens.read(m, "word " * 2_000), TextError, "this engine reads at most 512"),
        (lambda m: lens.read(m, "word " * 20_000), LensError, "characters of text; at most 20,000"),
    ],
)
def test_what_cannot_be_said_is_said_in_the_same_words(
    ask: Callable[[Model], Any], kind: type[LensError], words: str, there: Model
) -> None:
    with pytest.raises(kind, match=words):
        ask(there)


def test_a_mistake_in_a_plan_keeps_its_place(there: Model, here: Model) -> None:
    said = []
    for model in (there, here):
        with pytest.raises(PlanError) as error:
            lens.compare_plan(model, TEXT, "0-3 mat(4>99)")
        said.append(error.value.pointed())
    assert said[0] == said[1]


def test_maps_stay_there_and_serve_whoever_fitted_them(there: Model, here: Model, address: str) -> None:
    own = lens.maps_for(there)
    assert own is not None
    assert own.card == lens.maps_for(here).card
    fitted = lens.fit(there, heldout_sentences()[:60], kind="mat", pairs="final", holdout=0.2)
    local = lens.fit(here, heldout_sentences()[:60], kind="mat", pairs="final", holdout=0.2)
    assert fitted.card == local.card
    assert_same(lens.read(there, TEXT, maps=fitted), lens.read(here, TEXT, maps=local))
    with pytest.raises(MapsError, match="lies on the shared engine and stays there"):
        fitted.save("anywhere")
    with pytest.raises(MapsError, match="lie here, and the model on a shared engine"):
        lens.read(there, TEXT, maps=local)
    with pytest.raises(MapsError, match="no longer holds those maps"):
        lens.read(lens.load("demo", engine=address), TEXT, maps=type(fitted)("guessed", fitted.card, fitted.names))


def test_a_host_gives_maps_of_its_own(here: Model, there: Model) -> None:
    local = lens.fit(here, heldout_sentences()[:60], kind="mat", pairs="final", holdout=0.2)
    with near(Host({"demo": here}, {"demo": local})) as other:
        with_maps = lens.load("demo", engine=other)
        assert_same(lens.read(with_maps, TEXT), lens.read(here, TEXT, maps=local))
        assert isinstance(lens.maps_for(with_maps), Maps)
        assert lens.maps_for(with_maps).card == local.card
