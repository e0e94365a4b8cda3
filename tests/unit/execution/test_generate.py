"""Where writing on begins and ends, against Hugging Face's own generate where that does the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tokenizers import processors
from transformers import AutoConfig, AutoModelForCausalLM

import lens
from lens.casts import Card, Maps
from lens.errors import LensError, TextError
from lens.execution import as_model, generate, generation
from lens.models import Model, load
from tests.conftest import _shaken

TEXT, CONTEXT = "The old man sat", 64


@pytest.fixture(scope="module")
def hf(byte_level: Any) -> Any:
    """A tiny GPT-2 that writes different tokens, and stops at none."""
    size = {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": CONTEXT, "vocab_size": len(byte_level)}
    torch.manual_seed(0)
    return _shaken(AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", **size, eos_token_id=None)).eval())


@pytest.fixture(scope="module")
def model(hf: Any, byte_level: Any) -> Model:
    return load(hf, tokenizer=byte_level)


def written(hf: Any, ids: Any, new: int) -> list[int]:
    given = torch.tensor([list(ids)])
    all_read = torch.ones_like(given)  # else what it pads with is masked in the text
    found = hf.generate(given, attention_mask=all_read, max_new_tokens=new, do_sample=False, pad_token_id=0)
    return list(found[0, given.shape[1] :].tolist())


def first_new(ids: list[int]) -> int:
    """A place behind the first whose token was not there before."""
    return next(place for place in range(2, len(ids)) if ids[place] not in ids[:place])


def test_thirty_two_of_the_likeliest_unless_more_is_said(hf: Any, model: Model) -> None:
    expected = written(hf, model.encode(TEXT).ids, 32)
    found = generate(model, TEXT)
    assert list(found.ids) == expected
    assert found.tokens == tuple(map(model.label, expected))
    told: list[Any] = []
    assert generate(model, TEXT, stream=told.append) == found
    assert told == list(generation(model, TEXT))
    assert told[-1] == found
    assert generate(model, TEXT, temperature=1.0) == generate(model, TEXT, temperature=1.0, seed=0)
    *_, drawn = generation(model, TEXT, temperature=1.0)
    assert drawn == generate(model, TEXT, temperature=1.0, seed=0) != generate(model, TEXT, temperature=1.0, seed=1)
    assert drawn != found


@pytest.mark.parametrize("as_list", [False, True])
def test_it_ends_where_hugging_face_ends(hf: Any, model: Model, monkeypatch: Any, as_list: bool) -> None:
    ids = model.encode(TEXT).ids
    free = written(hf, ids, 16)
    stop = free[first_new(free)]
    monkeypatch.setattr(hf.generation_config, "eos_token_id", [stop, 399] if as_list else stop)
    expected = written(hf, ids, 16)
    assert expected[-1] == stop
    found = generate(model, TEXT, max_new_tokens=16)
    assert (list(found.ids), found.ended) == (expected, "end")
    assert TEXT + found.text == model.tokenizer.decode([*ids, *expected[:-1]])


def test_it_ends_where_the_tokenizer_says_so(hf: Any, model: Model, byte_level: Any) -> None:
    """As where a model is loaded by hand, without the config of its generation."""
    free = written(hf, model.encode(TEXT).ids, 16)
    place, tokenizer = first_new(free), copy.deepcopy(byte_level)
    tokenizer.eos_token = byte_level.convert_ids_to_tokens(free[place])
    assert generate(load(hf, tokenizer=tokenizer), TEXT, max_new_tokens=16).ids == tuple(free[: place + 1])


def test_a_config_that_keeps_nothing_changes_no_token(hf: Any, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """As models are often saved that were just trained: what is written on needs the keys and values all the same."""
    expected = generate(model, TEXT, max_new_tokens=8)
    monkeypatch.setattr(hf.config, "use_cache", False)
    assert generate(model, TEXT, max_new_tokens=8) == expected


def of_length(model: Model, count: int) -> str:
    return next(text for n in range(100) if len(model.encode(text := "z " * n + "q")) == count)


@pytest.mark.parametrize("room", [1, 3])
def test_it_ends_where_the_model_reads_no_further(hf: Any, model: Model, room: int) -> None:
    text = of_length(model, CONTEXT - room)
    found = generate(model, text, max_new_tokens=9)
    assert (found.ended, list(found.ids)) == ("context", written(hf, model.encode(text).ids, room))
    assert [step.ended for step in generation(model, text, max_new_tokens=9)] == [None] * (room - 1) + ["context"]
    assert generate(model, text, max_new_tokens=room).ended == "length"


def test_a_full_context_is_refused(model: Model) -> None:
    with pytest.raises(TextError, match=r"fills all 64 tokens .* shorten it"):
        generate(model, of_length(model, CONTEXT))


@pytest.mark.parametrize("bad", [0, -1, 4097, True, 2.0, "3", None])
def test_counts_that_are_none(model: Model, bad: Any) -> None:
    with pytest.raises(LensError, match="give a whole number from 1 to 4,096"):
        next(generation(model, TEXT, max_new_tokens=bad))


@pytest.mark.parametrize("bad", [-0.1, float("inf"), float("nan"), "warm", None])
def test_temperatures_that_are_none(model: Model, bad: Any) -> None:
    with pytest.raises(LensError, match="give 0 for the likeliest token"):
        next(generation(model, TEXT, temperature=bad))


def test_the_bounds_themselves_are_allowed(model: Model) -> None:
    (only,) = generation(model, TEXT, max_new_tokens=1)
    assert (len(only.ids), only.ended) == (1, "length")
    first = next(generation(model, TEXT, max_new_tokens=4096, temperature=0))
    assert (first.ids, first.ended) == (only.ids, None)
    assert next(generation(model, TEXT, temperature=1)).ids


def test_an_end_that_the_tokenizer_adds_is_written_over(model: Model, hf: Any, byte_level: Any) -> None:
    """One writes on from the last word; an end that somebody typed stays."""
    tokenizer = copy.deepcopy(byte_level)
    end = tokenizer.eos_token
    added = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, tokenizer.eos_token_id)])
    tokenizer.backend_tokenizer.post_processor = added
    closing = load(hf, tokenizer=tokenizer)
    for text in (TEXT, f"{TEXT}{end}", "T"):
        plain = model.encode(text).ids
        assert closing.encode(text).ids == (*plain, tokenizer.eos_token_id)
        found = generate(closing, text, max_new_tokens=5)
        assert list(found.ids) == written(hf, plain, 5)


def test_maps_that_are_given_are_used(model: Model) -> None:
    words: dict[str, Any] = dict.fromkeys(("corpus", "corpus_sha256", "heldout_corpus", "version"), "")
    counts: dict[str, Any] = dict.fromkeys(("sentences", "tokens", "heldout_sentences", "heldout_tokens", "seed"), 1)
    card = Card(model.name, None, model.fingerprint, 4, 32, positions="all", **words, **counts)
    maps = Maps(card, {"mat.1.3.matrix": torch.diag(torch.linspace(-1, 1, 32))})
    plan, ids = "0 mat(1>3) 3", model.encode(TEXT).ids
    expected = written(as_model(model, plan, maps=maps), ids, 6)
    assert list(generate(model, TEXT, plan, maps=maps, max_new_tokens=6).ids) == expected
    assert expected != list(generate(model, TEXT, "0 id(1>3) 3", max_new_tokens=6).ids)


def test_of_many_masks_as_many_are_filled_as_were_asked_for() -> None:
    bert = lens.load("demo-bert")
    text = "The [MASK] man sat by the [MASK] and [MASK]."
    full, fewer = (list(generation(bert, text, max_new_tokens=most)) for most in (3, 2))
    assert [step.ended for step in full] == [None, None, "filled"]
    assert [step.ended for step in fewer] == [None, "length"]
    assert fewer[-1].ids == full[1].ids
    assert fewer[-1].text == full[1].text
    assert [step.text.count("[MASK]") for step in full] == [2, 1, 0]
    ids = list(bert.encode(text).ids)
    for place, token in zip(bert.encode(text).masks, full[-1].ids, strict=True):
        ids[place] = token
    assert full[-1].text == bert.tokenizer.decode(ids, skip_special_tokens=True)
