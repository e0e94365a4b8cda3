"""The vectors of texts at boundaries, and at the ends of parts of blocks, in chunks that are worth a product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lens.analyses._texts import Batch, Positions, Progress, Report, stepwise
from lens.errors import LensError
from lens.models import Model
from lens.numerics import Pair, Site

__all__ = ["Vectors", "gathered", "part_pairs"]

ROWS = 1024  # vectors that are multiplied together: fewer would spend the time on reading and writing the sums


@dataclass(frozen=True)
class Vectors:
    """Joint vectors of N tokens; a chunk ends where a batch ends, and no sentence is in two chunks."""

    at: dict[Site, Tensor]  # (N, width) float64, where such sums are made
    sentences: Tensor  # (N,) index of the text
    positions: Tensor  # (N,) in the sentence
    batches: int  # read so far, this chunk's among them
    texts: int  # read so far
    tokens: int  # vectors so far


def part_pairs(model: Model, parts: Sequence[str]) -> dict[tuple[str, int, int], Pair]:
    """For each (part, block, span) the names of the sites that its map goes from and to; ModelError if it has none."""
    return {
        (part, block, number): (f"~{part}.{block}.{number}.in", f"~{part}.{block}.{number}.out")
        for part in parts
        for block, spans in enumerate(model.spans(part))
        for number in range(len(spans))
    }


def gathered(
    model: Model,
    texts: Sequence[str],
    sites: Sequence[Site],
    *,
    parts: Sequence[str] = (),
    positions: Positions,
    seed: int,
    report: Report | None,
    start: Progress,
    skip: int = 0,
    first: int = 0,
) -> Iterator[Vectors]:
    """Read the texts in forwards without a head and yield what counts of them; `skip` batches were done before.

    `first` is the number of the first text, where these are some of many.

    Raises LensError, naming layer and text, where a value is not a finite number.
    """
    ends = part_pairs(model, parts)
    pending: list[tuple[Batch, dict[Site, Tensor]]] = []
    done, read, counted = skip, start.sentences, start.tokens

    def chunk() -> Vectors:
        batches = [batch for batch, _ in pending]
        at = {site: torch.cat([found[site] for _, found in pending]).double() for site in sites}
        sentences, positions = (torch.cat([getattr(b, name) for b in batches]) for name in ("sentences", "positions"))
        pending.clear()
        return Vectors(at, sentences, positions, done, read, counted)

    for batch in stepwise(model, texts, positions, seed, report, start, skip, first=first):
        pending.append((batch, _found(model, batch, sites, parts, ends, texts, first)))
        done, read, counted = done + 1, read + len(batch.tokens), counted + len(batch.rows)
        if sum(len(batch.rows) for batch, _ in pending) >= ROWS:
            yield chunk()
    if pending:
        yield chunk()


def _found(
    model: Model,
    batch: Batch,
    sites: Sequence[Site],
    parts: Sequence[str],
    ends: dict[tuple[str, int, int], Pair],
    texts: Sequence[str],
    first: int,
) -> dict[Site, Tensor]:
    recording = model.record(batch.tokens, head=False, parts=parts)
    streams: dict[Site, Tensor] = dict(enumerate(recording.streams))
    shape = recording.streams[0].shape
    for place, (entered, left) in recording.parts.items():
        for site, stream in zip(ends[place], (entered, left), strict=True):
            streams[site] = stream.reshape(shape)
    found = {site: batch.take(streams[site]).to(model.float64_device) for site in sites}
    for site, vectors in found.items():
        if not vectors.isfinite().all():
            _refuse(site, batch, vectors, texts, first)
    return found


def _refuse(site: Site, batch: Batch, vectors: Tensor, texts: Sequence[str], first: int) -> None:
    number = int(batch.sentences[~vectors.isfinite().all(1).cpu()][0])
    where = f"Layer {site}" if isinstance(site, int) else f"The part {site.rpartition('.')[0]}"
    raise LensError(
        f"{where} holds values that are not finite numbers on text {number + 1:,} ({texts[number - first][:60]!r}). "
        'Leave that text out, or load the model in higher precision: lens.load(name, dtype="float32").'
    )
