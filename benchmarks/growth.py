"""How time grows with layers, width, tokens and vocabulary: `python -m benchmarks.growth [--picture FILE.svg]`.

Reading, fitting, sweeping and loading, each along every axis that it depends on, from a middle size on. The exponent is
the slope of a straight line through the logarithms. What is expected is the exponent that the counted multiplications
(of weights with vectors, and of attention) have over the same sizes; where less is multiplied than read or started, time
grows more slowly.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lens
from benchmarks._measure import gpt2, interleaved, machine, made_maps, options, say, table, text_of
from benchmarks._picture import loglog
from lens.analyses import heldout_sentences
from lens.models import Model

MIDDLE = {"blocks": 6, "width": 256, "tokens": 64, "vocabulary": 16000}
AXES = {
    "blocks": (3, 6, 12, 24),
    "width": (128, 256, 512, 1024),
    "tokens": (16, 64, 256, 1024),
    "vocabulary": (4000, 16000, 64000),
}
SENTENCES = 32


def main() -> None:
    asked = options(__doc__, picture={"type": Path})
    middle = {"blocks": 2, "width": 64, "tokens": 8, "vocabulary": 4200} if asked.tiny else MIDDLE
    axes = {"blocks": (1, 2), "tokens": (4, 8)} if asked.tiny else AXES
    lines: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    rows = []
    for axis, values in axes.items():
        sizes = [{**middle, axis: value} for value in values]
        works = [jobs(one) for one in sizes]
        for job in works[0]:
            if axis not in NEEDS[job]:
                continue
            found = interleaved({str(v): w[job] for v, w in zip(values, works, strict=True)}, asked.rounds, asked.clock)
            seconds = [found[str(value)].median for value in values]
            lines.setdefault(axis, {})[job] = list(map(float, values)), seconds
            expected = slope(values, [multiplied(job, one) for one in sizes])
            times = " · ".join(f"{1e3 * second:,.0f}" for second in seconds)
            rows.append(
                [
                    axis,
                    " · ".join(f"{v:,}" for v in values),
                    job,
                    times,
                    f"{slope(values, seconds):.2f}",
                    f"{expected:.2f}",
                ]
            )
    say(f"Otherwise {middle}. n = {asked.rounds}, medians. {machine(clock=asked.clock)}.\n")
    say(table(["along", "sizes", "what", "ms", "exponent", "expected"], rows))
    if asked.picture:
        asked.picture.write_text(loglog(lines), encoding="utf-8")


NEEDS = {
    "read": set(AXES),
    "fit": {"blocks", "width"},
    "sweep": set(AXES) - {"tokens"},
    "load": {"blocks", "width", "vocabulary"},
}


def jobs(one: dict[str, int]) -> dict[str, Callable[[], Any]]:
    """The four works on a model of this size."""
    model = gpt2(one["blocks"], one["width"], one["vocabulary"])
    maps, text, texts = made_maps(model), text_of(model, one["tokens"]), heldout_sentences()[:SENTENCES]
    folder = tempfile.TemporaryDirectory()
    model.hf.save_pretrained(folder.name)
    plans = [f"0-{last}" for last in range(one["blocks"])]
    return {
        "read": lambda: lens.read(model, text, maps=maps),
        "fit": lambda: lens.fit(model, texts),
        "sweep": lambda: lens.sweep(model, texts, plans),
        "load": lambda: _loaded(folder, model),
    }


def _loaded(folder: tempfile.TemporaryDirectory[str], model: Model) -> Any:
    return lens.load(folder.name, tokenizer=model.tokenizer).hf


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
