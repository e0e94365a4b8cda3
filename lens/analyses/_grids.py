"""The figures of "Layers as Painters", and those it leaves out, as sweeps over two axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lens._limits import higher, limit
from lens.analyses._chosen import whole_number
from lens.analyses._sweep import Plans, Row, sweep
from lens.errors import LensError
from lens.models import Model
from lens.numerics import Grid, Sweep
from lens.plans import Plan, centred, recipe
from lens.wire import served

__all__ = ["PAINTERS", "loops", "orders", "painters", "windows"]

PAINTERS = ("skip", "middle repeat", "reverse", "random", "parallel", "looped parallel")
Cells = dict[tuple[str, int], list[Plan]]  # (row, column) -> plans


@served(stays=("memory",), options=sweep)
def painters(
    model: Model,
    texts: Sequence[str],
    *,
    recipes: Sequence[str] = PAINTERS,
    seeds: int = 10,
    stream: Callable[[Grid], None] | None = None,
    **options: Any,
) -> Grid:
    """Every recipe on the centred windows of all sizes M = T − 2N − 1 ("Layers as Painters", figures 4 to 9).

    `random` is the mean over `seeds` orders, looped parallel goes round three times, as in the paper. `options` are
    those of `sweep`, and `stream` gets the grid as it fills. Rows are recipes, columns M.
    """
    return _done(model, texts, _painters(model, recipes, seeds), stream, options)


@served(stays=("memory",), options=sweep)
def windows(
    model: Model,
    texts: Sequence[str],
    *,
    recipe: str = "skip",
    parameters: dict[str, Any] | None = None,
    stream: Callable[[Grid], None] | None = None,
    **options: Any,
) -> Grid:
    """A recipe on every window: rows are its first block, columns the block after its last.

    "repeat" is the (i, j) map of doubled layers, "skip" that of removed ones. `parameters` are the recipe's own.
    """
    return _done(model, texts, _windows(model, recipe, parameters or {}), stream, options)


@served(stays=("memory",), options=sweep)
def loops(
    model: Model,
    texts: Sequence[str],
    *,
    join: str = "mean",
    most: int | None = None,
    stream: Callable[[Grid], None] | None = None,
    **options: Any,
) -> Grid:
    """Looped parallel on the centred windows: rows are M, columns the loops k from 1 to `most` (the largest M).

    `join` says what one loop does: "mean" adds the mean of the updates (the paper), so that k loops make about k/M of
    what the blocks in turn make; "sum" adds their sum; "scaled" adds 1/k of the sum, so that k loops make all of it.
    """
    return _done(model, texts, _loops(model, join, most), stream, options)


@served(stays=("memory",), options=sweep)
def orders(
    model: Model, texts: Sequence[str], *, n: int | None = None, samples: int = 50, seed: int = 0, **options: Any
) -> Sweep:
    """Random orders of the centred window, one row each, named by the seed; `Plan.inversions` says how far each is off.

    Small windows have few orders, the true one among them: equal plans run once, and each counts as often as it came.
    """
    n_blocks = model.n_blocks
    n = (n_blocks - 1) // 4 if n is None else n
    _require_count("samples", samples)
    seed = whole_number("seed", seed, 0)
    plans: Plans = {f"seed {k}": recipe("random", n_blocks, n=n, seed=k) for k in range(seed, seed + samples)}
    return sweep(model, texts, plans, **options)


def _painters(model: Model, recipes: Sequence[str], seeds: int) -> tuple[str, str, str, Cells]:
    n_blocks = model.n_blocks
    _require_count("seeds", seeds)
    if isinstance(recipes, str) or not isinstance(recipes, Iterable):
        raise LensError(f"recipes is {recipes!r}: give a list of recipes, such as ('skip', 'reverse').")
    cells: Cells = {}
    for name in recipes:
        for n in range((n_blocks - 2) // 2, -1, -1):
            each: list[dict[str, Any]] = [{"seed": k} for k in range(seeds)] if name == "random" else [{}]
            cells[name, n_blocks - 2 * n - 1] = [recipe(name, n_blocks, n=n, **more) for more in each]
    return "strategies", "recipe", "M", cells


def _windows(model: Model, name: str, parameters: dict[str, Any]) -> tuple[str, str, str, Cells]:
    n_blocks = model.n_blocks
    if not isinstance(parameters, Mapping) or {"n", "start", "stop"} & parameters.keys():
        raise LensError(
            f"parameters is {parameters!r}: give those of the recipe by name, such as {{'times': 3}}, without a window."
        )
    cells: Cells = {}
    for start in range(n_blocks):
        for stop in range(start + 1, n_blocks + 1):
            if (start, stop) != (0, n_blocks) or name != "skip":  # nothing would be left
                cells[str(start), stop] = [recipe(name, n_blocks, start=start, stop=stop, **parameters)]
    return f"{name} on every window", "start", "stop", cells


def _loops(model: Model, join: str, most: int | None) -> tuple[str, str, str, Cells]:
    if join not in ("mean", "sum", "scaled"):
        raise LensError(f'join is {join!r}: give "mean", "sum" or "scaled".')
    n_blocks = model.n_blocks
    most = n_blocks - 1 if most is None else most
    _require_count("most", most)
    cells: Cells = {}
    for n in range((n_blocks - 2) // 2, -1, -1):
        start, stop = centred(n_blocks, n)
        size = stop - start
        for k in range(1, most + 1):
            how: dict[str, dict[str, Any]] = {
                "mean": {},
                "sum": {"combine": "sum"},
                "scaled": {"scale": round(size / k, 4)},
            }
            cells[str(size), k] = [recipe("looped parallel", n_blocks, n=n, k=k, **how[join])]
    return f"looped parallel, {join}", "M", "k", cells


def _require_count(name: str, count: int) -> None:
    """LensError for what is no number of plans, or for more than may be asked for: each is a plan in memory."""
    if type(count) is not int or not 1 <= count <= limit("plans"):
        raise LensError(f"{name} is {count!r}: give a whole number from 1 to {limit('plans'):,}. {higher('plans')}")


def _done(
    model: Model,
    texts: Sequence[str],
    made: tuple[str, str, str, Cells],
    stream: Callable[[Grid], None] | None,
    options: dict[str, Any],
) -> Grid:
    each = None if stream is None else lambda found: stream(_grid(*made, found))
    plans: dict[str, Row] = {f"{row} {column}": plans for (row, column), plans in made[3].items()}
    return _grid(*made, sweep(model, texts, plans, stream=each, **options))


def _grid(title: str, row_axis: str, column_axis: str, cells: Cells, found: Sweep) -> Grid:
    rows, columns = list(dict.fromkeys(row for row, _ in cells)), sorted({column for _, column in cells})
    at = np.full((len(rows), len(columns)), -1)
    for number, (row, column) in enumerate(cells):
        at[rows.index(row), columns.index(column)] = number
    return Grid(title, row_axis, column_axis, tuple(rows), tuple(columns), at, found)
