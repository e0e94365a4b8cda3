"""What transformers changes for the whole process while it builds a model, held to the thread that builds.

`from_pretrained` replaces `PreTrainedModel.tie_weights` by nothing and sets torch's default dtype, and puts back what
it found. Two threads in it at once put back each other's: from then on no model has its weights tied, or every tensor
is half precision, until the process ends. lens loads in a thread of its own, so it owes that thread's company a mend.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import PreTrainedModel, initialization, modeling_utils

from lens.errors import ModelError

__all__ = ["hold_to_threads"]

PATIENCE = 10.0  # seconds that a build begun before the mend may take; it is over in milliseconds
HERE = threading.local()
BUILDING = threading.RLock()
Base: Any = PreTrainedModel  # whose method is replaced, which types do not allow


def hold_to_threads() -> None:
    """Make building models in several threads safe, whoever does; ModelError if it is too late for that."""
    if not hasattr(modeling_utils.local_torch_dtype, "alone"):
        modeling_utils.local_torch_dtype = _one_at_a_time(modeling_utils.local_torch_dtype)
    if hasattr(initialization, "no_tie_weights"):  # as later releases of 5 do; the first untied no weights
        initialization.no_tie_weights = _no_tie_weights
        _guard_tying()


@contextmanager
def _no_tie_weights() -> Iterator[None]:
    """In the place of transformers' own: no weights are tied by this thread."""
    _guard_tying()
    HERE.untied = getattr(HERE, "untied", 0) + 1
    try:
        yield
    finally:
        HERE.untied -= 1


def _one_at_a_time(changed: Callable[..., Any]) -> Callable[..., Any]:
    """A context that changes the process, entered by one thread at a time; of those around a build it is outermost."""

    @contextmanager
    def alone(*arguments: Any, **options: Any) -> Iterator[None]:
        with BUILDING, changed(*arguments, **options):
            yield

    alone.alone = True  # type: ignore[attr-defined]
    return alone


def _guard_tying() -> None:
    end = time.monotonic() + PATIENCE
    while (tie := Base.tie_weights).__name__ != "tie_weights":  # a build that began before the mend
        if time.monotonic() > end:
            raise ModelError(
                "transformers ties no weights any more: two models were loaded in two threads at once before lens was "
                "imported. Restart the kernel, and import lens before you load models in threads."
            )
        time.sleep(0.01)
    if not hasattr(tie, "__wrapped__"):
        Base.tie_weights = _unless_untied(tie)


def _unless_untied(tie: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(tie)
    def tie_weights(model: Any, *arguments: Any, **options: Any) -> Any:
        return None if getattr(HERE, "untied", 0) else tie(model, *arguments, **options)

    return tie_weights
