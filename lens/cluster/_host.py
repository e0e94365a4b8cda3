"""What a shared engine holds, and how it answers one question: checked, bounded, in its turn."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Final

import lens.analyses  # noqa: F401 - what is served is known once these are imported
from lens._limits import higher, limit
from lens._memory import ran_out, said_of
from lens.casts import HeldMaps, Maps, card_of
from lens.cluster._kept import Kept
from lens.cluster._recordings import Recordings, Text
from lens.cluster._turns import Passing, Turns
from lens.engine import Superseded
from lens.errors import EngineError, LensError, MapsError, TextError
from lens.execution import maps_for
from lens.models import Model, Tokens
from lens.wire import RECORDING, Call, Unreadable, as_value, calls, decode, fits

__all__ = ["Asked", "Host", "Refused"]

RECORDINGS: Final = 512 * 2**20  # bytes of recordings kept
EACH: Final = 8  # questions of one visitor at a time
ALL: Final = 256  # questions of all visitors
TEXTS: Final = ("text", "texts", "corpora", "holdout")  # arguments that are, or hold, texts to be read
OWN: Final = "own"  # the key of the maps that a model comes with
Tell = Callable[[str, Any], None]  # ("progress" | "stream" | "item" | "result" | "error", value)


class Refused(Exception):  # noqa: N818 - its words go to whoever asked
    """A question that is none, with the HTTP status that says why."""

    def __init__(self, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.status = status


@dataclass
class Asked:
    """A question that is being answered; `wanted` turns False when nobody waits for the answer any more."""

    visitor: str
    call: Call
    model: str
    arguments: Mapping[str, Any]
    heard: tuple[str, ...]
    wanted: bool = True


class Host:
    """Models, each held once, with their recordings and maps; of visitors it knows a name that they made up."""

    def __init__(
        self,
        models: Mapping[str, Model],
        maps: Mapping[str, Maps] | None = None,
        at_once: int = 1,
        kept: Kept | None = None,
    ) -> None:
        """`maps` are what models are read with, by the models' names; `at_once` is how many questions run at a time.

        What visitors fit is `kept` there.
        """
        self.models = dict(models)
        self._given = {name: maps_for(self.models[name], each) for name, each in (maps or {}).items()}
        self._turns = Turns(at_once)
        for model in self.models.values():
            model.lock = model.lock if isinstance(model.lock, Passing) else Passing(model.lock)
        self._recordings = Recordings(RECORDINGS)
        self._kept = kept or Kept()
        self._open: Counter[str] = Counter()
        self._lock = Lock()

    def asked(self, body: bytes, visitor: str) -> Asked | tuple[str, ...]:
        """The question in a body, or the models' names, if those are asked for. Refused, in words, where it is none."""
        try:
            said = decode(body)
        except Unreadable as error:
            raise Refused(f"This question can't be read: {error}. Use one version of lens on both sides.") from None
        match said:
            case {"call": "models", **rest} if not rest:
                return tuple(self.models)
            case {"call": str(name), "model": str(model), "arguments": dict(given), "heard": tuple(heard), **rest} if (
                not rest
            ):
                return self._checked(visitor, name, model, given, heard)
        raise Refused("This question can't be read: it is not of the form that lens asks in.")

    def _checked(self, visitor: str, name: str, model: str, given: dict[Any, Any], heard: tuple[Any, ...]) -> Asked:
        call = calls().get(name)
        if call is None:
            raise Refused(f"There is no function {name[:40]!r} here; there are {', '.join(sorted(calls()))}.", 404)
        if model not in self.models:
            raise Refused(f"{model[:200]!r} is not on this engine, which holds {', '.join(self.models)}.", 404)
        types = call.types | ({RECORDING: Tokens} if call.first == RECORDING else {})
        types = {key: hint for key, hint in types.items() if call.first != RECORDING or key != "tokens"}
        if unknown := [str(key)[:40] for key in given if key not in types]:
            raise Refused(f"{name} takes no {unknown[0]!r} here; it takes {', '.join(types) or 'nothing'}.")
        for key, value in given.items():
            held = isinstance(value, HeldMaps) and key == "maps"
            if not (held or fits(value, types[key])):
                raise Refused(f"{key} of {name} is of another type than it can be.")
        if not all(isinstance(each, str) and each in call.heard for each in heard):
            raise Refused(f"{name} tells nothing on the way but {', '.join(call.heard) or 'that it lives'}.")
        _require_short(given)
        return Asked(visitor, call, model, given, heard)

    def answer(self, asked: Asked, tell: Tell) -> None:
        """Do the work, in its turn, telling what comes; ends with a "result" or an "error", or, unwanted, with nothing.

        To be called on a thread of its own.
        """
        try:
            with self._seat(asked.visitor):
                tell("result", self._done(asked, tell))
        except Superseded:
            return
        except LensError as error:
            tell("error", as_value(error))
        except Exception as error:  # noqa: BLE001 - whoever asked is told in words, and who runs this in the log
            tell("error", as_value(EngineError(_in_words(error))))

    def _done(self, asked: Asked, tell: Tell) -> Any:
        model = self.models[asked.model]
        if asked.call.quick:
            return self._packed(asked.call.function(model, **self._ready(asked, model)))
        text = _text(asked, model)
        with self._recordings.waiting(text), self._turns.turn(asked.visitor, _going_on(asked)):
            self._bound(model, asked.arguments)
            given = self._ready(asked, model)
            if text is not None:
                given |= {RECORDING: self._recordings.get(text), "tokens": text.tokens}
            first = given.pop(RECORDING, model)
            found = asked.call.function(first, **given, **_callbacks(asked, tell))
            if asked.call.steps:
                for item in found:
                    tell("item", item)
                return None
            return self._packed(found)

    @property
    def questions(self) -> int:
        """How many are being answered, or wait for their turn."""
        return self._open.total()

    @contextmanager
    def _seat(self, visitor: str) -> Iterator[None]:
        with self._lock:
            if self._open[visitor] >= EACH or self._open.total() >= ALL:
                raise EngineError("The engine has as much to do as it takes on at a time. Ask again in a minute.")
            self._open[visitor] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[visitor] -= 1
                self._open += Counter()  # forget who has gone

    def _ready(self, asked: Asked, model: Model) -> dict[str, Any]:
        """The arguments with what stands for maps replaced by them."""
        given = dict(asked.arguments)
        if isinstance(given.get("maps"), HeldMaps):
            given["maps"] = self._maps(asked.model, given["maps"].key)
        elif "maps" in asked.call.types and self._given.get(asked.model) is not None:
            given["maps"] = self._given[asked.model]
        return given

    def _maps(self, model: str, key: str) -> Maps:
        maps: Maps | None = self._own(model) if key == OWN else self._kept.find(key)
        if maps is None:
            raise MapsError("The engine no longer holds those maps: it was started anew, or made room. Fit again.")
        return maps

    def _own(self, model: str) -> Maps | None:
        return maps_for(self.models[model], self._given.get(model))

    def _packed(self, found: Any) -> Any:
        """The result as it travels: of maps only what is said of them."""
        if not isinstance(found, Maps):
            return found
        key = OWN
        if not any(found.card == each.card for each in map(self._own, self.models) if each is not None):
            key = self._kept.keep(found)
        return card_of(key, found)

    def _bound(self, model: Model, given: Mapping[str, Any]) -> None:
        """TextError for a text that is longer than this engine reads."""
        most = limit("tokens")
        for name in TEXTS:
            for text in _texts(given.get(name)):
                if text.strip() and len(text) > 1 and (count := model.encode(text).total) > most:
                    raise TextError(
                        f"A text has {count:,} tokens, and this engine reads at most {most:,}: {text[:40]!r} … "
                        f"Shorten it. {higher('tokens')}"
                    )


