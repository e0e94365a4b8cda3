"""The blocks of a model as tiles on an assembly line."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import traitlets

from lens.errors import LensError, PlanError
from lens.panels.live._live import Picture
from lens.plans import Blocks, Group, Jump, Parallel, Plan, Stage

__all__ = ["Strip", "items_of", "plan_of"]

MAX_TILES = 2000  # more than a person arranges, and as many as a browser draws at once


class Strip(Picture, asset="strip"):
    """Tiles that are dragged, clicked, boxed and looped; sends `{"kind": "items", "items": …}` after each edit,
    `{"kind": "text", "text": …}` as the plan is typed, and `{"kind": "undo"}`, `{"kind": "redo"}`.

    An item is `{"kind": "block", "block", "part", "times"}`, `{"kind": "jump", "cast", "source", "target"}`, or a box
    `{"kind": "parallel" | "group", "items", "times", "combine", "scale"}`. `answer` shows a plan; `reply` counts the
    answers, so that the tiles are drawn anew also where a plan was refused. An `error` is `{"message", "text",
    "start", "end"}`. On paper and in a saved page, where nobody answers, the tiles stand still.
    """

    items: Any = traitlets.List().tag(sync=True)
    text = traitlets.Unicode("").tag(sync=True)
    facts = traitlets.Unicode("").tag(sync=True)
    error = traitlets.Dict().tag(sync=True)
    n_blocks = traitlets.Int(0, min=0).tag(sync=True)
    can_undo = traitlets.Bool(False).tag(sync=True)
    can_redo = traitlets.Bool(False).tag(sync=True)
    reply = traitlets.Int(0).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)

    def answer(self, plan: Plan, n_blocks: int, facts: str, **state: Any) -> None:
        """Show `plan` for a model of `n_blocks`."""
        self.show(items=items_of(plan), text=str(plan), n_blocks=n_blocks, facts=facts, reply=self.reply + 1, **state)


def items_of(plan: Plan) -> list[dict[str, Any]]:
    """A plan as tiles: one for each block of a range, a badge for a repeat."""
    found = _items(plan.stages)
    if len(found) > MAX_TILES:
        raise LensError(f"This plan has {len(found):,} stages; at most {MAX_TILES:,} can be arranged by hand.")
    return found


def _items(stages: tuple[Stage, ...]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for stage in stages:
        match stage:
            case Blocks():
                more: dict[str, Any] = {"part": stage.part} if stage.part else {}
                more |= {"times": stage.times} if stage.times > 1 else {}
                found += [{"kind": "block", "block": block, **more} for block in stage.blocks]
            case Jump(cast, source, target):
                found.append({"kind": "jump", "cast": cast, "source": source, "target": target})
            case Group(inner, times):
                found.append({"kind": "group", "items": _items(inner), "times": times})
            case Parallel():
                box = {"items": _items(stage.branches), "combine": stage.combine, "scale": stage.scale}
                found.append({"kind": "parallel", "times": stage.times, **box})
    return found


def plan_of(items: object) -> Plan:
    """The plan that tiles stand for, with ranges and repeats. PlanError for what is no plan."""
    return Plan(tuple(_stages(items))).compact


def _stages(items: object) -> list[Any]:
    if not isinstance(items, list):
        raise PlanError("the tiles must be a list")
    return [_stage(item) for item in items]


def _stage(item: Any) -> Stage:
    try:
        match item["kind"]:
            case "block":
                return Blocks(item["block"], item["block"], item.get("part"), item.get("times", 1))
            case "jump":
                return Jump(item["cast"], item["source"], item["target"])
            case "group":
                return Group(Plan(tuple(_stages(item["items"]))).compact.stages, item.get("times", 1))
            case "parallel":
                scale = item.get("scale", 1)
                inner = _ranges(_stages(item["items"]))
                return Parallel(inner, item.get("combine", "mean"), item.get("times", 1), float(scale))
    except (KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise PlanError(f"{str(item)[:80]} is no tile of a plan")


def _ranges(branches: list[Any]) -> Any:
    """Single blocks side by side as ranges, as a range is one branch per block; anything else stays as it is."""
    single = all(isinstance(branch, Blocks) and branch.times == 1 for branch in branches)
    distinct = all(one != other for one, other in pairwise(branches))  # two equal branches are not one that repeats
    return Plan(tuple(branches)).compact.stages if single and distinct and branches else tuple(branches)
