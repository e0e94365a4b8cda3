"""Stages as JSON that an editor in a browser can read and write: one object a stage, defaults left out."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any

from lens.errors import PlanError
from lens.plans._stages import Blocks, Group, Jump, Parallel, Stage

__all__ = ["MAX_JSON", "dump", "load"]

# The longest plan as text becomes about 200,000 characters of JSON; indented by an editor, a few times that.
MAX_JSON = 1_000_000

_KINDS = MappingProxyType({"blocks": Blocks, "jump": Jump, "group": Group, "parallel": Parallel})


def dump(stages: tuple[Stage, ...]) -> str:
    """The stages as `{"stages":[{"kind":"blocks","first":0,"last":3}]}`."""
    return json.dumps({"stages": [_written(stage) for stage in stages]}, separators=(",", ":"))


def load(text: str) -> tuple[Stage, ...]:
    """The stages that `dump` wrote. Raises PlanError on anything else."""
    if not isinstance(text, str):
        raise PlanError(f"a plan as JSON is a text, not {type(text).__name__}")
    if len(text) > MAX_JSON:
        raise PlanError(f"this JSON has {len(text):,} characters, and at most {MAX_JSON:,} are read")
    try:
        data = _object(_read(text), "the plan", {"stages"}, {"stages"})
        return _stages(data["stages"], "stages")
    except RecursionError:
        raise PlanError("this JSON nests too deeply to be a plan") from None


def _read(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise PlanError(f"this is not JSON: {error.msg}", text, error.pos, error.pos + 1) from None
    except PlanError:
        raise
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise PlanError("this JSON holds a number that is too large for a plan") from None


def _written(stage: Stage) -> dict[str, Any]:
    written: dict[str, Any] = {"kind": type(stage).__name__.lower()}
    for field in fields(stage):
        value = getattr(stage, field.name)
        if value != field.default:
            written[field.name] = [_written(member) for member in value] if isinstance(value, tuple) else value
    return written


def _stages(data: object, place: str) -> tuple[Stage, ...]:
    if not isinstance(data, list):
        raise PlanError(f"{place} must be a list of stages, not {reprlib.repr(data)}")
    return tuple(_stage(each, f"{place}[{index}]") for index, each in enumerate(data))


def _stage(data: object, place: str) -> Stage:
    """One stage; what the JSON does not say about types, the constructor refuses."""
    make = _kind(data, place)
    names = {field.name for field in fields(make)}
    required = {field.name for field in fields(make) if field.default is MISSING}
    values = {name: value for name, value in _object(data, place, names | {"kind"}, required).items() if name != "kind"}
    for name in names & {"stages", "items"}:
        values[name] = _stages(values[name], f"{place}.{name}")
    return _placed(place, lambda: make(**values))


def _kind(data: object, place: str) -> type[Stage]:
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise PlanError(f"{place} must be an object whose kind is one of {', '.join(_KINDS)}")
    return _KINDS[kind]


def _object(data: object, place: str, allowed: set[str], required: set[str]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise PlanError(f"{place} must be an object, not {reprlib.repr(data)}")
    if missing := sorted(required - data.keys()):
        raise PlanError(f"{place} lacks {', '.join(missing)}")
    if unknown := sorted(data.keys() - allowed):
        raise PlanError(f"{place} has unknown keys: {reprlib.repr(unknown)}; allowed are {', '.join(sorted(allowed))}")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise PlanError("one object of this JSON names a key twice: remove one of the two")
    return found


def _placed(place: str, make: Callable[[], Stage]) -> Stage:
    try:
        return make()
    except PlanError as error:
        raise PlanError(f"{place}: {error}") from None
