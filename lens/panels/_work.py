"""Work of a page that takes its time: done off the UI thread, told in words where it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import traitlets
from traitlets import HasTraits

from lens._memory import ran_out, said_of
from lens.engine import Engine, LocalEngine
from lens.errors import EngineError, LensError, MapsError, TextError
from lens.wire import waiting

__all__ = ["READ", "Problem", "Report", "Work", "in_words", "unheard"]

Report = Callable[[Any], None]

READ: Final = "read"  # the channel that has a thread of its own
AWAY: Final = object()  # reported while a shared engine that went away is waited for


@dataclass(frozen=True)
class Problem:
    """What a person should be told, in the panel."""

    text: str
    kind: str = "error"  # or "info", about what was typed
    blank: bool = False  # that there is no text, which ends once there is some
    passes: bool = False  # that the same question may be answered if it is asked again


class Work(HasTraits):
    """Does the work of one page in channels, each by a name; of a channel only what was asked last is heard.

    Reading goes on while a model is loaded, maps are fitted or a sweep runs.
    """

    away = traitlets.Bool(False)  # whether a shared engine went away, and is asked again once it is back

    def __init__(self, engine: Engine | None = None) -> None:
        """`engine` does all of it, if it is given; it stays its owner's to close."""
        super().__init__()
        self._own = () if engine else (LocalEngine(), LocalEngine(workers=2))
        self._quick, self._slow = self._own or (engine, engine)
        self._waits = ""  # the channel that waits for a shared engine

    def do(
        self,
        channel: str,
        work: Callable[[Report], Any],
        then: Callable[[Any], None],
        failed: Callable[[Problem], None],
        progress: Callable[[Any], None] | None = None,
    ) -> None:
        """Call `then(work(report))` or `failed(problem)`, and `progress(x)` for each `report(x)`."""

        def aware(report: Report) -> Any:
            with waiting(lambda: report(AWAY)):
                return work(report)

        def here(hear: Callable[[Any], None]) -> Callable[[Any], None]:
            def heard(value: Any) -> None:
                self._waits = channel if value is AWAY else ""
                self.away = value is AWAY
                if not self.away:
                    hear(value)

            return heard

        engine = self._engine(channel)
        engine.submit(
            channel, aware, here(then), here(lambda error: failed(in_words(error))), here(progress or unheard)
        )

    def stop(self, channel: str) -> None:
        """Nobody waits for that work any more."""
        self._engine(channel).cancel(channel)
        if self._waits == channel:
            self.away = False

    def close(self) -> None:
        """Leave no work behind."""
        for engine in self._own:
            engine.close()

    def _engine(self, channel: str) -> Any:
        return self._quick if channel == READ else self._slow


def in_words(error: Exception) -> Problem:
    """What went wrong, as a person is told; what is a fault of lens goes to the host's log, too."""
    if isinstance(error, LensError):
        kind = "info" if isinstance(error, TextError) else "error"
        return Problem(str(error), kind, passes=isinstance(error, (EngineError, MapsError)))
    if ran_out(error):
        return Problem(said_of(error))
    logging.getLogger("lens").error("Work for a panel failed", exc_info=error)
    return Problem(
        f"Something went wrong inside lens ({type(error).__name__}). "
        "Your text is kept; change it, or the model, to go on."
    )


def unheard(_: Any) -> None:
    """What nobody waits for."""
