"""Keys and values of a plan: one slot for each time that a block runs."""

from __future__ import annotations

import inspect
from copy import copy
from functools import cache
from typing import Any

from torch import Tensor

__all__ = ["CACHE_NAMES", "cache_name", "slot_cache"]

CACHE_NAMES = ("cache", "past_key_values")  # since transformers 5.24, and before


def cache_name(hf: Any) -> str | None:
    """The name by which the forward of `hf` takes keys and values, and its output gives them; None if it keeps none."""
    taken = inspect.signature(hf.forward).parameters
    return next((name for name in CACHE_NAMES if name in taken), None)


def slot_cache(config: Any, applications: int, given: Any = None) -> Any:
    """A cache for a plan in which blocks run `applications` times, in the place of the empty cache `given`.

    A block that runs twice has two pasts, and a block on one branch knows nothing of another's: each (stage, branch,
    loop) keeps keys and values of its own, which is what the same plan without a cache computes. Slots are taken in the
    order in which the plan runs, the same at every token. Where `given` records what a window lets go of, so that
    generate can take tokens back, so does each slot.
    """
    made = _slots()(config, applications)
    if any(getattr(layer, "record_past", False) for layer in getattr(given, "layers", ())):
        made.activate_past_recording()
    return made


@cache
def _slots() -> Any:
    from transformers import DynamicCache

    class SlotCache(DynamicCache):
        """`layers` are the slots; a kind of layer (full or sliding attention) is known by the block's number."""

        def __init__(self, config: Any, applications: int) -> None:
            super().__init__(config=config)
            self._kinds: list[Any] = self.layers
            self.layers: list[Any] = []
            self.layer_class_to_replicate = None
            self._applications = applications
            self._updates = 0
            self.seen = 0

        def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> Any:
            """Add the keys and values of the next application of a block."""
            slot = self._updates % self._applications
            self._updates += 1
            if slot == len(self.layers):
                self.layers.append(copy(self._kinds[layer_idx]))
            return self.layers[slot].update(key_states, value_states, *args, **kwargs)

        def get_seq_length(self, layer_idx: int = 0) -> int:
            """How many tokens the plan has read."""
            return self.seen

        def get_mask_sizes(self, query_length: int | Tensor, layer_idx: int) -> tuple[int, int]:
            """Length and offset of the keys that a block of that kind has; early releases of 5 give the positions."""
            like = self._kinds[layer_idx]
            for layer in self.layers:
                if type(layer) is type(like):
                    sizes: tuple[int, int] = layer.get_mask_sizes(query_length)
                    return sizes
            return self.seen + (query_length if isinstance(query_length, int) else len(query_length)), 0

        @property
        def is_sliding(self) -> list[bool]:
            """For each block whether it looks back over a window only."""
            return [getattr(kind, "is_sliding", False) for kind in self._kinds]

        @property
        def is_linear(self) -> list[bool]:
            """No block with a recurrent state comes this far."""
            return [False] * len(self._kinds)

        @property
        def is_dummy(self) -> list[bool]:
            """Every block keeps what it has seen."""
            return [False] * len(self._kinds)

        def activate_past_recording(self) -> None:
            """Record what windows let go of, in slots yet to come, too."""
            for layer in (*self._kinds, *self.layers):
                if hasattr(layer, "activate_past_recording"):
                    layer.activate_past_recording()

        def crop(self, tokens_to_remove: int) -> None:
            """Forget the last tokens: as many as Hugging Face's negative number says."""
            super().crop(tokens_to_remove)
            self.seen -= abs(tokens_to_remove)

        def reset(self) -> None:
            """Forget everything."""
            self.layers.clear()
            self._updates = self.seen = 0

    return SlotCache
