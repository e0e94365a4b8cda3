"""Plans: what runs, in which order, as values that print as text and parse back."""

from __future__ import annotations

from lens.plans._alternation import best_alternation, even_alternation
from lens.plans._grammar import MAX_TEXT
from lens.plans._plan import Plan
from lens.plans._recipe import Choice, Count, Parameter, Recipe, Scale, centred, recipe, recipes
from lens.plans._stages import MAX_APPLICATIONS, MAX_NESTING, PARTS, Blocks, Branch, Group, Jump, Parallel, Stage

__all__ = [
    "MAX_APPLICATIONS",
    "MAX_NESTING",
    "MAX_TEXT",
    "PARTS",
    "Blocks",
    "Branch",
    "Choice",
    "Count",
    "Group",
    "Jump",
    "Parallel",
    "Parameter",
    "Plan",
    "Recipe",
    "Scale",
    "Stage",
    "best_alternation",
    "centred",
    "even_alternation",
    "recipe",
    "recipes",
]
