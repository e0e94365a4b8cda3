"""Main memory: how much is free, what is given back of it, and words for where it runs out in the middle of work.

There, what filled it is let go, and the next request finds room.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import psutil

from lens.errors import LensError

__all__ = ["UNLIMITED", "cgroup_free", "give_back", "main_memory_free", "memory_in_words", "ran_out", "said_of"]

UNLIMITED = 1 << 60  # cgroup v1 says "no limit" with a number of this size

P = ParamSpec("P")
R = TypeVar("R")

# what PyTorch's CPU and GPU, cuBLAS and their like say: RuntimeErrors all, some of a class of their own
SAID = re.compile(r"can't allocate memory|not enough memory|out of memory|CUBLAS_STATUS_ALLOC_FAILED|bad_?alloc", re.I)
ASKED = re.compile(r"tried to allocate ([\d.]+ ?(?:bytes|[KMGT]i?B))", re.I)


def memory_in_words(work: Callable[P, R]) -> Callable[P, R]:
    """The same work; where memory runs out in it, a LensError says so and what to ask for instead."""

    @functools.wraps(work)
    def bounded(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return work(*arguments, **options)
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            said = said_of(error)
        raise LensError(said)  # here, where `error` is gone: its trace holds on to all that filled the memory

    return bounded


def said_of(error: BaseException) -> str:
    """What a person reads when memory ran out."""
    asked = ASKED.search(str(error))
    return (
        f"Memory ran out{f', where {asked[1]} more were asked for' if asked else ''}. Ask for less at once: a shorter "
        "text, fewer texts, plans, layers or pairs, a smaller model, or dtype='bfloat16'. "
        "What there was before is still there."
    )


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory, of the machine or of its GPU, ran out."""
    return isinstance(error, MemoryError) or bool(isinstance(error, RuntimeError) and SAID.search(str(error)))


def give_back() -> None:
    """Give the system what was freed: glibc keeps the holes between what is still held, for each of its arenas."""
    if trim := _trim():
        trim(0)


@functools.cache
def _trim() -> Any:
    """glibc's function; None with another C library, which has none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


def main_memory_free() -> int:
    """Bytes of main memory that are free, within what a container, batch system or `ulimit -v` allows."""
    return min(int(psutil.virtual_memory().available), cgroup_free(Path("/")), _within_ulimit())


def _within_ulimit() -> int:
    """Bytes that `ulimit -v` leaves this process, as some clusters set it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return UNLIMITED
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    return UNLIMITED if allowed == resource.RLIM_INFINITY else max(0, allowed - int(psutil.Process().memory_info().vms))


def cgroup_free(root: Path) -> int:
    """Bytes that the control groups of this process leave it (both versions), read under `root`."""
    return min((_left(*files) for files in _limits(root)), default=UNLIMITED)


def _limits(root: Path) -> list[tuple[Path, Path, Path]]:
    """For this process's groups and those they are in: the files with the limit, the usage and the details."""
    found = []
    listing = root / "proc/self/cgroup"
    for line in listing.read_text().splitlines() if listing.is_file() else []:
        _, controllers, inside = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        base = root / "sys/fs/cgroup" / controllers
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        relative = Path(inside.lstrip("/"))
        groups = [base / part for part in (relative, *relative.parents)]
        found += [(group / names[0], group / names[1], group / "memory.stat") for group in groups]
    return found


def _left(limit: Path, usage: Path, details: Path) -> int:
    try:
        allowed, used = limit.read_text().strip(), int(usage.read_text())
    except (OSError, ValueError):  # the root group has no limit; a container may hide the outer ones
        return UNLIMITED
    if allowed == "max" or int(allowed) >= UNLIMITED:
        return UNLIMITED
    return max(0, int(allowed) - used + _reclaimable(details))


def _reclaimable(details: Path) -> int:
    """File pages kept only for speed: they count as used, but are given up when memory is asked for."""
    lines = details.read_text().splitlines() if details.is_file() else []
    found = dict(line.split() for line in lines)
    return int(found.get("total_inactive_file", found.get("inactive_file", 0)))
