"""What a link chooses that its model or sentence doesn't have: known once the model has answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lens.errors import PlanError
from lens.panels._shelf import Answer
from lens.plans import Plan

__all__ = ["beyond"]


def beyond(chosen: Mapping[str, Any], answer: Answer) -> dict[str, str]:
    """Of the choices, those that can't be followed here, each with why."""
    return {name: f"{name} {str(chosen[name])[:40]!r}: {why}" for name, why in _reasons(chosen, answer)}


def _reasons(chosen: Mapping[str, Any], answer: Answer) -> Iterator[tuple[str, str]]:
    last, count = answer.model.n_blocks, len(answer.tokens)
    layers = f"{answer.name} has layers 0 to {last}"
    source, target, position = (chosen.get(name) for name in ("source", "target", "position"))
    end = last if target is None or target > last else target
    if source is not None and source > end:
        yield "source", layers if source > last else f"it is beyond the target layer {end}"
    if target is not None and target > last:
        yield "target", layers
    if position is not None and position >= count:
        yield "position", f"the sentence has {count:,} token{'s' if count > 1 else ''}, counted from 0"
    for name in ("plan", "other_plan"):
        try:
            Plan.parse(str(chosen.get(name, "")).strip() or "0", last)
        except PlanError as error:
            yield name, str(error)
    cast, reading = chosen.get("cast"), answer.reading
    needed = {"id", "mat"} if cast == "difference" else {cast}
    if cast is not None and reading is not None and not needed <= set(reading.casts):
        yield "cast", f"{answer.name} is read here by {', '.join(reading.casts)}"
