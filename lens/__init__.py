"""See, live, what every layer of a transformer makes of a sentence.

Nothing heavy is imported until a name is used: `import lens` alone loads neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from lens._version import __version__ as __version__

if TYPE_CHECKING:
    from lens._source import embedded
    from lens.analyses import (
        alternation,
        compare_plan,
        composition,
        curves,
        early_exit,
        exit_times,
        fit,
        latency,
        layers,
        loops,
        orders,
        painters,
        r2,
        read,
        submodules,
        sweep,
        transfer,
        windows,
    )
    from lens.casts import Maps
    from lens.errors import LensError
    from lens.execution import as_model, generate, maps_for, run
    from lens.models import Model, load
    from lens.numerics import Reading
    from lens.panels import explore
    from lens.plans import Plan, recipe, recipes

__all__ = [
    "LensError",
    "Maps",
    "Model",
    "Plan",
    "Reading",
    "alternation",
    "as_model",
    "compare_plan",
    "composition",
    "curves",
    "early_exit",
    "embedded",
    "exit_times",
    "explore",
    "fit",
    "generate",
    "latency",
    "layers",
    "load",
    "loops",
    "maps_for",
    "orders",
    "painters",
    "r2",
    "read",
    "recipe",
    "recipes",
    "run",
    "submodules",
    "sweep",
    "transfer",
    "windows",
]

_HOMES: Final = {
    "compare_plan": "lens.analyses",
    "latency": "lens.analyses",
    "windows": "lens.analyses",
    "sweep": "lens.analyses",
    "painters": "lens.analyses",
    "orders": "lens.analyses",
    "loops": "lens.analyses",
    "layers": "lens.analyses",
    "LensError": "lens.errors",
    "Maps": "lens.casts",
    "Model": "lens.models",
    "Plan": "lens.plans",
    "Reading": "lens.numerics",
    "alternation": "lens.analyses",
    "composition": "lens.analyses",
    "curves": "lens.analyses",
    "early_exit": "lens.analyses",
    "exit_times": "lens.analyses",
    "r2": "lens.analyses",
    "submodules": "lens.analyses",
    "transfer": "lens.analyses",
    "embedded": "lens._source",
    "explore": "lens.panels",
    "fit": "lens.analyses",
    "load": "lens.models",
    "read": "lens.analyses",
    "run": "lens.execution",
    "as_model": "lens.execution",
    "generate": "lens.execution",
    "maps_for": "lens.execution",
    "recipe": "lens.plans",
    "recipes": "lens.plans",
}

_ROOMS: Final = ("cluster", "panels", "views")  # whole modules: lens.panels.jump(model), lens.views.curves(…)


def __getattr__(name: str) -> Any:
    """Fetch a public name from its module at first use, and keep it."""
    if name in _ROOMS:
        return import_module(f"lens.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'lens' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Every public name, loaded or not."""
    return sorted({*globals(), *__all__})
