"""Plan × Recording → streams and logits."""

from __future__ import annotations

from lens.execution._interpreter import apply_cast, execute, outcome
from lens.execution._maps import maps_for
from lens.execution._run import run

__all__ = ["apply_cast", "execute", "maps_for", "outcome", "run"]
