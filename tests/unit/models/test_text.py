"""From text to tokens, on three kinds of tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lens.models
from lens.errors import ModelError, TextError
from lens.models import Model, Tokens
from lens.models._labels import labeller
from lens.models._text import tokenize

TOKENIZERS = ["byte_level", "word_pieces", "sentence_pieces"]


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def encode(tokenizer: Any, text: str, limit: int | None = None) -> Tokens:
    return tokenize(tokenizer, text, labeller(tokenizer, "a model"), tokenizer.mask_token, limit)


def test_ids_are_the_tokenizers_own(tokenizer: Any) -> None:
    text = "The old man sat by the sea, and didn't move."
    tokens = encode(tokenizer, text)
    assert list(tokens.ids) == tokenizer(text)["input_ids"]
    assert tokens.total == len(tokens) == len(tokens.ids)
    assert not tokens.cut


def test_spans_say_where_a_token_stands(word_pieces: Any) -> None:
    tokens = encode(word_pieces, "The  old man")
    assert tokens.labels[0] == "[CLS]"
    assert tokens.spans[0] == tokens.spans[-1] == (0, 0)
    assert [tokens.text[a:b] for a, b in tokens.spans[1:-1]] == ["The", "old", "man"]
    assert tokens.special == (True, False, False, False, True)


def test_tokens_know_their_word(tokenizer: Any) -> None:
    tokens = encode(tokenizer, "nobody didn't wait, unbelievably")
    spans: dict[int, list[int]] = {}
    for span, word in zip(tokens.spans, tokens.words, strict=True):
        if word is not None:
            spans.setdefault(word, []).extend(span)
    words = [tokens.text[min(ends) : max(ends)].strip() for ends in spans.values()]
    assert words == ["nobody", "didn't", "wait", ",", "unbelievably"]


def test_a_long_text_is_cut_and_says_so(byte_level: Any) -> None:
    whole = encode(byte_level, "one two three four five six seven")
    cut = encode(byte_level, "one two three four five six seven", 5)
    assert cut.cut
    assert cut.ids == whole.ids[:5]
    assert cut.total == len(whole)


def test_cutting_keeps_the_closing_token(word_pieces: Any) -> None:
    whole = encode(word_pieces, "The old man sat by the fire")
    cut = encode(word_pieces, "The old man sat by the fire", 5)
    assert cut.ids == (*whole.ids[:4], whole.ids[-1])
    assert (cut.labels[-1], cut.total) == ("[SEP]", len(whole))


@pytest.mark.parametrize("limit", [1, 0, -3])
def test_a_limit_without_room_is_refused(word_pieces: Any, limit: int) -> None:
    with pytest.raises(TextError, match="leaves no room for text; allow at least 2"):
        encode(word_pieces, "The old man", limit)


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_text_is_refused(tokenizer: Any, text: str) -> None:
    with pytest.raises(TextError, match=r"There is no text yet\. Type a sentence\."):
        encode(tokenizer, text)


@pytest.mark.parametrize("text", [None, 7, b"bytes", ["a", "list"]])
def test_what_is_no_text_is_refused(tokenizer: Any, text: Any) -> None:
    with pytest.raises(TextError, match=f"A text is needed, not {type(text).__name__}"):
        encode(tokenizer, text)


def test_a_text_without_tokens_is_refused(word_pieces: Any) -> None:
    with pytest.raises(TextError, match="finds nothing to read"):
        encode(word_pieces, "\0\0")


@pytest.mark.parametrize("mask", ["[MASK]", "<mask>"])
def test_a_mask_may_be_typed_by_either_name(sentence_pieces: Any, mask: str) -> None:
    tokens = encode(sentence_pieces, f"The {mask} sat by the {mask}.")
    assert [tokens.ids[place] for place in tokens.masks] == [sentence_pieces.mask_token_id] * 2
    assert tokens.text == "The <mask> sat by the <mask>."
    assert len({tokens.words[place] for place in tokens.masks}) == 2


def test_a_mask_alone_is_a_text(word_pieces: Any) -> None:
    tokens = encode(word_pieces, "[MASK]")
    assert tokens.masks == (1,)
    assert tokens.words == (None, 0, None)


def test_a_causal_model_has_no_mask(byte_level: Any, sentence_pieces: Any) -> None:
    assert encode(byte_level, "The [MASK] sat.").masks == ()
    assert tokenize(sentence_pieces, "The <mask> sat.", str, None).masks == ()


@given(st.text(alphabet=st.characters(), min_size=1, max_size=40))
def test_no_text_crashes(word_pieces: Any, byte_level: Any, sentence_pieces: Any, text: str) -> None:
    """Lone surrogates, NULs and controls among them."""
    for tokenizer in (word_pieces, byte_level, sentence_pieces):
        try:
            tokens = encode(tokenizer, text)
        except TextError:
            assert not text.strip() or tokenizer is word_pieces
            continue
        columns = (tokens.ids, tokens.labels, tokens.spans, tokens.special, tokens.words)
        assert {len(column) for column in columns} == {tokens.total}
        assert all(0 <= start <= end <= len(tokens.text) for start, end in tokens.spans)
        tokens.text.encode()  # whatever came in, this is text


@pytest.mark.parametrize("text", ["\ud800 alone", "half \udc00", "a\0b", "\u202etrel", "👩‍🚀"])
def test_odd_texts_are_read(tokenizer: Any, text: str) -> None:
    assert len(encode(tokenizer, text)) > 0


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="Slow cannot say where in the text a token stands"):
        tokenize(Slow(), "text", str)


def test_a_model_cuts_at_its_context(build: Callable[..., Any], word_pieces: Any) -> None:
    model = with_tokenizer("bert", build, word_pieces)
    tokens = model.encode("sea " * 200)
    assert len(tokens) == model.context == 64
    assert tokens.total == 202
    assert len(model.encode("sea " * 200, limit=7)) == 7
    assert model.record(tokens).logits.shape == (1, 64, model.vocab_size)


def test_a_models_mask(build: Callable[..., Any], word_pieces: Any, byte_level: Any) -> None:
    assert with_tokenizer("bert", build, word_pieces).mask_token == "[MASK]"
    assert with_tokenizer("gpt2", build, byte_level).mask_token is None


def test_the_tokenizer_of_another_model_is_noticed(build: Callable[..., Any], byte_level: Any) -> None:
    model = lens.models.load(build("gpt2"), tokenizer=byte_level)
    with pytest.raises(ModelError, match="its tokenizer is another model's"):
        model.hf  # noqa: B018


def test_a_model_without_a_tokenizer_says_so(tiny: Callable[..., Model]) -> None:
    with pytest.raises(ModelError, match="was given without a tokenizer"):
        tiny("gpt2").encode("The old man")


def test_tokens_that_do_not_fit_are_refused(tiny: Callable[..., Model]) -> None:
    long = Tokens("", tuple([5] * 65), (), (), (), (), 65)
    with pytest.raises(TextError, match="65 tokens, but this model reads at most 64"):
        tiny("gpt2").record(long)
    for nothing in ([], [Tokens("", (), (), (), (), (), 0)]):
        with pytest.raises(TextError, match="no tokens to read"):
            tiny("gpt2").record(nothing)


def with_tokenizer(case: str, build: Callable[..., Any], tokenizer: Any) -> Model:
    """A tiny model with as many rows as the tokenizer has tokens."""
    hf = build(case)
    torch.manual_seed(0)
    hf.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return lens.models.load(hf, tokenizer=tokenizer)
