"""The one interpreter: a plan carried out over a recording."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from lens.casts import Maps, cast_named
from lens.errors import MapsError
from lens.execution._alike import alike, faster, together
from lens.models import Recording, Replay
from lens.plans import Blocks, Group, Jump, Parallel, Plan, Stage

__all__ = ["apply_cast", "execute", "maps_of_jump", "maps_of_part", "outcome", "step"]

CPU = torch.device("cpu")


def execute(recording: Replay, plan: Plan, *, maps: Maps | None = None, stream: Tensor | None = None) -> list[Tensor]:
    """Carry `plan` out from `stream` (batch, positions, width), by default the embeddings of a Recording.

    Returns stages + 1 streams: the start, then after each stage. Each block gets the side inputs (mask, rotary,
    positions) that it was recorded with, wherever it stands in the plan.
    """
    with torch.no_grad():
        if stream is None:
            if not isinstance(recording, Recording):
                raise TypeError("a Replay holds no stream to start from: give one")
            stream = recording.streams[0]
        streams = [stream]
        for stage in plan.check(recording.model.n_blocks).stages:
            streams.append(step(recording, stage, streams[-1], maps))
    return streams


def outcome(recording: Recording, plan: Plan, *, maps: Maps | None = None) -> Tensor:
    """The last stream (batch, positions, width) of `plan`; true blocks that it begins with are not run again."""
    first, rest = plan.stages[0], plan.stages[1:]
    if not (isinstance(first, Blocks) and first.part is None and first.times == 1 and first.first == 0):
        return execute(recording, plan, maps=maps)[-1]
    reached = recording.streams[first.last + 1]
    return execute(recording, Plan(rest), maps=maps, stream=reached)[-1] if rest else reached


def apply_cast(cast: str, source: int, target: int, stream: Tensor, maps: Maps | None) -> Tensor:
    """The stream (..., width) at boundary `source` cast to `target`; MapsError if the maps for it are missing."""
    kind = cast_named(cast)
    if source == target or not kind.fitted:
        return stream
    fitted = maps_of_jump(cast, source, target, maps, stream.device)
    return kind.apply(stream.float(), **fitted).to(stream.dtype)


def maps_of_jump(
    cast: str, source: int, target: int, maps: Maps | None, device: torch.device = CPU
) -> dict[str, Tensor]:
    """The tensors of a fitted cast between two boundaries; MapsError where there are none."""
    if maps is None:
        raise MapsError(
            f"No maps are fitted for this model, so {cast} can't be used. Fit them with lens.fit, or use id."
        )
    return maps.tensors(cast, source, target, device)


def step(recording: Replay, stage: Stage, stream: Tensor, maps: Maps | None) -> Tensor:
    """The stream (batch, positions, width) after one stage."""
    match stage:
        case Blocks():
            return _blocks(recording, stage, stream, maps)
        case Jump(cast, source, target):
            return apply_cast(cast, source, target, stream, maps)
        case Group(stages, times):
            for _ in range(times):
                for inner in stages:
                    stream = step(recording, inner, stream, maps)
            return stream
        case Parallel():
            for _ in range(stage.times):
                stream = _parallel(recording, stage, stream, maps)
            return stream


def _blocks(recording: Replay, stage: Blocks, stream: Tensor, maps: Maps | None) -> Tensor:
    for _ in range(stage.times):
        for block in stage.blocks:
            if stage.part is None:
                stream = recording.run_block(block, stream)
            else:
                matrices = maps_of_part(stage.part, block, maps, stream.device)
                linear = [partial(_linear, matrix=matrix) for matrix in matrices]
                stream = recording.run_block_with(block, stream, stage.part, linear)
    return stream


def maps_of_part(part: str, block: int, maps: Maps | None, device: torch.device = CPU) -> list[Tensor]:
    """For each span of the part the matrix of its linear map, without intercept ("Jump to Conclusions", section 6).

    MapsError where there are none.
    """
    if maps is None:
        raise MapsError(
            f"No maps are fitted for this model, so ~{part} can't be used. Fit them: "
            f"lens.fit(model, texts, parts=[{part!r}])."
        )
    return maps.part(part, block, device)


def _linear(vectors: Tensor, matrix: Tensor) -> Tensor:
    return (vectors.float() @ matrix.to(vectors.device).T).to(vectors.dtype)


def _parallel(recording: Replay, stage: Parallel, stream: Tensor, maps: Maps | None) -> Tensor:
    """Mean of the branches' outputs, or the stream plus the sum of their updates ("Layers as Painters", section 2)."""
    branches = stage.branches
    if len(branches) == 1 and stage.scale == 1:
        return step(recording, branches[0], stream, maps)  # to the last digit: a mean of one is that one
    blocks = alike(recording, stage, stream) if recording.batched else None
    if blocks and (recording.batched != "auto" or faster(recording, blocks, stream)):
        updates = (together(recording, blocks, stream) - stream).sum(0)
    else:
        updates = torch.zeros_like(stream)
        for branch in branches:
            updates += step(recording, branch, stream, maps) - stream
    return stream + (updates if stage.combine == "sum" else updates * stage.scale / len(branches))
