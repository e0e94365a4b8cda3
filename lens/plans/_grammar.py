"""The grammar of plans: text in, stages out, or a PlanError that points at the mistake.

plan     := stage (" " stage)*
stage    := blocks | parallel | jump | group
blocks   := b ["~" part] ["x" n]  |  b "-" b ["~" part]
parallel := "[" item ("|" item)* "]" ["+" | "*" decimal] ["x" n]
item     := blocks | jump | group
jump     := cast "(" source ">" target ")"
group    := "(" plan ")" ["x" n]
part     := "attn" | "ffn" | "ln"
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Literal, TypeVar

from lens.errors import PlanError
from lens.plans._stages import (
    BRANCH_IS,
    MAX_DIGITS,
    MAX_NESTING,
    PARTS,
    Blocks,
    Branch,
    Group,
    Jump,
    Parallel,
    Stage,
    require_part,
    require_times,
)

__all__ = ["MAX_TEXT", "parse"]

# A plan of 4,096 single blocks with two-digit numbers is just over this; a person writes fewer than a hundred.
MAX_TEXT = 10_000

T = TypeVar("T")

# What people paste from papers, one character for one, so that places stay right.
_ASCII = MappingProxyType(str.maketrans("–−×→", "--x>"))

_NUMBER = re.compile("[0-9]+")
_DECIMAL = re.compile(rf"[0-9]{{1,{MAX_DIGITS}}}(?:\.[0-9]{{1,{MAX_DIGITS}}})?")
_WORD = re.compile(r"[^\W\d]\w*")
_PART = re.compile(r"[A-Za-z_]+?(?=x[0-9]|[^A-Za-z_]|\Z)")  # stops before the x of 9~attnx2
_SPACES = re.compile(" +")

_STAGE_IS = "a stage is a block 5, a range 0-3, a jump mat(4>12), branches [4|6] or a group (4-7)x2"
_HINTS = MappingProxyType(
    {
        ",": "separate stages with a space, and branches with |",
        "-": "a range is two block numbers without spaces, as in 0-3",
        ":": "write a range with -, as in 0-3",
        "*": "write a repeat with x, as in 6x4; * scales a mean, right after ], as in [4-7]*1.5",
        "~": "one part comes right after its block and before any x, as in 9~attn",
        "+": "it comes right after ] and before any x, as in [4|6]+",
        "|": "it separates branches inside [ ], as in [4|6]",
        ">": "it belongs inside a jump, as in mat(4>12)",
        ")": "it closes nothing that is open here; check the brackets",
        "]": "it closes nothing that is open here; check the brackets",
    }
)


def parse(text: str, n_blocks: int | None, make: Callable[[tuple[Stage, ...]], T]) -> T:
    """Read `text` as stages and give them to `make`; with `n_blocks`, every number must fit that model.

    Raises PlanError, whose `start` and `end` delimit the mistake in `text`.
    """
    if not isinstance(text, str):
        raise PlanError(f"a plan is a text, such as 0-3 8-11, or a lens.Plan, not {type(text).__name__}")
    if len(text) > MAX_TEXT:
        message = f"this plan has {len(text):,} characters, and at most {MAX_TEXT:,} are read: use ranges and repeats"
        raise PlanError(message, text[:MAX_TEXT], MAX_TEXT)
    if n_blocks is not None and (not hasattr(n_blocks, "__index__") or n_blocks < 1):
        raise PlanError(f"a model has at least one block, not {n_blocks}", text)
    parser = _Parser(text, n_blocks)
    stages = parser.plan()
    return parser.placed(0, lambda: make(stages))


class _Cursor:
    """A place in the text of a plan, and what can be taken from there."""

    def __init__(self, text: str) -> None:
        self.shown = re.sub(r"\s", " ", text)  # a line break would tear the mark from what it marks
        self.text = self.shown.translate(_ASCII)
        self.at = 0

    @property
    def char(self) -> str:
        """The character here, or "" at the end."""
        return self.text[self.at : self.at + 1]

    def take(self, pattern: re.Pattern[str]) -> str:
        """Step over `pattern` if it is here; return what it matched, or ""."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found.group()

    def skip(self, char: str) -> bool:
        """Step over `char` if it is here; return whether it was."""
        found = self.char == char
        self.at += found
        return found

    def number(self, missing: str) -> int:
        """The number here; `missing` is what to say where there is none."""
        start = self.at
        digits = self.take(_NUMBER)
        if not digits:
            raise self.error(missing, start)
        if len(digits) > MAX_DIGITS:
            raise self.error(f"this number is too large: a number has at most {MAX_DIGITS} digits", start, self.at)
        return int(digits)

    def error(self, message: str, start: int, end: int | None = None) -> PlanError:
        """A PlanError about the text from `start` to `end`, or about the one character at `start`."""
        return PlanError(message, self.shown, start, start + 1 if end is None else end)

    def misplaced(self, hint: str) -> PlanError:
        """A PlanError about the character here; `hint` is what to do where nothing better is known."""
        return self.error(f"{self.shown[self.at]!r} cannot be here: {_HINTS.get(self.char, hint)}", self.at)

    def placed(self, start: int, make: Callable[[], T]) -> T:
        """What `make` makes of the text from `start` to here; a PlanError of its own is given that place."""
        try:
            return make()
        except PlanError as error:
            raise self.error(str(error), start, self.at) from None


