"""The stages of a plan: frozen values that cannot exist unless they are valid."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import ClassVar, Literal, TypeAlias

from lens._limits import DEFAULTS, higher, limit
from lens.errors import PlanError

__all__ = [
    "BRANCH_IS",
    "MAX_APPLICATIONS",
    "MAX_DECIMALS",
    "MAX_DIGITS",
    "MAX_NESTING",
    "PARTS",
    "Blocks",
    "Branch",
    "Group",
    "Jump",
    "Parallel",
    "Stage",
    "compacted",
    "flattened",
    "require_bounds",
    "require_members",
    "require_part",
    "require_steps",
    "require_times",
    "walk",
]

PARTS = ("attn", "ffn", "ln")
# More than a hundred times the blocks of a 36-block model: beyond it a reader waits for minutes and learns nothing.
MAX_APPLICATIONS = DEFAULTS["steps"]
# Deeper than anyone writes by hand, and far from Python's recursion limit.
MAX_NESTING = 16
# Room for every count worth running, while int() and the sums stay instant.
MAX_DIGITS = 9
MAX_SCALE = 1000
MAX_DECIMALS = 4

BRANCH_IS = (
    "a branch is a block, a range, a jump or a group; to run a parallel stage in a branch, group it: [([4|5] 6)|7]"
)


@dataclass(frozen=True, slots=True)
class Blocks:
    """A block or a range of blocks run one after the other: `5`, `0-3`, `7-4` counts down, `9~attn`, `6x4`.

    `part` names what is replaced by its linear map: attn, ffn, or ln for both layer norms. `times` repeats a single
    block; a range is repeated by a Group. Raises PlanError on anything else.
    """

    first: int
    last: int
    part: str | None = None
    times: int = 1
    nesting: ClassVar[int] = 0

    def __post_init__(self) -> None:
        require_number("first", self.first)
        require_number("last", self.last)
        require_times(self.times)
        if self.part is not None:
            require_part(self.part)
        if self.times > 1 and self.first != self.last:
            once = Blocks(self.first, self.last, self.part)
            raise PlanError(f"x repeats a single block only: for this range write ({once})x{self.times}")
        require_bounds(self)

    def __str__(self) -> str:
        until = "" if self.first == self.last else f"-{self.last}"
        part = "" if self.part is None else f"~{self.part}"
        return f"{self.first}{until}{part}{_repeat(self.times)}"

    @property
    def blocks(self) -> tuple[int, ...]:
        """The block numbers of one pass, in the order in which they run."""
        step = 1 if self.first <= self.last else -1
        return tuple(range(self.first, self.last + step, step))

    @property
    def steps(self) -> int:
        """How many blocks and jumps run, repeats counted."""
        return (abs(self.last - self.first) + 1) * self.times

    @property
    def applications(self) -> int:
        """How many blocks run, repeats counted."""
        return self.steps

    @property
    def depth(self) -> int:
        """How many blocks run one after the other."""
        return self.steps


@dataclass(frozen=True, slots=True)
class Jump:
    """A cast carries the stream up from boundary `source` to boundary `target`: `mat(4>12)`.

    Boundaries are 0…L. Raises PlanError if `target` is not above `source` or `cast` is not a name.
    """

    cast: str
    source: int
    target: int
    nesting: ClassVar[int] = 0
    steps: ClassVar[int] = 1
    applications: ClassVar[int] = 0
    depth: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not isinstance(self.cast, str) or not re.fullmatch("[a-z][a-z0-9_]*", self.cast):
            raise PlanError(
                f"{reprlib.repr(self.cast)} cannot be the name of a cast: it starts with a small letter, "
                "and small letters, digits and _ follow, as in mat(4>12)"
            )
        require_number("source", self.source)
        require_number("target", self.target)
        if self.source >= self.target:
            raise PlanError(
                f"a jump goes up: {self.target} is not above {self.source}; put the higher layer last, as in mat(4>12)"
            )

    def __str__(self) -> str:
        return f"{self.cast}({self.source}>{self.target})"


@dataclass(frozen=True, slots=True)
class Group:
    """Stages run in sequence, `times` over: `(4-7)x2`. Raises PlanError if there is none or too much of it."""

    stages: tuple[Stage, ...]
    times: int = 1

    def __post_init__(self) -> None:
        require_members("stages", self.stages, Stage, "a group needs at least one stage, as in (4-7)x2")
        require_times(self.times)
        require_bounds(self)

    def __str__(self) -> str:
        return f"({' '.join(map(str, self.stages))}){_repeat(self.times)}"

    @property
    def nesting(self) -> int:
        """How many brackets lie inside one another, this one counted."""
        return 1 + max(stage.nesting for stage in self.stages)

    @property
    def steps(self) -> int:
        """How many blocks and jumps run, repeats counted."""
        return self.times * sum(stage.steps for stage in self.stages)

    @property
    def applications(self) -> int:
        """How many blocks run, repeats counted."""
        return self.times * sum(stage.applications for stage in self.stages)

    @property
    def depth(self) -> int:
        """How many blocks run one after the other."""
        return self.times * sum(stage.depth for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Parallel:
    """Branches that all start from the same stream, joined, `times` over: `[4-7]`, `[4|6]+`, `[4-7]*2`, `[4-7]x3`.

    A range gives one branch per block; a Group is one branch run in sequence. With branches f_1 … f_M, "mean" is
    h ← h + (scale/M) Σ (f_i(h) − h), for scale 1 the mean of the outputs, and "sum" is h ← h + Σ (f_i(h) − h).
    Raises PlanError if there is no branch or too many, or for a scale that is none.
    """

    items: tuple[Branch, ...]
    combine: Literal["mean", "sum"] = "mean"
    times: int = 1
    scale: float = 1.0

    def __post_init__(self) -> None:
        require_members(
            "items", self.items, Branch, "a parallel stage needs at least one branch, as in [4|6]", BRANCH_IS
        )
        if self.combine not in ("mean", "sum"):
            raise PlanError(f"combine is {reprlib.repr(self.combine)}: branches are joined by 'mean' or 'sum'")
        require_scale(self.scale, self.combine)
        require_times(self.times)
        require_bounds(self)

    def __str__(self) -> str:
        joined = "+" if self.combine == "sum" else "" if self.scale == 1 else f"*{_decimal(self.scale)}"
        return f"[{'|'.join(map(str, self.items))}]{joined}{_repeat(self.times)}"

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Every branch, ranges taken apart: single-block Blocks, Jumps and Groups."""
        return tuple(branch for item in self.items for branch in _branches(item))

    @property
    def once(self) -> Parallel:
        """This stage without its loop, its ranges taken apart."""
        return Parallel(self.branches, self.combine, 1, self.scale)

    @property
    def nesting(self) -> int:
        """How many brackets lie inside one another, this one counted."""
        return 1 + max(item.nesting for item in self.items)

    @property
    def steps(self) -> int:
        """How many blocks and jumps run, repeats counted."""
        return self.times * sum(item.steps for item in self.items)

    @property
    def applications(self) -> int:
        """How many blocks run, repeats counted."""
        return self.times * sum(item.applications for item in self.items)

    @property
    def depth(self) -> int:
        """How many blocks run one after the other: the deepest branch, repeats counted."""
        return self.times * max(branch.depth for branch in self.branches)