def _text(asked: Asked, model: Model) -> Text | None:
    """What is to be read, if it is about a recording; of what came, only the text and the count are believed."""
    said = asked.arguments.get(RECORDING)
    if said is None:
        return None
    tokens = model.encode(said.text, limit=min(len(said), limit("tokens")))
    return Text(asked.visitor, model, tokens, lambda: asked.wanted)


def _going_on(asked: Asked) -> Callable[[], None]:
    """A function that raises Superseded once nobody waits for the answer, LensError once the work takes too long."""
    begun = time.monotonic()

    def go_on() -> None:
        if not asked.wanted:
            raise Superseded
        if time.monotonic() - begun > (most := limit("seconds")):
            raise LensError(f"This took longer than {most:,} seconds, and was stopped. {higher('seconds')}")

    return go_on


def _callbacks(asked: Asked, tell: Tell) -> dict[str, Callable[[Any], None]]:
    """What is called while work goes on, where somebody listens."""
    return {name: partial(tell, name) for name in asked.heard}


def _require_short(given: Mapping[str, Any]) -> None:
    """Refused for more characters than one question may bring."""
    one = [said.text if isinstance(said, Tokens) else said for said in (given.get("text"), given.get(RECORDING))]
    for name, texts in (("text", filter(None, one)), ("own_text", _texts([given.get(name) for name in TEXTS]))):
        if (count := sum(map(len, texts))) > (most := limit(name)):
            raise Refused(f"There are {count:,} characters of text; at most {most:,} are read. {higher(name)}", 413)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def _in_words(error: Exception) -> str:
    if ran_out(error):
        return said_of(error)
    logging.getLogger("lens").error("Work for a visitor failed", exc_info=error)
    return f"Something went wrong inside the engine ({type(error).__name__}). Ask for something else, or tell its host."
