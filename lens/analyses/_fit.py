"""Linear maps between boundaries, and across parts of blocks, fitted on text."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from operator import index
from typing import Any, Literal, SupportsIndex

import torch
from torch import Tensor

from lens._memory import memory_in_words
from lens._version import __version__
from lens.analyses._budget import Budget, budget, place_for
from lens.analyses._checkpoint import Checkpoint
from lens.analyses._chosen import whole_number
from lens.analyses._r2 import Scores, card_scores
from lens.analyses._shards import Workers, gathered_by
from lens.analyses._sums import Scoring, Summing
from lens.analyses._texts import Positions, Progress, Report, checked_texts
from lens.analyses._vectors import part_pairs
from lens.casts import Card, Cast, Maps, card_text, cast_named, casts
from lens.errors import LensError, TextError
from lens.models import Model
from lens.numerics import Moments, Pair, Residuals, Site, least_squares
from lens.plans import PARTS
from lens.wire import served

__all__ = ["Pairs", "fit", "fit_budget", "split"]

CPU = torch.device("cpu")
Pairs = Literal["all", "final"] | Sequence[tuple[int, int]]


@dataclass(frozen=True)
class _Request:
    """What is to be fitted, checked."""

    model: Model
    kinds: tuple[Cast, ...]
    pairs: tuple[tuple[int, int], ...]
    parts: tuple[str, ...]
    positions: Positions
    options: dict[str, float | int]
    seed: int
    texts: Sequence[str]
    heldout: Sequence[str]
    workers: Workers | None

    @cached_property
    def part_pairs(self) -> dict[tuple[str, int, int], Pair]:
        """Where each part's maps go from and to."""
        return part_pairs(self.model, self.parts)

    @property
    def wanted(self) -> tuple[Pair, ...]:
        """Every map's source and target."""
        return (*self.pairs, *self.part_pairs.values())

    @cached_property
    def job(self) -> str:
        """What tells this fit from any other."""
        kinds, texts = [cast.name for cast in self.kinds], [digest(self.texts), digest(self.heldout)]
        what: tuple[Any, ...] = (kinds, self.pairs, self.parts, self.positions, self.options, self.seed)
        facts = [self.model.fingerprint, *what, *texts, __version__]
        facts += [] if self.workers is None else [self.workers.shard]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@served(stays=("memory", "checkpoint", "workers"))
@memory_in_words
def fit(
    model: Model,
    texts: Sequence[str],
    *,
    kind: str | Sequence[str] = "mat",
    pairs: Pairs = "all",
    parts: Sequence[str] = (),
    positions: Positions = "one",
    ridge: float = 0.0,
    rank: int | None = None,
    holdout: float | Sequence[str] = 0.1,
    memory: int | None = None,
    seed: int = 0,
    corpus: str = "unnamed",
    heldout_corpus: str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    workers: Workers | None = None,
    progress: Report | None = None,
) -> Maps:
    """Fit maps between boundaries of `model` on `texts`, one sentence each, and score them on held-out text.

    - `kind`: "mat" (least squares, no intercept, the paper's), "affine", "ridge" (with `ridge` > 0, as scikit-learn's
      alpha), "lowrank" (of `rank`), or several of them in one go.
    - `pairs`: all (source, target) with source < target, those to the last boundary ("final"), or a list.
    - `parts`: "attn", "ffn", "ln": also a map for that part of each block, from what enters it to what leaves it.
    - `positions`: "one" random token a sentence ("Jump to Conclusions", section 3.1; a masked model has it masked), or
      "all" tokens of the same forward (a masked model has one random word masked).
    - `holdout`: the share of the texts kept for scoring, or texts of their own.
    - `memory`: bytes that it may take, by default half of what is free. What it needs is in the first report; where not
      all pairs fit, they are fitted in several passes over the text. It does not grow with the text.
    - `checkpoint`: a folder in which the work is kept while it goes on; the same call goes on from there and gives the
      same maps. Delete it once the maps are saved.
    - `workers`: who reads the text, in shards, instead of this process: `lens.cluster.Workers(…)`. The maps are the
      same to rounding. `memory` is then what each of them may take, and this process too.
    - `progress` hears a `Progress` before the first batch and after each, and may raise to stop.

    The card holds the held-out r² of each pair for each kind and for `id`, with standard errors over sentences, and how
    well each source's vectors determined its maps. Raises TextError, LensError, and ModelError for absent parts.
    """
    _require_card(corpus, heldout_corpus)
    request = _request(model, texts, kind, pairs, parts, positions, ridge, rank, holdout, seed, workers)
    kept = Checkpoint(checkpoint, request.job)
    plan = _passes(request, memory, kept)
    with workers or nullcontext():
        done = [_pass(request, plan, number, kept, progress) for number in range(len(plan.passes))]
    tensors = {name: tensor for part in done for name, tensor in part.tensors.items()}
    return Maps(_card(request, done, corpus, heldout_corpus), tensors)