Branch: TypeAlias = Blocks | Jump | Group
Stage: TypeAlias = Blocks | Jump | Group | Parallel


def walk(stages: tuple[Stage, ...]) -> Iterator[Stage]:
    """Each stage, then the stages and branches inside it, as they are written."""
    for stage in stages:
        yield stage
        if isinstance(stage, Group):
            yield from walk(stage.stages)
        elif isinstance(stage, Parallel):
            yield from walk(stage.items)


def flattened(stages: tuple[Stage, ...]) -> Iterator[Stage]:
    """Single blocks, jumps and single parallel stages, in the order in which they run."""
    for stage in stages:
        if isinstance(stage, Jump):
            yield stage
        elif isinstance(stage, Group):
            yield from tuple(flattened(stage.stages)) * stage.times
        elif isinstance(stage, Blocks):
            for _ in range(stage.times):
                yield from (Blocks(block, block, stage.part) for block in stage.blocks)
        elif len(stage.branches) == 1 and stage.scale == 1:  # the mean and the sum of one are that one
            yield from tuple(flattened(stage.branches)) * stage.times
        else:
            yield from (stage.once,) * stage.times


def compacted(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Single blocks that count up or down as a range, the same stage several times over as a repeat."""
    return _folded(_folded(_singles(stages), _repeated), _ranged)


def _folded(stages: Iterable[Stage], join: Callable[[Stage, Stage], Stage | None]) -> tuple[Stage, ...]:
    """The stages, neighbours made one wherever `join` can."""
    found: list[Stage] = []
    for stage in stages:
        joined = join(found[-1], stage) if found else None
        if joined is None:
            found.append(stage)
        else:
            found[-1] = joined
    return tuple(found)


def _singles(stages: tuple[Stage, ...]) -> Iterator[Stage]:
    for stage in stages:
        if isinstance(stage, Blocks) and stage.times == 1:
            yield from (Blocks(block, block, stage.part) for block in stage.blocks)
        elif isinstance(stage, Group) and stage.times == 1:
            yield from _singles(stage.stages)
        else:
            yield stage


def _repeated(before: Stage, stage: Stage) -> Stage | None:
    """The same twice as one that repeats."""
    if isinstance(before, Parallel) and isinstance(stage, Parallel) and before.once == stage.once:
        return Parallel(before.items, before.combine, before.times + stage.times, before.scale)
    if isinstance(before, Blocks) and isinstance(stage, Blocks) and before.first == before.last:
        same = (stage.first, stage.last, stage.part) == (before.first, before.last, before.part)
        return Blocks(before.first, before.last, before.part, before.times + stage.times) if same else None
    return None


def _ranged(before: Stage, stage: Stage) -> Stage | None:
    """A block that goes on as the range before it does."""
    if not isinstance(before, Blocks) or not isinstance(stage, Blocks) or before.part != stage.part:
        return None
    if before.times > 1 or stage.times > 1 or stage.first != stage.last:
        return None
    turn = stage.first - before.last
    straight = before.first == before.last or (before.last > before.first) == (turn > 0)
    return Blocks(before.first, stage.last, before.part) if abs(turn) == 1 and straight else None


def require_number(name: str, value: object) -> None:
    """Refuse what is not a whole number from 0 to 999,999,999."""
    if type(value) is not int:  # a bool is an int too, and never meant
        raise PlanError(f"{name} must be a whole number, not {reprlib.repr(value)}")
    if value < 0:
        raise PlanError(f"{name} is negative: blocks and layers are counted from 0")
    if value >= 10**MAX_DIGITS:
        raise PlanError(f"{name} is too large: a number has at most {MAX_DIGITS} digits")


def require_times(times: int) -> None:
    """Refuse a count of repeats below 1."""
    require_number("times", times)
    if times < 1:
        raise PlanError("x0 would run nothing: a count is at least 1; to run nothing, leave the stage out")


def require_scale(scale: object, combine: str) -> None:
    """Refuse what cannot scale a mean, or be written and read again with MAX_DECIMALS decimals."""
    if type(scale) not in (int, float) or not 0 < scale <= MAX_SCALE or round(scale, MAX_DECIMALS) != scale:  # type: ignore[operator, call-overload]
        raise PlanError(
            f"a mean is scaled by a number above 0, at most {MAX_SCALE}, with at most {MAX_DECIMALS} decimals, "
            f"as in [4-7]*1.5; {reprlib.repr(scale)} is none"
        )
    if combine == "sum" and scale != 1:
        raise PlanError("a sum is not scaled: [4|6]+ is [4|6]*2, so write the mean and its scale")


def require_part(part: object) -> None:
    """Refuse what is not a part of a block."""
    if part not in PARTS:
        raise PlanError(f"{reprlib.repr(part)} is not a part of a block: the parts are {', '.join(PARTS)}")


def require_members(name: str, members: object, kinds: UnionType, empty: str, wrong: str = "") -> None:
    """Refuse what is not a tuple of at least one of `kinds`; `empty` and `wrong` say what is allowed."""
    if not isinstance(members, tuple):
        raise PlanError(f"{name} must be a tuple, not {type(members).__name__}")
    if not members:
        raise PlanError(empty)
    for member in members:
        if not isinstance(member, kinds):
            raise PlanError(wrong or f"{reprlib.repr(member)} is not a stage: use Blocks, Jump, Group or Parallel")


def require_bounds(stage: Stage) -> None:
    """Refuse a stage that nests too deeply or runs too long; nothing is expanded to find out."""
    if stage.nesting > MAX_NESTING:
        raise PlanError(f"more than {MAX_NESTING} brackets inside one another: write the plan with fewer")
    require_steps(stage.steps)


def require_steps(steps: int) -> None:
    """Refuse more steps than a plan may have: a jump costs a step, or a loop of jumps alone would never end."""
    if steps > (most := limit("steps")):
        raise PlanError(
            f"this runs {steps:,} blocks and jumps, and a plan runs at most {most:,}: "
            f"lower a count after x or shorten a range. {higher('steps')}"
        )


def _branches(item: Branch) -> tuple[Branch, ...]:
    if not isinstance(item, Blocks):
        return (item,)
    return tuple(Blocks(block, block, item.part, item.times) for block in item.blocks)


def _decimal(number: float) -> str:
    return f"{number:.{MAX_DECIMALS}f}".rstrip("0").rstrip(".")


def _repeat(times: int) -> str:
    return "" if times == 1 else f"x{times}"
