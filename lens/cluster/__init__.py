"""Where work runs for many: on a Ray cluster. Nothing of Ray is imported before it is needed."""

from __future__ import annotations

from lens.cluster._fit import Workers
from lens.cluster._ray import ray
from lens.cluster._serve import Serving, died, start, stop

__all__ = ["Serving", "Workers", "died", "ray", "start", "stop"]
