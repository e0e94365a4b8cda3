"""Plan × Recording → streams and logits."""

from __future__ import annotations

from lens.execution._alike import alike
from lens.execution._export import save_checkpoint, to_mergekit
from lens.execution._generate import MAX_NEW_TOKENS, generate, generation
from lens.execution._interpreter import apply_cast, execute, outcome
from lens.execution._maps import keep_maps, maps_for
from lens.execution._onward import onward
from lens.execution._planned import as_model
from lens.execution._run import prepared, run
from lens.execution._trie import Trie, finals, trie

__all__ = [
    "MAX_NEW_TOKENS",
    "Trie",
    "alike",
    "apply_cast",
    "as_model",
    "execute",
    "finals",
    "generate",
    "generation",
    "keep_maps",
    "maps_for",
    "onward",
    "outcome",
    "prepared",
    "run",
    "save_checkpoint",
    "to_mergekit",
    "trie",
]
