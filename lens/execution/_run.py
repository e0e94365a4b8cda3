"""A text through a model under a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from lens._memory import memory_in_words
from lens.casts import Maps, cast_named
from lens.errors import LensError
from lens.execution._interpreter import execute, maps_of_jump, maps_of_part
from lens.execution._maps import maps_for
from lens.models import Model
from lens.numerics import Run
from lens.plans import Blocks, Jump, Plan, Stage

__all__ = ["prepared", "run"]


@memory_in_words
def run(
    model: Model, text: str, plan: str | Plan, *, maps: Maps | None = None, batched: bool | Literal["auto"] = False
) -> Run:
    """Run `text` through `model` as `plan` says, and hand the model back as it was.

    `plan` is a `lens.Plan` or its text, such as "0-3 mat(4>8) 8-11". The result's `logits` are
    (positions, vocabulary), its `streams` one (positions, width) per stage and one before the first.
    `batched` runs the blocks of a parallel stage that are alike as one call on their stacked weights (a copy): the same
    to rounding, and `lens.latency` says how fast; "auto" does so where a race on this device is won. In turn, as by
    default, every run is the same to the last bit.
    PlanError points at a mistake in the plan; TextError and MapsError say what else is amiss.
    """
    if batched not in (True, False, "auto"):
        raise LensError(f'batched is {batched!r}: give True, False or "auto".')
    plan, maps = prepared(model, plan, maps)
    tokens = model.encode(text)
    streams = execute(replace(model.record(tokens), batched=batched), plan, maps=maps)
    return Run(
        model=model.name,
        text=text,
        plan=str(plan),
        tokens=tokens.labels,
        total=tokens.total,
        logits=model.unembed(streams[-1])[0],
        streams=tuple(stream[0] for stream in streams),
    )


def prepared(model: Model, plan: str | Plan, maps: Maps | None) -> tuple[Plan, Maps | None]:
    """The plan, if it fits the model, and the maps that it needs: PlanError or MapsError before anything runs."""
    plan = plan if isinstance(plan, Plan) else Plan.parse(plan)
    plan.check(model.n_blocks)
    needing = [stage for stage in plan.walk() if _needs_maps(stage)]
    if maps is not None or needing:
        maps = maps_for(model, maps)
    for stage in needing:
        _require_maps(stage, maps)
    return plan, maps


def _needs_maps(stage: Stage) -> bool:
    match stage:
        case Jump(cast):
            return cast_named(cast).fitted
        case Blocks(part=part):
            return part is not None
        case _:
            return False


def _require_maps(stage: Stage, maps: Maps | None) -> None:
    """MapsError where those of a stage are missing: as it would be said when it runs, but before anything has."""
    match stage:
        case Jump(cast, source, target):
            if maps is None or not maps.covers(cast, (source,), target):
                maps_of_jump(cast, source, target, maps)
        case Blocks(part=str(part)):
            for block in stage.blocks:
                if maps is None or block not in maps.parts.get(part, ()):
                    maps_of_part(part, block, maps)
