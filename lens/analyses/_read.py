"""What every boundary predicts at every position, under every cast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import islice
from operator import index

import numpy as np
import torch
from torch import Tensor

from lens._memory import memory_in_words
from lens.analyses._at_once import at_once
from lens.analyses._chosen import chosen_casts
from lens.casts import Maps, cast_named
from lens.errors import LensError, TextError
from lens.execution import apply_cast, maps_for, onward
from lens.models import Model, Recording, Tokens
from lens.numerics import NO_TOKEN, Reading, Scores, joined, score
from lens.plans import Blocks, Plan
from lens.wire import served

__all__ = ["labels_of", "read", "read_recording"]

NOTHING = "not a number"  # in the place of a token
MAX_K = 100  # more rows than a person reads
ON_CPU = 24 * 2**20  # bytes of logits at once: few enough to be had again without new pages from the system


@served()
@memory_in_words
def read(
    model: Model,
    text: str,
    *,
    casts: Sequence[str] = ("id", "mat"),
    target: int | None = None,
    k: int = 10,
    position: int | None = None,
    maps: Maps | None = None,
) -> Reading:
    """Read `text` at each boundary: its stream cast to `target` (the last), carried on by the real blocks, unembedded.

    For every source boundary 0…target × cast × position (or only `position`, which may be negative): the top `k`
    tokens and their probabilities, entropy, KL(model ‖ prediction) and surprisal in nats, and the rank of the
    model's own top-1. A masked model needs the text to hold its mask token. `maps` are found where they exist.
    Raises TextError, MapsError or LensError, each saying what is allowed.
    """
    tokens = model.encode(text)
    casts = chosen_casts(casts)
    if model.kind == "masked" and not tokens.masks:
        _check_cut(model, tokens)
        raise TextError(
            f"{model.name} fills in masks, and this text has none. Put {model.mask_token} in the place of a word."
        )
    if any(cast_named(cast).fitted for cast in casts):
        maps = maps_for(model, maps)
    return read_recording(model.record(tokens), tokens, casts=casts, target=target, k=k, position=position, maps=maps)


@served()
@memory_in_words
def read_recording(
    recording: Recording,
    tokens: Tokens,
    *,
    casts: Sequence[str],
    target: int | None = None,
    k: int = 10,
    position: int | None = None,
    maps: Maps | None = None,
) -> Reading:
    """`read`, on a forward that has been run: another target or k costs no new one."""
    n_blocks, casts = recording.model.n_blocks, chosen_casts(casts)
    if len(recording.ids) != 1:
        raise LensError(f"A reading is of one text, and this recording holds {len(recording.ids)}: record it alone.")
    target = _within("target layer", n_blocks if target is None else target, 0, n_blocks)
    k = _within("k", k, 1, min(MAX_K, recording.model.vocab_size))
    positions = _positions(position, len(tokens.ids))
    with torch.no_grad():
        reference = recording.logits[0, _slice(positions)]
        rows = _rows(recording, casts, target, positions, maps)
        scores = _score_all(recording.model, rows, reference, k)
    return _reading(recording.model, tokens, casts, target, positions, scores)


def labels_of(model: Model, ids: Iterable[int]) -> dict[int, str]:
    """How each token that occurs is shown, and what stands where a prediction is no number."""
    return {token: NOTHING if token == NO_TOKEN else model.label(token) for token in ids}


def _check_cut(model: Model, tokens: Tokens) -> None:
    if tokens.cut and model.mask_token and model.mask_token in tokens.text:
        raise TextError(
            f"The mask stands beyond the {len(tokens):,} of {tokens.total:,} tokens that {model.name} reads. "
            "Shorten the text."
        )


def _within(name: str, value: int, low: int, high: int) -> int:
    whole = index(value) if hasattr(value, "__index__") and not isinstance(value, bool) else low - 1
    if not low <= whole <= high:
        raise LensError(f"The {name} is {value!r}; here it is a whole number from {low} to {high}.")
    return whole


def _positions(position: int | None, count: int) -> tuple[int, ...]:
    if position is None:
        return tuple(range(count))
    return (_within("position", position, -count, count - 1) % count,)


def _slice(positions: Sequence[int]) -> slice:
    """One position or all: a slice is a view, where a list is a copy, and on a GPU a wait as well."""
    return slice(positions[0], positions[-1] + 1)


def _rows(
    recording: Recording, casts: Sequence[str], target: int, positions: Sequence[int], maps: Maps | None
) -> Iterator[Tensor]:
    """For each cast and each source below the target, the stream (positions, width) at the last boundary."""
    n_blocks = recording.model.n_blocks
    onwards = Plan((Blocks(target, n_blocks - 1),)) if target < n_blocks else None
    places = _slice(positions)
    for cast in casts:
        if onwards is None:  # nothing mixes positions any more: cast only those asked for
            for source in range(target):
                yield apply_cast(cast, source, target, recording.streams[source][0, places], maps)
        elif target:
            jumped = [apply_cast(cast, source, target, recording.streams[source], maps) for source in range(target)]
            yield from (ended[0, places] for ended in onward(recording, onwards, jumped))


def _score_all(model: Model, rows: Iterator[Tensor], reference: Tensor, k: int) -> Scores:
    """(1 + casts · sources, positions, …): the model's own, then of each row, unembedded many at a time."""
    positions, vocabulary = reference.shape
    together = max(1, at_once(reference.device, ON_CPU) // (positions * vocabulary * 4))
    parts = [score(reference[None], reference, k)]
    while batch := list(islice(rows, together)):
        parts.append(score(model.unembed(torch.stack(batch)), reference, k))
    return joined(parts)


def _reading(
    model: Model, tokens: Tokens, casts: tuple[str, ...], target: int, positions: tuple[int, ...], scores: Scores
) -> Reading:
    """The scores laid out as (casts, sources, …); at the target itself every cast says what the model says."""
    places = np.array([[*range(1 + cast * target, 1 + (cast + 1) * target), 0] for cast in range(len(casts))])
    found = {field.name: getattr(scores, field.name).cpu().numpy() for field in fields(Scores)}
    return Reading(
        model=model.name,
        text=tokens.text,
        tokens=tokens.labels,
        total=tokens.total,
        casts=casts,
        sources=tuple(range(target + 1)),
        target=target,
        positions=positions,
        labels=labels_of(model, np.unique(found["token_ids"]).tolist()),
        model_token_ids=found["token_ids"][0],
        model_probabilities=found["probabilities"][0],
        model_entropy=found["entropy"][0],
        model_surprisal=found["surprisal"][0],
        **{name: values[places] for name, values in found.items()},
    )
