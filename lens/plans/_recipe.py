"""What a recipe is: a named way from a few parameters to a plan, and the windows that most of them work on."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from lens._discovery import discover
from lens.errors import PlanError
from lens.plans._plan import Plan
from lens.plans._stages import PARTS, Blocks, Stage

__all__ = [
    "CAST",
    "COMBINE",
    "PART",
    "Choice",
    "Count",
    "Parameter",
    "Recipe",
    "Scale",
    "centred",
    "recipe",
    "recipes",
    "stages_between",
]

Value = int | float | str


@dataclass(frozen=True)
class Count:
    """A whole number from `low`; `block` says that it names a block and must exist in the model."""

    name: str
    default: int
    low: int = 0
    block: bool = False

    def check(self, value: object, n_blocks: int) -> None:
        """Refuse, with what is allowed, what is no such number."""
        high = n_blocks - 1 if self.block else None
        if type(value) is not int or value < self.low or (high is not None and value > high):
            allowed = f"from {self.low}" + ("" if high is None else f" to {high}")
            raise PlanError(f"{self.name} is {reprlib.repr(value)}: give a whole number {allowed}")


@dataclass(frozen=True)
class Choice:
    """One of a few words, or, without `options`, any word that plans know for it."""

    name: str
    default: str
    options: tuple[str, ...] = ()

    def check(self, value: object, n_blocks: int) -> None:
        """Refuse, with what is allowed, what is no such word."""
        if not isinstance(value, str) or (self.options and value not in self.options):
            raise PlanError(f"{self.name} is {reprlib.repr(value)}: give {' or '.join(self.options) or 'a name'}")


@dataclass(frozen=True)
class Scale:
    """A number that scales a mean; the plan itself refuses what cannot."""

    name: str = "scale"
    default: float = 1.0

    def check(self, value: object, n_blocks: int) -> None:
        """Nothing that the parallel stage does not check."""


Parameter = Count | Choice | Scale
CAST: Final = Choice("cast", "mat")
COMBINE: Final = Choice("combine", "mean", ("mean", "sum"))
PART: Final = Choice("part", "attn", PARTS)


@dataclass(frozen=True)
class Recipe:
    """A named way to make a plan for a model of any depth.

    `build(n_blocks, **parameters)` gives the plan. With `window` it also takes `start` and `stop`, the blocks
    start … stop − 1 that it works on, which a caller may give as `n` instead ("Layers as Painters": N, centred).
    """

    name: str
    help: str  # one line: what runs instead
    build: Callable[..., Plan]
    parameters: tuple[Parameter, ...] = ()
    window: bool = True

    def __call__(self, n_blocks: int, **given: Value) -> Plan:
        """The plan; PlanError says which parameter is amiss, and what is allowed."""
        if type(n_blocks) is not int or n_blocks < 1:
            raise PlanError(f"a model has at least one block, not {reprlib.repr(n_blocks)}")
        known = {parameter.name: parameter for parameter in self.parameters}
        places = self._window(n_blocks, given) if self.window else {}
        if unknown := sorted(given.keys() - known.keys() - ({"n", "start", "stop"} if self.window else set())):
            takes = ", ".join([*(("n, or start and stop",) if self.window else ()), *known])
            raise PlanError(f"{self.name} takes no {', '.join(unknown)}: it takes {takes}")
        values = {name: given.get(name, parameter.default) for name, parameter in known.items()}
        for name, parameter in known.items():
            parameter.check(values[name], n_blocks)
        return self.build(n_blocks, **places, **values).check(n_blocks)

    def _window(self, n_blocks: int, given: Mapping[str, Value]) -> dict[str, int]:
        if "n" in given:
            if {"start", "stop"} & given.keys():
                raise PlanError("give n, or start and stop, not both")
            start, stop = centred(n_blocks, given["n"])
        else:
            whole = {"start", "stop"} <= given.keys()  # then a model of one block, which has no middle, needs none
            default = (0, n_blocks) if whole else centred(n_blocks, (n_blocks - 1) // 4)
            start, stop = given.get("start", default[0]), given.get("stop", default[1])  # type: ignore[assignment]
        if type(start) is not int or type(stop) is not int or not 0 <= start < stop <= n_blocks:
            raise PlanError(
                f"the window is {reprlib.repr(start)} to {reprlib.repr(stop)}: give whole numbers with "
                f"0 ≤ start < stop ≤ {n_blocks}; it holds the blocks from start to stop − 1"
            )
        return {"start": start, "stop": stop}


def centred(n_blocks: int, n: object) -> tuple[int, int]:
    """The paper's window by N, blocks N + 1 … T − N − 1, as (start, stop): T − 2N − 1 blocks of T."""
    most = (n_blocks - 2) // 2
    if type(n) is not int or not 0 <= n <= most:
        raise PlanError(
            f"n is {reprlib.repr(n)}: for {n_blocks} blocks give a whole number from 0 to {most}"
            if most >= 0
            else "a model of one block has no middle: give start and stop"
        )
    return n + 1, n_blocks - n


def stages_between(n_blocks: int, start: int, stop: int, *middle: Stage) -> Plan:
    """True blocks before the window, `middle` in its place, true blocks after it."""
    before = (Blocks(0, start - 1),) if start else ()
    after = (Blocks(stop, n_blocks - 1),) if stop < n_blocks else ()
    if not (before or middle or after):
        raise PlanError("nothing would run: leave at least one block out of the window")
    return Plan((*before, *middle, *after))


@cache
def recipes() -> dict[str, Recipe]:
    """Every recipe by name."""
    found, broken = discover("lens.plans.cookbook", "RECIPE", lambda each: (each.name,))
    if broken:
        raise ImportError(f"lens.plans.cookbook: {broken}")
    return found


def recipe(name: str, n_blocks: int, **parameters: Value) -> Plan:
    """The plan of a recipe for a model of `n_blocks` blocks: `recipe("reverse", 12, n=3)`.

    Where a recipe works on a window, that is the paper's centred one by `n`, or blocks `start` … `stop` − 1. Raises
    PlanError for a name that is none, or a parameter that does not fit.
    """
    if not isinstance(name, str) or name not in recipes():
        raise PlanError(f"there is no recipe {name!r}; the recipes are {', '.join(recipes())}")
    return recipes()[name](n_blocks, **parameters)