@served(stays=("memory",), quick=True)
def fit_budget(
    model: Model, *, pairs: Pairs = "all", parts: Sequence[str] = (), kinds: int = 1, memory: int | None = None
) -> Budget:
    """The passes and the memory that such a fit takes; LensError where it cannot be had."""
    wanted = (*_pairs(pairs, model.n_blocks), *part_pairs(model, _parts(parts)).values())
    return _budget(model, wanted, whole_number("kinds", kinds, 1), memory)


def _budget(model: Model, wanted: Sequence[Pair], kinds: int, memory: int | None) -> Budget:
    """Beside the model on its GPU, or, where not one pair at a time has room there, in the machine's memory."""
    if model.float64_device != CPU:
        with suppress(LensError):
            return budget(wanted, model.width, kinds, memory, model.float64_device)
    return budget(wanted, model.width, kinds, memory, CPU)


def digest(texts: Iterable[str]) -> str:
    """Hex sha256 of the texts, one a line."""
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode("utf-8", "surrogatepass") + b"\n")
    return total.hexdigest()


def _request(
    model: Model,
    texts: Sequence[str],
    kind: str | Sequence[str],
    pairs: Pairs,
    parts: Sequence[str],
    positions: Positions,
    ridge: float,
    rank: int | None,
    holdout: float | Sequence[str],
    seed: int,
    workers: Workers | None,
) -> _Request:
    names = [kind] if isinstance(kind, str) else list(kind) if isinstance(kind, Iterable) else []
    if not names:
        raise LensError(f"kind is {kind!r}: give one or more of {', '.join(_fittable_names())}.")
    kinds, seed = tuple(dict.fromkeys(map(_fittable, names))), whole_number("seed", seed, 0)
    options = _options(kinds, ridge, rank, model.width)
    train, heldout = split(texts, holdout, seed)
    chosen = _pairs(pairs, model.n_blocks)
    return _Request(model, kinds, chosen, _parts(parts), positions, options, seed, train, heldout, workers)


def _require_card(*corpora: str | None) -> None:
    """LensError, before the work, for words that no card can hold."""
    for said in corpora:
        if said is not None and not card_text(said):
            raise LensError(
                f"The corpus is {said!r:.60}: say in a short text what was read, as the maps' card holds it."
            )


def _fittable_names() -> list[str]:
    return [name for name, cast in casts().items() if cast.solve]


def _fittable(kind: str) -> Cast:
    cast = cast_named(kind)
    if cast.solve is None:
        raise LensError(f"The cast {kind!r} needs no fitting here; kinds are {', '.join(_fittable_names())}.")
    return cast


def _options(kinds: Sequence[Cast], ridge: float, rank: int | None, width: int) -> dict[str, float | int]:
    """Those that the kinds need; an option that none of them reads is a mistake, as is one that is missing."""
    needed = {name: cast.name for cast in kinds for name in cast.options}
    if "ridge" in needed and not (isinstance(ridge, (int, float)) and 0 < ridge < float("inf")):
        raise LensError(f"ridge is {ridge!r}: the kind 'ridge' needs a number above 0, as scikit-learn's alpha.")
    if "rank" in needed and not (isinstance(rank, SupportsIndex) and 1 <= index(rank) <= width):
        raise LensError(f"rank is {rank!r}: the kind 'lowrank' needs a whole number from 1 to {width}.")
    given: dict[str, float | int] = {"ridge": ridge} if ridge else {}
    given |= {} if rank is None else {"rank": rank}
    for name in given.keys() - needed.keys():
        reader = "ridge" if name == "ridge" else "lowrank"
        raise LensError(f"{name}={given[name]!r} would change nothing: it belongs to kind={reader!r}.")
    return {name: value if isinstance(value, float) else index(value) for name, value in given.items()}


