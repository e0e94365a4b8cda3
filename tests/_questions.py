"""What there is to be asked of a model: one question of each analysis, small enough to be asked in a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lens
from lens.analyses import heldout_sentences
from lens.models import Model

TEXT = "The old man sat by the fire"
TEXTS = heldout_sentences()[:4]
QUESTIONS: dict[str, Callable[[Model], Any]] = {
    "read": lambda m: lens.read(m, TEXT, casts=("id", "mat"), target=9, k=5),
    "compare_plan": lambda m: lens.compare_plan(m, TEXT, lens.Plan.parse("0-2 4-11")),
    "generate": lambda m: lens.generate(m, TEXT, "0-4 6-11", max_new_tokens=6, temperature=0.8, seed=3),
    "sweep": lambda m: lens.sweep(m, TEXTS, {"skip": "0-2 4-11", "two": ["0-3 5-11", "0-4 6-11"]}, by="position"),
    "windows": lambda m: lens.windows(m, TEXTS[:1], recipe="skip"),
    "loops": lambda m: lens.loops(m, TEXTS[:1], join="sum", most=2),
    "orders": lambda m: lens.orders(m, TEXTS[:1], samples=3),
    "painters": lambda m: lens.painters(m, TEXTS[:1], recipes=("skip", "random"), seeds=2),
    "layers": lambda m: lens.layers(m, TEXTS),
    "early_exit": lambda m: lens.early_exit(m, TEXTS, lambdas=(0.2, 0.5)),
    "curves": lambda m: lens.curves(m, TEXTS, by="position"),
    "r2": lambda m: lens.r2(m, TEXTS),
    "submodules": lambda m: lens.submodules(m, TEXTS),
    "alternation": lambda m: lens.alternation(m, TEXTS),
    "composition": lambda m: lens.composition(m, TEXTS),
}
