"""Linear maps between boundaries, fitted on text."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from typing import Literal

import torch

from lens._version import __version__
from lens.casts import Card, Cast, Maps, cast_named
from lens.errors import LensError, TextError
from lens.models import Model, Tokens
from lens.numerics import Moments, r2_of_map

__all__ = ["FitProgress", "affordable_pairs", "fit"]

Pairs = Literal["all", "final"] | Sequence[tuple[int, int]]

BATCH = 2048  # tokens in one forward; activations and logits of a batch are alive at once
BUFFER = 256  # texts that are sorted by length together, so that little of a batch is padding
MAX_MOMENTS = 4 * 2**30  # bytes; fits that need more are refused before they start


@dataclass(frozen=True)
class FitProgress:
    """How far a fit has come; handed to its `progress` after each batch."""

    stage: str  # "fit" or "score"
    sentences: int  # done in this stage
    total: int  # in this stage
    tokens: int  # vectors added in this stage


def fit(
    model: Model,
    texts: Sequence[str],
    *,
    kind: str = "mat",
    pairs: Pairs = "all",
    positions: Literal["one", "all"] = "one",
    holdout: float | Sequence[str] = 0.1,
    seed: int = 0,
    corpus: str = "unnamed",
    progress: Callable[[FitProgress], None] | None = None,
) -> Maps:
    """Fit maps of `kind` between boundaries of `model` on `texts`, one sentence each, and score them on held-out text.

    `pairs` are all (source, target) with source < target, those to the last boundary ("final"), or a list.
    `positions="one"` uses one random token of each sentence ("Jump to Conclusions", section 3.1), "all" every token
    of the same forward. For a masked model one random token of each sentence is replaced by the mask; "one" uses
    that one. `holdout` is the share of the texts kept for scoring, or texts of their own. The card holds the held-out
    r² of each pair, for this kind and for `id`: per coordinate, unclipped, uniform mean over those that vary.
    Nothing grows with the text but the text itself. `progress` may raise to stop. Raises TextError, LensError.
    """
    cast = _fittable(kind)
    if positions not in ("one", "all"):
        raise LensError(f'positions is {positions!r}: give "one" random token a sentence, or "all" of them.')
    wanted = _pairs(pairs, model.n_blocks)
    _check_memory(wanted, model.width)
    texts, heldout = _split(texts, holdout, seed)
    report = progress or (lambda _: None)
    train = _moments(model, texts, wanted, positions, seed, "fit", report)
    held = _moments(model, heldout, wanted, positions, seed + 1, "score", report)
    tensors, r2 = _solve(cast, train, held, wanted)
    card = Card(
        model=model.name,
        revision=model.revision,
        fingerprint=model.fingerprint,
        n_blocks=model.n_blocks,
        width=model.width,
        corpus=corpus,
        corpus_sha256=hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest(),
        positions=positions,
        sentences=len(texts),
        tokens=train.count,
        heldout_sentences=len(heldout),
        heldout_tokens=held.count,
        seed=seed,
        version=__version__,
        r2=r2,
    )
    return Maps(card, tensors)


def _fittable(kind: str) -> Cast:
    cast = cast_named(kind)
    if cast.solve is None:
        raise LensError(f"The cast {kind!r} needs no fitting: use it as it is.")
    return cast


def _pairs(pairs: Pairs, n_blocks: int) -> list[tuple[int, int]]:
    if pairs == "all":
        return list(combinations(range(n_blocks + 1), 2))
    if pairs == "final":
        return [(source, n_blocks) for source in range(n_blocks)]
    if not pairs or any(isinstance(pair, str) for pair in pairs):
        raise LensError(f'pairs is {pairs!r}: give "all", "final", or a list of (source, target).')
    chosen = [(int(source), int(target)) for source, target in pairs]
    for source, target in chosen:
        if not 0 <= source < target <= n_blocks:
            raise LensError(
                f"No map goes from layer {source} to layer {target}: choose 0 ≤ source < target ≤ {n_blocks}."
            )
    return chosen


def affordable_pairs(model: Model) -> Literal["all", "final"]:
    """All pairs of layers, or only those to the last, where the moments of all would take too much memory."""
    return "all" if _memory(_pairs("all", model.n_blocks), model.width) <= MAX_MOMENTS else "final"


def _memory(pairs: Sequence[tuple[int, int]], width: int) -> int:
    """Bytes at the most: moments of the text and of the held-out text, and the maps."""
    boundaries = {boundary for pair in pairs for boundary in pair}
    return int(2.5 * (len(pairs) + len(boundaries)) * width**2 * 8)


def _check_memory(pairs: Sequence[tuple[int, int]], width: int) -> None:
    needed = _memory(pairs, width)
    if needed > MAX_MOMENTS:
        raise LensError(
            f"A fit of {len(pairs)} pairs needs {needed / 1e9:.1f} GB; it may use {MAX_MOMENTS / 1e9:.1f} GB. "
            'Fit fewer pairs: pairs="final", or a list.'
        )


def _split(texts: Sequence[str], holdout: float | Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    if isinstance(texts, str) or isinstance(holdout, str):
        raise TextError("Texts are a list of sentences, one string each; a single string was given.")
    texts = [text for text in texts if text.strip()]
    if not isinstance(holdout, (int, float)):
        heldout = [text for text in holdout if text.strip()]
    else:
        if not 0 < holdout < 1:
            raise LensError(f"holdout is {holdout}: give a share between 0 and 1, or the held-out texts themselves.")
        texts = random.Random(seed).sample(texts, len(texts))  # noqa: S311 - a shuffle, not a secret
        cut = max(1, round(len(texts) * holdout))
        texts, heldout = texts[cut:], texts[:cut]
    if not texts or not heldout:
        raise TextError("There is too little text to fit on: give at least two sentences, one string each.")
    return texts, heldout


def _moments(
    model: Model,
    texts: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    positions: str,
    seed: int,
    stage: str,
    report: Callable[[FitProgress], None],
) -> Moments:
    chance = random.Random(seed)  # noqa: S311 - the paper's random position, repeatable
    moments = Moments(pairs, model.width)
    done = 0
    for batch in _batches(model, texts):
        chosen = [chance.choice(_text_positions(tokens)) for tokens in batch]
        if model.kind == "masked":
            batch = [_masked(model, tokens, place) for tokens, place in zip(batch, chosen, strict=True)]
        recording = model.record(batch)
        keep = recording.attention_mask.bool()
        if positions == "one":
            keep = torch.zeros_like(keep).scatter_(1, torch.tensor(chosen, device=keep.device)[:, None], value=True)
        moments.update({boundary: recording.streams[boundary][keep] for boundary in moments.boundaries})
        done += len(batch)
        report(FitProgress(stage, done, len(texts), moments.count))
    return moments


def _text_positions(tokens: Tokens) -> list[int]:
    """Where the text's own tokens stand: a person masks words, never [CLS] or [SEP]."""
    return [position for position, special in enumerate(tokens.special) if not special] or list(range(len(tokens)))


