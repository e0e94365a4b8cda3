"""Ray, which comes with an extra."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

from lens.errors import LensError

__all__ = ["ray"]


def ray() -> Any:
    """The module `ray`; LensError where it is not installed."""
    if find_spec("ray") is None or find_spec("ray.serve") is None:
        raise LensError("A cluster needs Ray, which is not installed: pip install 'layer-lens[cluster]'.")
    return importlib.import_module("ray")