class _Parser(_Cursor):
    """One method for each line of the grammar; the rules that values keep are left to the values."""

    def __init__(self, text: str, n_blocks: int | None) -> None:
        super().__init__(text)
        self.n_blocks = n_blocks
        self.open = 0  # brackets around the place

    def plan(self) -> tuple[Stage, ...]:
        """The whole text."""
        stages = self.stages()
        if self.char:
            raise self.misplaced(_STAGE_IS)
        return stages

    def stages(self) -> tuple[Stage, ...]:
        """Stages with spaces between, up to the end or a closing parenthesis."""
        found: list[Stage] = []
        self.take(_SPACES)
        while self.char not in ("", ")"):
            found.append(self.stage())
            if not self.take(_SPACES) and self.char not in ("", ")"):
                raise self.misplaced("put a space between stages")
        return tuple(found)

    def stage(self) -> Stage:
        """One stage, told apart by its first character."""
        if self.char == "(":
            return self.group()
        if self.char == "[":
            return self.parallel()
        if _NUMBER.match(self.char):
            return self.blocks()
        if _WORD.match(self.char):
            return self.jump()
        raise self.misplaced(_STAGE_IS)

    def blocks(self) -> Blocks:
        """A block or a range, its part, its count."""
        start = self.at
        first = last = self.block()
        if self.skip("-"):
            last = self.block()
        part = self.part() if self.skip("~") else None
        times = self.times()
        return self.placed(start, lambda: Blocks(first, last, part, times))

    def group(self) -> Group:
        """Stages in parentheses, and their count."""
        start = self.at
        stages = self.bracketed(self.stages, ")", "")
        times = self.times()
        return self.placed(start, lambda: Group(stages, times))

    def parallel(self) -> Parallel:
        """Branches in square brackets, how they are joined, and their count."""
        start = self.at
        items = self.bracketed(self.items, "]", "separate branches with |, as in [4|6]")
        combine: Literal["mean", "sum"] = "sum" if self.skip("+") else "mean"
        scale = self.scale()
        times = self.times()
        return self.placed(start, lambda: Parallel(items, combine, times, scale))

    def scale(self) -> float:
        """The number after *, or 1."""
        start = self.at
        if not self.skip("*"):
            return 1.0
        written = self.take(_DECIMAL)
        if not written:
            raise self.error("a number is missing after *: a scaled mean is written [4-7]*1.5", start)
        return float(written)

    def items(self) -> tuple[Branch, ...]:
        """Branches with bars between."""
        found = [self.item()]
        while self.skip("|"):
            found.append(self.item())
        return tuple(found)

    def item(self) -> Branch:
        """One branch, and the spaces around it."""
        self.take(_SPACES)
        start = self.at
        if self.char in ("", "|", "]"):
            raise self.error("a branch is missing here: write a block, a range, a jump or a group, as in [4|6]", start)
        stage = self.stage()
        if isinstance(stage, Parallel):
            raise self.error(BRANCH_IS, start, self.at)
        self.take(_SPACES)
        return stage

    def jump(self) -> Jump:
        """A cast and the two boundaries it goes between."""
        start = self.at
        cast = self.take(_WORD)
        bracket = self.at
        if not self.skip("("):
            message = f"{cast!r} is not a stage: a jump is written mat(4>12), and a repeat without spaces, 6x4"
            raise self.error(message, start, self.at)
        source = self.boundary()
        self.take(_SPACES)
        if not self.skip(">"):
            raise self.error("a > is missing here: a jump is written mat(4>12)", self.at)
        target = self.boundary()
        self.close(bracket, ")", "a jump ends with ), as in mat(4>12)")
        return self.placed(start, lambda: Jump(cast, source, target))

    def block(self) -> int:
        """The number of a block that exists."""
        start = self.at
        block = self.number("a block number is missing here: a range is written 0-3")
        if self.n_blocks is not None and block >= self.n_blocks:
            message = f"block {block} does not exist: this model has blocks 0 to {self.n_blocks - 1}"
            raise self.error(message, start, self.at)
        return block

    def boundary(self) -> int:
        """The number of a boundary that exists, and the spaces before it."""
        self.take(_SPACES)
        start = self.at
        layer = self.number("a layer number is missing here: a jump is written mat(4>12)")
        if self.n_blocks is not None and layer > self.n_blocks:
            message = f"layer {layer} does not exist: in this model a jump goes between layers 0 and {self.n_blocks}"
            raise self.error(message, start, self.at)
        return layer

    def part(self) -> str:
        """The part after ~."""
        start = self.at
        part = self.take(_PART)
        if not part:
            raise self.error(f"a part is missing after ~: the parts are {', '.join(PARTS)}", start)
        self.placed(start, lambda: require_part(part))
        return part

    def times(self) -> int:
        """The count after x, or 1."""
        start = self.at
        if not self.skip("x"):
            return 1
        times = self.number("a count is missing after x: a repeat is written 6x4")
        self.placed(start, lambda: require_times(times))
        return times

    def bracketed(self, read: Callable[[], T], closing: str, hint: str) -> T:
        """What `read` finds between the bracket here and the `closing` one."""
        start = self.at
        if self.open == MAX_NESTING:
            raise self.error(f"more than {MAX_NESTING} brackets inside one another: write the plan with fewer", start)
        self.at += 1
        self.open += 1
        found = read()
        self.close(start, closing, hint)
        self.open -= 1
        return found

    def close(self, start: int, closing: str, hint: str) -> None:
        """Step over the bracket that closes the one at `start`."""
        self.take(_SPACES)
        if not self.char:
            raise self.error(f"this {self.text[start]} is never closed: add a {closing}", start)
        if not self.skip(closing):
            raise self.misplaced(hint)
