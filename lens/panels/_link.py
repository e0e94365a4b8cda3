"""A session as the query of an address, and back: what does not fit is left out, and said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from traitlets import Enum, Float, Int, TraitError, TraitType, Unicode

from lens.errors import PlanError
from lens.panels._lesson import lessons, step_at
from lens.panels._session import Session
from lens.plans import Plan

__all__ = ["FIELDS", "Followed", "choices", "from_link", "to_address", "to_link", "whole"]

FIELDS: Final = tuple(name for name, trait in vars(Session).items() if isinstance(trait, TraitType))
LONGEST: Final = 600_000  # characters of a link: more than the longest session takes, where each letter takes twelve
ADDRESS: Final = 32_000  # characters of an address: servers refuse headers beyond 64 KB
MOST: Final = 100  # fields in it
NONE: Final = ""  # an optional number that is not chosen
PLANS: Final = ("plan", "other_plan")
SERVERS: Final = ("token",)  # a field of the server's own, no choice of a person's


class Followed(NamedTuple):
    """What a link chooses, each valid for a `Session`, and in words what of it was left out."""

    choices: dict[str, Any]
    left_out: list[str]


def to_link(session: Session) -> str:
    """The query string of what differs from a fresh session; the model and the text always stand in it."""
    return _query(choices(session))


def to_address(session: Session) -> tuple[str, bool]:
    """The same, short enough for an address: `(link, whole)`, not whole where the sentences had to be left out."""
    link = to_link(session)
    if len(link) <= ADDRESS:
        return link, True
    kept = {name: value for name, value in choices(session).items() if name not in ("text", "other_text")}
    return _query(kept), False


def _query(chosen: Mapping[str, Any]) -> str:
    return "?" + urlencode({name: NONE if value is None else value for name, value in chosen.items()})


def choices(session: Session) -> dict[str, Any]:
    """What differs from a fresh session, with the model, the text, and what the step of a lesson would set."""
    fresh, step = Session(), step_at(session.lesson, session.step)
    always = {"model", "text", *(step.state if step else ())}
    return {
        name: getattr(session, name)
        for name in FIELDS
        if name in always or getattr(session, name) != getattr(fresh, name)
    }


def whole(found: Mapping[str, Any]) -> dict[str, Any]:
    """Valid choices; where they open a step of a lesson, all that they leave open is as the step has it."""
    step = step_at(found.get("lesson"), found.get("step", 1))
    if step is None:
        return dict(found)
    return {name: getattr(Session(), name) for name in FIELDS} | from_link(step.state)[0] | dict(found)


def from_link(link: str | Mapping[str, Any]) -> Followed:
    """What `link` chooses, of all that can be known without its model."""
    if isinstance(link, str):
        try:
            pairs = list(_pairs(link))
        except ValueError:
            return Followed({}, [f"the link, as it has more than {LONGEST:,} characters or {MOST} choices"])
    else:
        pairs = list(link.items())
    found: dict[str, Any] = {}
    left_out = []
    for name, value in pairs:
        if name in SERVERS:
            continue
        if name in found:
            left_out.append(f"a second {name}")
            continue
        try:
            found[name] = _valid(name, value)
        except (TraitError, ValueError, PlanError) as error:
            left_out.append(_why(str(name), value, error))
    return Followed(found, left_out + _steps_left_out(found))


def _steps_left_out(found: dict[str, Any]) -> list[str]:
    """Where a lesson has not so many steps, its last is taken."""
    lesson = found.get("lesson")
    most = 0 if lesson is None else len(lessons()[lesson].steps)
    if not most or found.get("step", 1) <= most:
        return []
    wanted, found["step"] = found["step"], most
    return [f"step {str(wanted)!r}: lesson {lesson} has {most} steps"]


def _pairs(link: str) -> Iterator[tuple[str, str]]:
    query = link.partition("#")[0].removeprefix("?")
    if len(query) > LONGEST:
        raise ValueError
    yield from parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=MOST)


def _valid(name: Any, value: Any) -> Any:
    """The value as a session holds it. TraitError or ValueError where it can't."""
    if name not in FIELDS:
        raise ValueError("no such choice")
    trait = Session.class_traits()[name]
    parsed = _parsed(trait, value)
    taken = getattr(Session(**{name: parsed}), name)
    if isinstance(trait, Float) and abs(taken - parsed) > 1e-9:
        raise ValueError("finer than it is taken")
    if name in PLANS and taken.strip():
        Plan.parse(taken)
    return taken


def _parsed(trait: Any, value: Any) -> Any:
    if not isinstance(value, str) or isinstance(trait, Unicode):
        return value
    if isinstance(trait, Int):
        return None if value == NONE and trait.allow_none else _whole(value)
    if isinstance(trait, Float):
        return float(value)
    if isinstance(trait, Enum):
        return {NONE if each is None else str(each): each for each in trait.values or ()}.get(value, value)
    return value


def _whole(text: str) -> int:
    if len(text) > 9 or not text.isascii() or not text.isdecimal():
        raise ValueError
    return int(text)


def _why(name: str, value: Any, error: Exception) -> str:
    short = f"{str(value)[:40]}…" if len(str(value)) > 40 else str(value)
    if name not in FIELDS:
        return f"{name[:40]!r}, which is no choice here"
    trait: Any = Session.class_traits()[name]
    if isinstance(trait, Enum):
        return f"{name} {short!r}: it may be {', '.join(str(each) for each in trait.values or () if each is not None)}"
    if isinstance(trait, Unicode):
        return f"{name} {short!r}: {error}"
    steps = ", to a hundredth" if isinstance(trait, Float) else ""
    return f"{name} {short!r}: it must be a number from {trait.min} to {trait.max}{steps}"