def _parts(parts: Sequence[str]) -> tuple[str, ...]:
    chosen = list(parts) if isinstance(parts, Iterable) and not isinstance(parts, str) else [None]
    if not all(part in PARTS for part in chosen):
        raise LensError(f"parts is {parts!r}: give a list of {', '.join(PARTS)}.")
    return tuple(dict.fromkeys(map(str, chosen)))


def _pairs(pairs: Pairs, n_blocks: int) -> tuple[tuple[int, int], ...]:
    if isinstance(pairs, str) and pairs == "all":
        return tuple(combinations(range(n_blocks + 1), 2))
    if isinstance(pairs, str) and pairs == "final":
        return tuple((source, n_blocks) for source in range(n_blocks))
    try:
        chosen = tuple(dict.fromkeys((index(source), index(target)) for source, target in pairs))
    except (TypeError, ValueError):  # no list, no pairs, no whole numbers
        chosen = ()
    if not chosen:
        raise LensError(f'pairs is {pairs!r}: give "all", "final", or a list of (source, target).')
    for source, target in chosen:
        if not 0 <= source < target <= n_blocks:
            raise LensError(
                f"No map goes from layer {source} to layer {target}: choose 0 ≤ source < target ≤ {n_blocks}."
            )
    return chosen


def split(texts: Sequence[str], holdout: float | Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Texts to fit on and texts to score on; TextError or LensError where they cannot be told apart."""
    if isinstance(holdout, str):
        raise TextError("Held-out texts are a list of sentences, one string each; a single string was given.")
    if not isinstance(holdout, (int, float)):
        return checked_texts(texts), checked_texts(holdout)
    if not 0 < holdout < 1:
        raise LensError(f"holdout is {holdout}: give a share between 0 and 1, or the held-out texts themselves.")
    texts = checked_texts(texts, least=2)
    texts = random.Random(seed).sample(texts, len(texts))  # noqa: S311 - a shuffle, not a secret
    cut = max(1, round(len(texts) * holdout))
    return texts[cut:], texts[:cut]


def _passes(request: _Request, memory: int | None, kept: Checkpoint) -> Budget:
    """The split over passes: that of the fit that is gone on with, or one that fits the memory now."""
    if (before := kept.load("passes")) is not None:
        facts = before[1]
        return Budget(tuple(tuple(map(tuple, chosen)) for chosen in facts["passes"]), facts["memory"])
    if request.workers is None:
        plan = _budget(request.model, request.wanted, len(request.kinds), memory)
    else:  # three times: those of all, of the shard just added, and of the next as it comes
        plan = budget(request.wanted, request.model.width, len(request.kinds), memory, CPU, 3)
    kept.keep("passes", {}, {"passes": plan.passes, "memory": plan.memory})
    return plan


@dataclass(frozen=True)
class _Done:
    """What one pass gave."""

    tensors: dict[str, Tensor]
    scores: Scores
    rank: dict[str, int]
    condition: dict[str, float]
    tokens: int
    heldout_tokens: int


def _pass(request: _Request, plan: Budget, number: int, kept: Checkpoint, report: Report | None) -> _Done:
    if (before := kept.load(f"pass-{number}")) is not None:
        return _Done(before[0], **before[1])
    start = Progress("fit", 0, len(request.texts), 0, 0.0, number + 1, len(plan.passes), plan.memory)
    moments = _moments(request, plan.passes[number], start, kept, report)
    tensors, rank, condition = _solved(request, moments)
    counted = moments.count
    del moments  # their room is large
    start = replace(start, stage="score", total=len(request.heldout))
    scores, tokens = _scored(request, plan.passes[number], tensors, start, report)
    fitted = {name: tensor.cpu() for name, tensor in tensors.items()}
    done = _Done(fitted, scores, rank, condition, counted, tokens)
    facts = {name: value for name, value in vars(done).items() if name != "tensors"}
    kept.keep(f"pass-{number}", fitted, facts)
    kept.forget("moments")
    return done


def _moments(
    request: _Request, pairs: Sequence[Pair], start: Progress, kept: Checkpoint, report: Report | None
) -> Moments:
    place = CPU if request.workers else place_for(request.model.float64_device, start.memory)
    moments, skip = Moments(pairs, request.model.width, place), 0
    if (before := kept.load("moments")) is not None:
        tensors, facts = before
        moments.restore(tensors)
        skip = facts["read"]
        start = replace(start, sentences=facts["texts"], tokens=facts["tokens"], resumed=facts["texts"])
    for facts in _added(request, moments, start, report, skip):
        if kept.due():
            kept.keep("moments", moments.state(), facts)
    return moments


def _added(
    request: _Request, moments: Moments, start: Progress, report: Report | None, skip: int
) -> Iterator[dict[str, int]]:
    """Add the texts to the moments; says after each step how many batches or shards, texts and vectors are in them."""
    work, model, workers = Summing(moments.pairs, request.positions, request.seed), request.model, request.workers
    if workers is None:
        for chunk in work.chunks(model, request.texts, moments, report=report, start=start, skip=skip):
            moments.update(chunk.at)
            facts = {"read": chunk.batches, "texts": chunk.texts, "tokens": chunk.tokens}
            del chunk  # before the next is gathered
            yield facts
        return
    for shard, found in gathered_by(workers, model, work, request.texts, report, start, skip):
        moments.merge(found)
        yield {"read": shard.number, "texts": shard.first + len(shard.texts), "tokens": moments.count}


def _solved(request: _Request, moments: Moments) -> tuple[dict[str, Tensor], dict[str, int], dict[str, float]]:
    """float32 tensors by name, and the rank and condition of each source layer's vectors."""
    tensors: dict[str, Tensor] = {}
    rank: dict[str, int] = {}
    condition: dict[str, float] = {}
    targets: dict[Site, list[Site]] = {}
    for source, target in moments.pairs:
        if source != target:
            targets.setdefault(source, []).append(target)
    for source, ends in targets.items():
        if isinstance(source, str):
            solution = least_squares(moments, source, ends)
            tensors[f"{source.removesuffix('.in')}.matrix"] = solution.maps[ends[0]]["matrix"].float()
            continue
        for cast in request.kinds:
            solution = _solve(cast, moments, source, ends, request.options)
            for target, fitted in solution.maps.items():
                tensors |= {f"{cast.name}.{source}.{target}.{name}": t.float() for name, t in fitted.items()}
            rank[str(source)], condition[str(source)] = solution.rank, solution.condition
    return tensors, rank, condition


def _solve(cast: Cast, moments: Moments, source: Site, targets: Sequence[Site], options: Mapping[str, Any]) -> Any:
    if cast.solve is None:
        raise LensError(f"The cast {cast.name!r} has no fit.")
    return cast.solve(moments, source, targets, **{name: options[name] for name in cast.options})


def _scored(
    request: _Request, pairs: Sequence[Pair], tensors: Mapping[str, Tensor], start: Progress, report: Report | None
) -> tuple[Scores, int]:
    kinds = tuple(cast.name for cast in request.kinds)
    work = Scoring(tuple(pairs), kinds, tensors, request.positions, request.seed + 1)
    if request.workers is None:
        residuals = work.over(request.model, request.heldout, report=report, start=start)
    else:
        residuals = Residuals(request.model.width)
        for _, found in gathered_by(request.workers, request.model, work, request.heldout, report, start):
            residuals.merge(found)
    return card_scores(residuals, work.labels), residuals.count


def _card(request: _Request, done: Sequence[_Done], corpus: str, heldout_corpus: str | None) -> Card:
    model = request.model
    scores: Scores = {}
    for part in done:
        for label, pairs in part.scores.items():
            scores.setdefault(label, {}).update(pairs)
    return Card(
        model=model.name,
        revision=model.revision,
        fingerprint=model.fingerprint,
        n_blocks=model.n_blocks,
        width=model.width,
        corpus=corpus,
        corpus_sha256=digest(request.texts),
        heldout_corpus=heldout_corpus or f"held out of {corpus}",
        positions=request.positions,
        sentences=len(request.texts),
        tokens=done[0].tokens,
        heldout_sentences=len(request.heldout),
        heldout_tokens=done[0].heldout_tokens,
        seed=request.seed,
        version=__version__,
        options=request.options,
        rank={name: value for part in done for name, value in part.rank.items()},
        condition={name: value for part in done for name, value in part.condition.items()},
        scores=scores,
    )
