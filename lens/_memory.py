"""Memory that runs out in the middle of work, in words; what filled it is let go, and the next request finds room."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from lens.errors import LensError

__all__ = ["memory_in_words", "ran_out", "said_of"]

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
