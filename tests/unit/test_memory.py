"""What was freed goes back to the system, also from between what is held."""

from __future__ import annotations

import psutil

from lens import _memory

BLOCK = 100_000  # bytes: less than glibc asks the system for one by one


def test_what_was_freed_between_what_is_held_goes_back() -> None:
    process, held = psutil.Process(), [bytes([1]) * BLOCK for _ in range(600)]
    full = process.memory_info().rss
    del held[::2]
    kept = process.memory_info().rss
    _memory.give_back()
    back = process.memory_info().rss
    if _memory._trim() is not None:  # glibc: else there is nothing to ask
        assert full - kept < 100 * BLOCK  # or it went back by itself
        assert kept - back > 200 * BLOCK
    assert all(block[-1] == 1 for block in held)
