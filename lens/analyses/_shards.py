"""A text in shards, each read by a worker somewhere; what they found is put together in the order of the text."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from lens.analyses._texts import Progress, Report
from lens.models import Model

__all__ = ["Shard", "Workers", "gathered_by"]


@dataclass(frozen=True)
class Shard:
    """Some of the texts, as they come one after the other."""

    number: int  # of the shard, from 1
    first: int  # the number of its first text, from 0
    texts: tuple[str, ...]


class Found(Protocol):
    """What a worker brings back: sums, of a size that does not depend on the text's."""

    @property
    def count(self) -> int:
        """Vectors that are in it."""


T = TypeVar("T", bound=Found)


class Workers(Protocol):
    """Whoever reads shards of a text elsewhere; `lens.cluster.Workers` does, by Ray."""

    shard: int  # texts of one shard

    def __enter__(self) -> object:
        """There are workers from here on."""

    def __exit__(self, *_: object) -> None:
        """They are needed no more."""

    def each(
        self, model: Model, work: Callable[[Model, Shard], T], shards: Sequence[Shard], memory: int
    ) -> Generator[T]:
        """What `work`, which needs `memory` bytes beside the model, finds for each shard, in their order.

        A worker that is lost costs only what it was at. Closing it stops what is not done. Raises LensError, naming
        the shard, where one cannot be read.
        """


def gathered_by(
    workers: Workers,
    model: Model,
    work: Callable[[Model, Shard], T],
    texts: Sequence[str],
    report: Report | None,
    start: Progress,
    skip: int = 0,
) -> Iterator[tuple[Shard, T]]:
    """Each shard of the texts and what `work` finds for it, in order, with a report before the first and after each.

    `skip` shards were done before.
    """
    begun, done, counted = time.monotonic(), start.sentences, start.tokens
    tell = report or (lambda _: None)
    tell(start)
    todo = _shards(texts, workers.shard)[skip:]
    with closing(workers.each(model, work, todo, start.memory)) as results:
        for shard, found in zip(todo, results, strict=True):
            yield shard, found
            done, counted = done + len(shard.texts), counted + found.count
            tell(replace(start, sentences=done, tokens=counted, seconds=time.monotonic() - begun))


def _shards(texts: Sequence[str], size: int) -> list[Shard]:
    return [
        Shard(number, first, tuple(texts[first : first + size]))
        for number, first in enumerate(range(0, len(texts), size), 1)
    ]
