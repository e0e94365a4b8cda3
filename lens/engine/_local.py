"""Work on background threads of this process."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any, Protocol

from lens._limits import higher, limit
from lens._memory import give_back
from lens.errors import LensError, Superseded

__all__ = ["Engine", "InlineEngine", "LocalEngine", "Superseded"]

QUIET = 1.0  # seconds without work after which memory is given back: nobody drags a slider that slowly

Report = Callable[[Any], None]  # tells how far work has come; raises Superseded once nobody waits for it
Work = Callable[[Report], Any]
Heard = Callable[[Any], None]
Failed = Callable[[Exception], None]


class Engine(Protocol):
    """Runs work for panels; in each channel only the latest request is answered."""

    def submit(self, channel: str, work: Work, then: Heard, failed: Failed, progress: Heard | None = None) -> None:
        """Call `then(work(report))`, or `failed(error)`, and `progress(x)` for each `report(x)`."""

    def cancel(self, channel: str) -> None:
        """Nobody waits for `channel` any more: it is not answered, and its work ends at its next report."""

    def close(self) -> None:
        """Cancel everything and take no more work."""


class InlineEngine:
    """Does the work at once, in the caller's thread: for tests and scripts."""

    def submit(self, channel: str, work: Work, then: Heard, failed: Failed, progress: Heard | None = None) -> None:
        """Call `then(work(report))`, or `failed(error)`, and `progress(x)` for each `report(x)`."""
        _settle(lambda: work(progress or _unheard), then, failed)()

    def cancel(self, channel: str) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing is under way."""


class LocalEngine:
    """Worker threads, one unless more are asked for.

    Work that has not begun when newer work comes for its channel never runs. Answers are delivered on the event loop
    that `submit` was called from, if there is one (a kernel's), so that a panel is only ever touched from one thread.
    There, once it has been quiet for a moment, what work has freed is given back to the system.
    """

    def __init__(self, workers: int = 1) -> None:
        self._waiting: OrderedDict[str, Callable[[], None]] = OrderedDict()
        self._latest: dict[str, object] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="lens")
        self._resting: asyncio.TimerHandle | None = None

    def submit(self, channel: str, work: Work, then: Heard, failed: Failed, progress: Heard | None = None) -> None:
        """Call `then(work(report))`, or `failed(error)`, and `progress(x)` for each `report(x)`."""
        ticket, deliver = object(), _deliverer()
        begun: list[float] = []

        def when_latest(call: Callable[[], None]) -> None:
            deliver(lambda: call() if self._latest.get(channel) is ticket else None)

        def report(value: Any) -> None:
            if self._latest.get(channel) is not ticket:
                raise Superseded
            _in_time(begun[0])
            when_latest(lambda: (progress or _unheard)(value))

        def timed() -> Any:
            begun.append(time.monotonic())
            return work(report)

        def whole() -> None:
            when_latest(_settle(timed, then, failed))
            deliver(self._rest)

        with self._lock:
            self._latest[channel] = ticket
            self._waiting[channel] = whole
        self._threads.submit(self._next)

    def cancel(self, channel: str) -> None:
        """Nobody waits for `channel` any more: it is not answered, and its work ends at its next report."""
        with self._lock:
            self._latest.pop(channel, None)
            self._waiting.pop(channel, None)

    def close(self) -> None:
        """Cancel everything and take no more work."""
        with self._lock:
            self._latest.clear()
            self._waiting.clear()
        self._wake()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _rest(self) -> None:
        """Give memory back in a moment, unless there is work again; where no loop runs, a script goes on at once."""
        self._wake()
        with suppress(RuntimeError):
            self._resting = asyncio.get_running_loop().call_later(QUIET, self._give_back)

    def _give_back(self) -> None:
        with suppress(RuntimeError):  # closed meanwhile
            self._threads.submit(give_back)

    def _wake(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _next(self) -> None:
        with self._lock:
            task = self._waiting.popitem(last=False)[1] if self._waiting else None
        if task:
            task()


def _unheard(_: Any) -> None:
    """Progress that nobody listens to."""


def _settle(work: Callable[[], Any], then: Heard, failed: Failed) -> Callable[[], None]:
    """Do the work; what remains to be called with its outcome."""
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to the panel that asked
        caught = error
        return lambda: failed(caught)
    return lambda: then(result)


def _in_time(begun: float) -> None:
    """LensError once work has taken the seconds that it may, by a clock that never jumps."""
    if time.monotonic() - begun > (most := limit("seconds")):
        raise LensError(f"This took longer than {most:,} seconds, and was stopped. {higher('seconds')}")


def _deliverer() -> Callable[[Callable[[], None]], Any]:
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:  # no loop runs here: a script
        return lambda call: call()
