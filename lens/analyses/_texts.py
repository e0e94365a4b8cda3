"""Texts as batches of alike length, and which token of each counts."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lens.errors import LensError, TextError
from lens.models import Model, Tokens
from lens.wire import values

__all__ = [
    "BATCH",
    "Batch",
    "Positions",
    "Progress",
    "Report",
    "batches",
    "checked_texts",
    "numbered_texts",
    "pace",
    "stepwise",
]

Positions = Literal["one", "all"]

BATCH = 2048  # tokens in one forward; the streams of a batch are alive at once
WATCHED = 256  # tokens of a batch while somebody waits for what is known so far
BUFFER = 1024  # texts that are sorted by length together, so that little of a batch is padding


@dataclass(frozen=True)
class Progress:
    """How far long work has come; handed to `progress` before the first batch and after each."""

    stage: str  # "fit", "score", or another analysis's name
    sentences: int  # done in this stage
    total: int  # in this stage
    tokens: int  # vectors that counted in this stage
    seconds: float  # since the stage began
    step: int = 1  # of `steps` such stages
    steps: int = 1
    memory: int = 0  # bytes that the whole work needs beside the model, known before it starts; 0 where that is little
    resumed: int = 0  # of the sentences, those that an earlier run did

    @property
    def speed(self) -> float:
        """Sentences a second."""
        return (self.sentences - self.resumed) / self.seconds if self.seconds else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds that this stage may still take; None before anything is done."""
        return (self.total - self.sentences) / self.speed if self.speed else None


Report = Callable[[Progress], None]
values(Progress)


@dataclass(frozen=True)
class Batch:
    """Some of the texts, to be read in one forward, and the N vectors of it that count."""

    tokens: tuple[Tokens, ...]
    rows: Tensor  # (N,) of the batch
    positions: Tensor  # (N,) in the row
    sentences: Tensor  # (N,) index of the text
    answers: Tensor  # (N,) the token that the text has where one is predicted there, −1 where there is none

    def take(self, stream: Tensor) -> Tensor:
        """The vectors (N, …) that count, of a stream (B, T, …)."""
        return stream[self.rows.to(stream.device), self.positions.to(stream.device)]


def checked_texts(texts: Sequence[str], least: int = 1) -> list[str]:
    """The texts that hold something; TextError if there are fewer than `least`, or for what are no texts."""
    return [text for _, text in numbered_texts(texts, least)]


def numbered_texts(texts: Sequence[str], least: int = 1) -> list[tuple[int, str]]:
    """The same, each with its place in `texts`, as those that hold nothing are left out."""
    if isinstance(texts, str):
        raise TextError("Texts are a list of sentences, one string each; a single string was given.")
    given = list(texts) if isinstance(texts, Iterable) else [texts]
    if wrong := [text for text in given if not isinstance(text, str)]:
        raise TextError(f"Texts are a list of sentences, one string each; {type(wrong[0]).__name__} is no string.")
    kept = [(number, text) for number, text in enumerate(given) if text.strip()]
    if len(kept) < least:
        few = f"{least} sentences are needed, one string each" if least > 1 else "at least one sentence is needed"
        raise TextError(f"There is too little text: {few}, and {len(kept)} of those given hold anything.")
    return kept


def pace(watched: object) -> int:
    """Tokens of a batch: few where somebody watches, so that they soon see how far it is."""
    return WATCHED if watched else BATCH


def batches(
    model: Model, texts: Iterable[str], positions: Positions, seed: int, most: int = BATCH, first: int = 0
) -> Iterator[Batch]:
    """The texts in batches of at most `most` tokens with their padding, or of one text that is longer.

    "one" counts a random token of each text, any of them ("Jump to Conclusions", section 3.1): a causal model reads
    the text up to it, a masked model reads the whole with that token masked. "all" counts every token; a masked model
    then reads the text with one random word masked. The choice depends on the seed and the text's number alone, which
    counts from `first`. Small batches come in a random order, so that the time which the first of them took foretells
    the rest.
    """
    if positions not in ("one", "all"):
        raise LensError(f'positions is {positions!r}: give "one" random token a sentence, or "all" of them.')
    numbered = iter(enumerate(texts, first))
    while buffer := list(islice(numbered, BUFFER)):
        drawn = [_drawn(model, number, text, positions, seed) for number, text in buffer]
        drawn.sort(key=lambda item: len(item.tokens))
        packed = list(_packed(drawn, positions, most))
        if most < BATCH:
            random.Random(seed).shuffle(packed)  # noqa: S311 - no secret
        yield from packed


def stepwise(
    model: Model,
    texts: Sequence[str],
    positions: Positions,
    seed: int,
    report: Report | None,
    start: Progress,
    skip: int = 0,
    most: int = BATCH,
    first: int = 0,
) -> Iterator[Batch]:
    """`batches`, with a report before the first and after each; `skip` leaves out batches that were done before."""
    begun, done, counted = time.monotonic(), start.sentences, start.tokens
    tell = report or (lambda _: None)
    tell(start)
    for batch in islice(batches(model, texts, positions, seed, most, first), skip, None):
        yield batch
        done += len(batch.tokens)
        counted += len(batch.rows)
        tell(replace(start, sentences=done, tokens=counted, seconds=time.monotonic() - begun))


class _Drawn(NamedTuple):
    number: int  # of the text
    tokens: Tokens
    place: int  # the token drawn
    answers: tuple[int, ...]  # for each token what is to be predicted there, or −1


def _drawn(model: Model, number: int, text: str, positions: Positions, seed: int) -> _Drawn:
    tokens = model.encode(text)
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - the paper's random position, repeatable
    if model.kind == "causal":
        place = chance.randrange(len(tokens))
        answers = (*tokens.ids[1:], -1)
        return _Drawn(number, _upto(tokens, place) if positions == "one" else tokens, place, answers)
    place = chance.choice(range(len(tokens)) if positions == "one" else _of_words(tokens))
    ids = (*tokens.ids[:place], model.tokenizer.mask_token_id, *tokens.ids[place + 1 :])
    answers = tuple(token if at == place else -1 for at, token in enumerate(tokens.ids))
    return _Drawn(number, replace(tokens, ids=ids), place, answers)


def _upto(tokens: Tokens, place: int) -> Tokens:
    """The tokens up to the one drawn: what follows it cannot change a causal model's stream there."""
    return replace(tokens, ids=tokens.ids[: place + 1])


def _of_words(tokens: Tokens) -> list[int]:
    return [position for position, special in enumerate(tokens.special) if not special] or list(range(len(tokens)))


def _packed(drawn: Sequence[_Drawn], positions: Positions, most: int) -> Iterator[Batch]:
    batch: list[_Drawn] = []
    for item in drawn:
        if batch and len(item.tokens) * (len(batch) + 1) > most:
            yield _batch(batch, positions)
            batch = []
        batch.append(item)
    if batch:
        yield _batch(batch, positions)


def _batch(drawn: Sequence[_Drawn], positions: Positions) -> Batch:
    counted = [
        (row, position, item.number, item.answers[position])
        for row, item in enumerate(drawn)
        for position in ([item.place] if positions == "one" else range(len(item.tokens)))
    ]
    return Batch(tuple(item.tokens for item in drawn), *torch.tensor(counted).T.contiguous())
