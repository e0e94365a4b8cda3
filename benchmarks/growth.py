"""How time grows with layers, width, tokens and vocabulary: `python -m benchmarks.growth [--picture FILE.svg]`.

Reading, fitting, sweeping and loading, along every axis that each depends on, the others at a middle size. The exponent
is the slope of a straight line through the logarithms. What is expected is that of the counted multiplications (of
weights with vectors, and of attention) over the same sizes; what each call costs however small makes it less.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lens
from benchmarks._measure import gpt2, interleaved, machine, made_maps, options, say, table, text_of
from benchmarks._picture import loglog
from lens.analyses import heldout_sentences

MIDDLE = {"blocks": 6, "width": 256, "tokens": 64, "vocabulary": 10000}
AXES = {
    "blocks": (3, 6, 12),
    "width": (128, 256, 512),
    "tokens": (16, 64, 256, 512),
    "vocabulary": (5000, 10000, 20000, 40000),
}
SENTENCES = 16


def main() -> None:
    asked = options(__doc__, picture={"type": Path})
    middle = {"blocks": 2, "width": 64, "tokens": 8, "vocabulary": 4200} if asked.tiny else MIDDLE
    axes = {"blocks": (1, 2), "tokens": (4, 8)} if asked.tiny else AXES
    lines: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    rows = []
    for axis, values in axes.items():
        sizes = [{**middle, axis: value} for value in values]
        for job, seconds in timed(axis, sizes, asked).items():
            lines.setdefault(axis, {})[job] = list(map(float, values)), seconds
            expected = slope(values, [multiplied(job, one) for one in sizes])
            times = " · ".join(f"{1e3 * second:,.0f}" for second in seconds)
            named = " · ".join(f"{value:,}" for value in values)
            rows.append([axis, named, job, times, f"{slope(values, seconds):.2f}", f"{expected:.2f}"])
    say(f"Otherwise {middle}. n = {asked.rounds}, medians. {machine(clock=asked.clock)}.\n")
    say(table(["along", "sizes", "what", "ms", "exponent", "expected"], rows))
    if asked.picture:
        asked.picture.write_text(loglog(lines), encoding="utf-8")


def timed(axis: str, sizes: list[dict[str, int]], asked: argparse.Namespace) -> dict[str, list[float]]:
    """Median seconds of each work that depends on `axis`, at each size; the sizes take turns."""
    found = {}
    with tempfile.TemporaryDirectory() as made:
        works = [jobs(one, Path(made) / str(one[axis])) for one in sizes]
        for job in works[0]:
            if axis in NEEDS[job]:
                each = interleaved({str(at): work[job] for at, work in enumerate(works)}, asked.rounds, asked.clock)
                found[job] = [spent.median for spent in each.values()]
    return found


NEEDS = {
    "read": set(AXES),
    "fit": {"blocks", "width"},
    "sweep": set(AXES) - {"tokens"},
    "load": {"blocks", "width", "vocabulary"},
}


def jobs(one: dict[str, int], folder: Path) -> dict[str, Callable[[], Any]]:
    """The four works on a model of this size, whose weights are put in `folder`."""
    model = gpt2(one["blocks"], one["width"], one["vocabulary"])
    maps, text, texts = made_maps(model), text_of(model, one["tokens"]), heldout_sentences()[:SENTENCES]
    model.hf.save_pretrained(folder)
    plans = [f"0-{last}" for last in range(one["blocks"])]
    return {
        "read": lambda: lens.read(model, text, maps=maps),
        "fit": lambda: lens.fit(model, texts),
        "sweep": lambda: lens.sweep(model, texts, plans),
        "load": lambda: lens.load(folder, tokenizer=model.tokenizer).hf,
    }


def multiplied(job: str, one: dict[str, int]) -> float:
    """Multiplications of a work, up to a factor."""
    blocks, width, tokens, vocabulary = (float(one[axis]) for axis in AXES)
    block = 12 * width**2 + 2 * tokens * width
    if job == "read":
        return tokens * (blocks * (block + width**2) + (2 * blocks + 1) * width * vocabulary)
    if job == "fit":
        words = 20 * SENTENCES
        return words * blocks * 12 * width**2 + blocks**2 / 2 * (SENTENCES * width**2 + width**3)
    if job == "sweep":
        return 20 * SENTENCES * (blocks * 12 * width**2 + blocks * width * vocabulary)
    return blocks * 12 * width**2 + width * vocabulary


def slope(sizes: Any, values: Any) -> float:
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


if __name__ == "__main__":
    main()
