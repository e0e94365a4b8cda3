"""Where work runs: off the caller's thread, only the latest request answered, results kept within a byte budget."""

from __future__ import annotations

from lens.engine._local import Engine, InlineEngine, LocalEngine, Superseded

__all__ = ["Engine", "InlineEngine", "LocalEngine", "Superseded"]
