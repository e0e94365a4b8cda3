"""One text under a plan, beside the full model: predictions, losses, and where the streams part."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lens._memory import memory_in_words
from lens.analyses._read import labels_of
from lens.casts import Maps
from lens.errors import LensError
from lens.execution import execute, prepared
from lens.models import Model, Recording, Tokens
from lens.numerics import Compared, Reference, judge, top_k
from lens.plans import Blocks, Group, Jump, Parallel, Plan, Stage
from lens.wire import served

__all__ = ["compare_plan", "compare_recording"]


@served()
@memory_in_words
def compare_plan(model: Model, text: str, plan: str | Plan, *, maps: Maps | None = None, k: int = 10) -> Compared:
    """Run `text` under `plan` and as it is; see `Compared` for what is told of the two.

    The stream after each stage is compared with the full model's behind the same block: behind the last of the blocks
    of a parallel stage, at the target of a jump. Raises PlanError, MapsError, TextError, LensError.
    """
    tokens = model.encode(text)
    return compare_recording(model.record(tokens), tokens, plan, maps=maps, k=k)


@served()
@memory_in_words
def compare_recording(
    recording: Recording, tokens: Tokens, plan: str | Plan, *, maps: Maps | None = None, k: int = 10
) -> Compared:
    """`compare_plan`, on a forward that has been run."""
    model = recording.model
    if type(k) is not int or not 1 <= k <= min(100, model.vocab_size):
        raise LensError(f"k is {k!r}: give a whole number from 1 to {min(100, model.vocab_size)}.")
    plan, maps = prepared(model, plan, maps)
    streams = execute(recording, Plan(plan.flat), maps=maps)
    logits = model.unembed(streams[-1])[0].float()
    own = recording.logits[0].float()
    answers = torch.tensor([*tokens.ids[1:], -1] if model.kind == "causal" else [-1] * len(tokens))
    reference = Reference.of(own)
    judged, full = judge(logits, reference, answers), judge(own, reference, answers)
    ids, full_ids = top_k(logits, k).cpu(), top_k(own, k).cpu()
    places = [_boundary(stage) for stage in plan.flat]
    apart = [_apart(stream[0], recording.streams[at][0]) for stream, at in zip(streams[1:], places, strict=True)]
    shown = set(ids.flatten().tolist()) | set(full_ids.flatten().tolist())
    return Compared(
        model=model.name,
        text=tokens.text,
        plan=str(plan),
        tokens=tokens.labels,
        total=tokens.total,
        loss=judged[:, 0].cpu().numpy(),
        full_loss=full[:, 0].cpu().numpy(),
        kl=judged[:, 1].cpu().numpy(),
        token_ids=ids.numpy(),
        probabilities=_probabilities(logits, ids),
        full_token_ids=full_ids.numpy(),
        full_probabilities=_probabilities(own, full_ids),
        labels=labels_of(model, shown),
        stages=tuple(str(stage) for stage in plan.flat),
        boundaries=tuple(places),
        cosine=np.array([cosine for cosine, _ in apart]),
        norm_ratio=np.array([ratio for _, ratio in apart]),
    )


def _boundary(stage: Stage) -> int:
    """The layer of the full model behind what ran."""
    match stage:
        case Jump():
            return stage.target
        case Blocks():
            return stage.last + 1
        case Parallel():
            return max(map(_boundary, stage.branches))
        case Group():
            return _boundary(stage.stages[-1])


def _apart(stream: Tensor, own: Tensor) -> tuple[float, float]:
    cosine = torch.cosine_similarity(stream.double(), own.double(), -1).mean()
    return float(cosine), float((stream.double().norm(dim=-1) / own.double().norm(dim=-1)).mean())


def _probabilities(logits: Tensor, ids: Tensor) -> np.ndarray:
    found: np.ndarray = torch.softmax(logits.double(), -1).cpu().gather(-1, ids.clamp_min(0)).numpy()
    return found
