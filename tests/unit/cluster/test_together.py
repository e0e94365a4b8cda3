"""Visitors who wait at the same moment are read in one forward, and none can tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lens.cluster._host import Host
from lens.cluster._recordings import LONGEST, TEXTS, TOKENS
from lens.models import Model, Tokens, _apart, likeness, separable
from lens.numerics import Reading
from tests.unit.cluster._asked import MARKS, at_once, forwards, marked, same, visit


@pytest.fixture(autouse=True)
def _tried(here: Model) -> None:
    """Whether it can be read so is tried before anything is counted."""
    assert separable(here, likeness(1))


@pytest.fixture
def host(here: Model) -> Host:
    return Host({"demo": here})


def alone(here: Model, text: str) -> Reading:
    one = visit(Host({"demo": here}), "alone", text)
    one.ask()
    found: Reading = one.answer
    return found


def test_each_gets_what_they_would_get_alone_and_nothing_of_the_others(here: Model, host: Host) -> None:
    visits = [visit(host, f"visitor {mark}", marked(mark)) for mark in MARKS]
    with forwards(here) as seen:
        at_once(host, visits)
    assert [texts for texts, _ in seen] == [len(MARKS)]
    for mark, each in zip(MARKS, visits, strict=True):
        same(each.answer, alone(here, marked(mark)))
        said = bytes(each.told)
        assert [other for other in MARKS if other.encode() in said] == [mark]


def test_what_is_kept_is_kept_for_whose_it_is(here: Model, host: Host) -> None:
    at_once(host, [visit(host, f"visitor {mark}", marked(mark)) for mark in MARKS])
    kept = host._recordings._kept._items
    assert [key[0] for key in kept] == [f"visitor {mark}" for mark in MARKS]
    for (visitor, model, text, count), (recording, _) in kept.items():
        (own,) = [mark for mark in MARKS if mark in f"{visitor} {text}"]
        tokens = here.encode(marked(own))
        assert (visitor, model, text, count) == (f"visitor {own}", "demo", tokens.text, len(tokens))
        assert recording.ids.tolist() == [list(tokens.ids)]
        for tensor in (*recording.streams, recording.logits):
            assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_it_is_found_again_without_another_forward(here: Model, host: Host) -> None:
    visits = [visit(host, f"visitor {mark}", marked(mark), k=k) for k in (5, 6) for mark in MARKS]
    with forwards(here) as seen:
        at_once(host, visits)
    assert [texts for texts, _ in seen] == [len(MARKS)]


def test_who_has_left_is_left_out(here: Model, host: Host) -> None:
    visits = [visit(host, mark, marked(mark)) for mark in MARKS]

    def leave() -> None:
        visits[0].asked.wanted = visits[2].asked.wanted = False

    with forwards(here) as seen:
        at_once(host, visits, leave)
    assert [texts for texts, _ in seen] == [len(MARKS) - 2]
    assert [bool(each.told) for each in visits] == [False, True, False, True, True, True]
    assert [key[0] for key in host._recordings._kept._items] == [MARKS[at] for at in (1, 3, 4, 5)]
    assert not host._recordings._waiting


@pytest.mark.parametrize("leaver", [0, 3])
def test_who_leaves_during_the_forward_takes_nobody_along(leaver: int, here: Model, host: Host) -> None:
    """Be it the one whose turn it is, or one who is taken along."""
    visits = [visit(host, mark, marked(mark), target=11) for mark in MARKS]

    def leave() -> None:
        visits[leaver].asked.wanted = False

    with forwards(here, leave) as seen:
        at_once(host, visits)
    assert seen[0][0] == len(MARKS)
    assert [bool(each.told) for each in visits] == [at != leaver for at in range(len(MARKS))]
    assert not host._recordings._waiting


def test_what_cannot_be_read_fails_alone(here: Model, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that is none, one that is cut as it is too long, and tokens that the model does not have."""
    encode = here.encode

    def encoded(text: str, **options: Any) -> Tokens:
        tokens = encode(text, **options)
        return replace(tokens, ids=(10**6, *tokens.ids[1:])) if "jqj" in text else tokens

    monkeypatch.setattr(here, "encode", encoded)
    texts = {"none": " ", "long": "word " * 2_000, **{mark: marked(mark) for mark in MARKS}}
    visits = {visitor: visit(host, visitor, text) for visitor, text in texts.items()}
    at_once(host, list(visits.values()))
    assert "There is no text yet" in visits.pop("none").answer
    assert "not in the model's vocabulary" in visits.pop("jqj").answer
    assert len(visits.pop("long").answer.tokens) == here.context
    for mark, each in visits.items():
        same(each.answer, alone(here, marked(mark)))


