"""Fair turns: one visitor's long work does not keep the others waiting."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, local
from typing import Any

__all__ = ["Passing", "Turn", "Turns"]

_here = local()  # the turn of the work on this thread
SLICE = 0.05  # seconds that a turn lasts at least: short questions are not interrupted, and few threads change
LOOK = 0.2  # seconds between looks whether anybody still waits for work that waits itself


class Turns:
    """At most so many pieces of work at once; whoever waits comes in the order of visitors, not of their requests.

    Work passes its turn on between two blocks, if it has had it a while, and goes on when every other visitor who waits
    has had one.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._free = at_once
        self._waiting: OrderedDict[str, deque[Event]] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def turn(self, visitor: str, go_on: Callable[[], None]) -> Iterator[Turn]:
        """A turn for a visitor on this thread, once it is theirs; `go_on` raises where the work should end instead."""
        turn = Turn(self, visitor, go_on)
        turn.take()
        _here.turn = turn
        try:
            yield turn
        finally:
            _here.turn = None
            turn.give()

    def ask(self, visitor: str) -> Event:
        """A place among those who wait; it is set when the turn has come."""
        ticket = Event()
        with self._lock:
            self._waiting.setdefault(visitor, deque()).append(ticket)
            self._grant()
        return ticket

    def leave(self, visitor: str, ticket: Event) -> None:
        """Wait no longer; a turn that has come meanwhile is given back."""
        with self._lock:
            queue = self._waiting.get(visitor)
            if queue is not None and ticket in queue:
                queue.remove(ticket)
                if not queue:
                    del self._waiting[visitor]
                return
        self.give()

    def give(self) -> None:
        """A turn is over."""
        with self._lock:
            self._free += 1
            self._grant()

    @property
    def waited_for(self) -> bool:
        """Whether anybody waits for a turn."""
        return bool(self._waiting)

    def _grant(self) -> None:
        while self._free and self._waiting:
            visitor, queue = self._waiting.popitem(last=False)
            queue.popleft().set()
            if queue:
                self._waiting[visitor] = queue  # behind all others
            self._free -= 1


class Turn:
    """One piece of work's turn."""

    def __init__(self, turns: Turns, visitor: str, go_on: Callable[[], None]) -> None:
        self._turns, self._visitor, self._go_on = turns, visitor, go_on
        self._held, self._since = False, 0.0

    def take(self) -> None:
        """Wait for it."""
        ticket = self._turns.ask(self._visitor)
        while not ticket.wait(LOOK):
            try:
                self._go_on()
            except Exception:
                self._turns.leave(self._visitor, ticket)
                raise
        self._held, self._since = True, time.monotonic()

    def give(self) -> None:
        """It is over."""
        if self._held:
            self._held = False
            self._turns.give()

    def pass_on(self) -> None:
        """Let others go first, if any wait; raises where this work should end."""
        self._go_on()
        if self._turns.waited_for and time.monotonic() - self._since > SLICE:
            self.give()
            self.take()


class Passing:
    """A model's lock, before which work that has a turn lets others go first: between two blocks, not within one."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._depth = local()

    def __enter__(self) -> None:
        depth = getattr(self._depth, "value", 0)
        turn: Turn | None = getattr(_here, "turn", None)
        if turn is not None and not depth:
            turn.pass_on()
        self._lock.acquire()
        self._depth.value = depth + 1

    def __exit__(self, *_: object) -> None:
        self._depth.value -= 1
        self._lock.release()