def _masked(model: Model, tokens: Tokens, place: int) -> Tokens:
    ids = (*tokens.ids[:place], model.tokenizer.mask_token_id, *tokens.ids[place + 1 :])
    return replace(tokens, ids=ids)


def _batches(model: Model, texts: Iterable[str]) -> Iterator[list[Tokens]]:
    """The texts, tokenised, in batches of alike length and at most BATCH tokens with their padding."""
    for buffer in _buffers(texts):
        batch: list[Tokens] = []
        for tokens in sorted((model.encode(text) for text in buffer), key=lambda tokens: len(tokens.ids)):
            if batch and len(tokens.ids) * (len(batch) + 1) > BATCH:
                yield batch
                batch = []
            batch.append(tokens)
        yield batch


def _buffers(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while buffer := list(islice(iterator, BUFFER)):
        yield buffer


def _solve(
    cast: Cast, train: Moments, held: Moments, pairs: Sequence[tuple[int, int]]
) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, float | None]]]:
    tensors: dict[str, torch.Tensor] = {}
    r2: dict[str, dict[str, float | None]] = {"id": {}, cast.name: {}}
    same = torch.eye(train.width, dtype=torch.float64)
    for source in sorted({source for source, _ in pairs}):
        targets = [target for start, target in pairs if start == source]
        solved = cast.solve(train, source, targets) if cast.solve else {}
        for target, fitted in solved.items():
            tensors |= {f"{cast.name}.{source}.{target}.{name}": tensor.float() for name, tensor in fitted.items()}
            r2[cast.name][f"{source}>{target}"] = _mean(r2_of_map(held, source, target, fitted["matrix"]))
            r2["id"][f"{source}>{target}"] = _mean(r2_of_map(held, source, target, same))
    return tensors, r2


def _mean(values: torch.Tensor) -> float | None:
    """Uniform mean over the coordinates that vary; None if none does."""
    mean = float(values.nanmean())
    return None if mean != mean else mean