def test_a_forward_that_fails_is_made_up_for_one_by_one(here: Model, host: Host) -> None:
    def fail(_module: Any, args: Any) -> None:
        if len(args[0]) > 1:
            raise RuntimeError("as where memory runs out")

    visits = [visit(host, mark, marked(mark)) for mark in MARKS]
    hook = here.anatomy.blocks[5].register_forward_pre_hook(fail)
    try:
        with forwards(here) as seen:
            at_once(host, visits)
    finally:
        hook.remove()
    assert [texts for texts, _ in seen] == [len(MARKS), *[1] * len(MARKS)]  # it is not tried again
    for mark, each in zip(MARKS, visits, strict=True):
        same(each.answer, alone(here, marked(mark)))


def test_who_asks_much_has_one_text_in_a_forward(here: Model, host: Host) -> None:
    order: list[str] = []
    visits = [visit(host, "much", f"Number {number} of many") for number in range(6)]
    visits += [visit(host, mark, marked(mark)) for mark in MARKS[:3]]
    for each in visits:
        each.after = lambda each=each: order.append(each.asked.visitor)
    with forwards(here) as seen:
        at_once(host, visits)
    assert [texts for texts, _ in seen] == [4, 1, 1, 1, 1, 1]
    assert sorted(order[:4]) == sorted(["much", *MARKS[:3]])


def test_a_forward_is_bounded_and_of_texts_of_like_length(here: Model, host: Host) -> None:
    lengths = [3, 12, 240, 25, 130, 40, 60, 200, 100] * 3 + [2] * 24
    visits = [visit(host, f"{number}", " a" * length) for number, length in enumerate(lengths)]
    assert separable(here, likeness(LONGEST))
    with forwards(here) as seen:
        at_once(host, visits)
    assert sum(texts for texts, _ in seen) == len(visits)  # each once
    several = [(texts, tokens) for texts, tokens in seen if texts > 1]
    assert all(texts <= TEXTS and texts * tokens <= TOKENS and tokens <= LONGEST for texts, tokens in several)
    assert max(texts for texts, _ in several) == TEXTS
    assert any(tokens > 32 for _, tokens in several)
    assert len(seen) < len(visits) / 2
    for each, length in zip(visits, lengths, strict=True):
        assert len(each.answer.tokens) == len(here.encode(" a" * length))


def test_a_model_that_cannot_be_read_so_is_read_one_by_one(
    here: Model, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_apart._tried, here, {likeness(1): False})
    with forwards(here) as seen:
        at_once(host, [visit(host, mark, marked(mark)) for mark in MARKS])
    assert [texts for texts, _ in seen] == [1] * len(MARKS)


def test_two_models_are_not_read_together(here: Model) -> None:
    import lens

    host = Host({"demo": here, "demo-bert": lens.load("demo-bert")})
    visits = [visit(host, mark, marked(mark)) for mark in MARKS[:3]]
    visits += [visit(host, f"{mark}, too", f"The {mark} [MASK].", "demo-bert") for mark in MARKS[3:]]
    with forwards(here) as seen:
        at_once(host, visits)
    assert [texts for texts, _ in seen] == [3]
    for mark, each in zip(MARKS, visits, strict=True):
        assert [other for other in MARKS if other.encode() in bytes(each.told)] == [mark]
