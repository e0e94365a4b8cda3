"""A cache that forgets what was used longest ago once it holds too many bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

__all__ = ["ByteCache"]


class ByteCache:
    """Least-recently-used results, at most `budget` bytes of them by the size that each is stored with."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.held = 0
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def peek(self, key: Hashable) -> Any:
        """What is stored under `key`, or None."""
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key][0]

    def get(self, key: Hashable, make: Callable[[], tuple[Any, int]]) -> Any:
        """What is stored under `key`, or what `make` returns as (result, bytes); too large a result is not kept."""
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
                return self._items[key][0]
        value, size = make()
        self.keep(key, value, size)
        return value

    def keep(self, key: Hashable, value: Any, size: int) -> None:
        """Store a result of `size` bytes, unless there is one or it is too large."""
        with self._lock:
            if key not in self._items and size <= self.budget:
                self._items[key] = value, size
                self.held += size
            while self.held > self.budget:
                _, (_, freed) = self._items.popitem(last=False)
                self.held -= freed

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()
            self.held = 0
