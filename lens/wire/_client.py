"""A shared engine as whoever asks it sees it."""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

import httpx

from lens._version import __version__
from lens.errors import EngineError, LensError
from lens.wire._calls import Call
from lens.wire._errors import raised
from lens.wire._frames import frames
from lens.wire._values import Unreadable, encode

__all__ = ["MEDIA", "Engine", "waiting"]

MEDIA: Final = "application/x-lens"
SILENCE = 60.0  # seconds without a sign of life after which an engine is given up; a busy one gives one every 5
KNOCK = 5.0  # seconds for a connection
PAUSE = 1.0  # seconds between looks whether an engine that went away is back
LOOPBACK = ("127.0.0.1", "localhost", "::1")
Heard = Mapping[str, Callable[[Any], Any]]
_told_of_waiting: ContextVar[Callable[[], Any]] = ContextVar("told_of_waiting", default=lambda: None)


@contextmanager
def waiting(tell: Callable[[], Any]) -> Iterator[None]:
    """Call `tell` each second in which this thread waits for an engine that went away; what it raises ends the wait."""
    before = _told_of_waiting.set(tell)
    try:
        yield
    finally:
        _told_of_waiting.reset(before)


class _Lost(Exception):  # noqa: N818 - not seen outside: the work is asked for again
    """The engine, or its worker, went away in the middle."""


@dataclass
class _Link:
    """One process's own connections and name: a fork of it must share neither, or visitors would share answers."""

    process: int
    client: httpx.Client
    visitor: str


class Engine:
    """A shared engine at an address such as "http://host:8000/?token=…"; nothing is asked before it is needed."""

    def __init__(self, address: str) -> None:
        parts = _parted(address)
        if (
            parts is None
            or parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.username
            or parts.fragment
        ):
            raise EngineError(f"{str(address)[:200]!r} is no engine: give its address, such as http://host:8000.")
        self.address = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._token = parse_qs(parts.query).get("token", [""])[0]
        if not re.fullmatch("[!-~]*", self._token):
            raise EngineError("The token in the engine's address has characters that no token has.")
        self._here = parts.hostname in LOOPBACK
        self._answered = False  # whether it ever was there
        self._link: _Link | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Engine({self.address!r})"

    def models(self) -> tuple[str, ...]:
        """The names of the models that it holds."""
        found = self._last({"call": "models"})
        if not isinstance(found, tuple) or not all(isinstance(name, str) for name in found) or not found:
            raise self._strange("it names no models")
        return found

    def ask(self, model: str, call: Call, arguments: Mapping[str, Any]) -> Any:
        """What a function says of a model there; of one that gives result after result, an iterator of them.

        An engine that was there and went away is waited for and asked once more. EngineError where it can't be reached,
        stays away, or loses the work twice; else the function's own errors.
        """
        heard = {name: arguments[name] for name in call.heard if arguments.get(name) is not None}
        asked = {name: value for name, value in arguments.items() if name not in call.heard}
        question = {"call": call.name, "model": model, "arguments": asked, "heard": tuple(heard)}
        return self._items(question) if call.steps else _arrived(self._last(question, heard))

    def _last(self, question: dict[str, Any], heard: Heard | None = None) -> Any:
        with closing(self._told(question)) as told:
            for kind, value in told:
                if kind == "result":
                    return value
                if heard and kind in heard:
                    heard[kind](value)
        raise self._strange("it ended without a result")

    def _items(self, question: dict[str, Any]) -> Iterator[Any]:
        with closing(self._told(question)) as told:
            for kind, value in told:
                if kind == "item":
                    yield value
                elif kind == "result":
                    return

    def _told(self, question: dict[str, Any]) -> Generator[tuple[str, Any]]:
        """All that the engine tells until the result. Work that was lost is asked for once more: it changes nothing."""
        items = 0
        try:
            for event in self._once(question):
                items += event[0] == "item"
                yield event
            return
        except _Lost:
            self._wait()
        try:
            for event in self._once(question):
                if event[0] == "item" and items:  # it was given before
                    items -= 1
                else:
                    yield event
        except _Lost:
            raise EngineError(
                f"The engine at {self.address} lost this work twice: its worker stopped in the middle. "
                "Ask again in a minute, or ask for less at once."
            ) from None

    def _wait(self) -> None:
        """Until the engine is there again, worker and all; EngineError once it has been away too long."""
        link, until = self._linked(), time.monotonic() + SILENCE
        while time.monotonic() < until:
            _told_of_waiting.get()()
            time.sleep(PAUSE)
            with suppress(httpx.TransportError):
                if link.client.get(f"{self.address}/health", timeout=KNOCK).status_code == httpx.codes.OK:
                    return
        raise EngineError(
            f"The engine at {self.address} went away, and was not back within {SILENCE:.0f} seconds. "
            "Ask again; if it stays away, who runs it must start it anew."
        )

    def _once(self, question: dict[str, Any]) -> Generator[tuple[str, Any]]:
        try:
            body = encode(question)
        except Unreadable as error:
            raise LensError(f"That can't be asked of a shared engine: {error}.") from None
        link = self._linked()
        headers = {"Content-Type": MEDIA, "X-Lens-Visitor": link.visitor}
        headers |= {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            with link.client.stream("POST", f"{self.address}/ask", content=body, headers=headers) as response:
                if response.headers.get("content-type") != MEDIA:
                    raise self._foreign(response.status_code)
                self._answered = True
                yield from self._events(response)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if self._answered:
                raise _Lost from None
            raise EngineError(
                f"There is no engine at {self.address}. Start one there with lens serve, or correct the address."
            ) from None
        except httpx.TimeoutException:
            raise EngineError(
                f"The engine at {self.address} gave no sign of life for {SILENCE:.0f} seconds. "
                "Ask again; if it stays silent, who runs it must start it anew."
            ) from None
        except httpx.TransportError:
            raise _Lost from None

    def _events(self, response: httpx.Response) -> Generator[tuple[str, Any]]:
        try:
            for event in frames(response.iter_raw()):
                match event:
                    case ("error", said):
                        raise raised(said) or self._strange("its error has no words")
                    case ("alive", _):
                        continue
                    case (str(kind), value):
                        yield kind, value
                        if kind == "result":
                            return
                    case _:
                        raise self._strange("it tells no event")
        except Unreadable as error:
            raise self._strange(str(error)) from None
        raise _Lost

    def _foreign(self, status: int) -> Exception:
        """Something else than an engine has answered: what stands before one that is gone, or a stranger."""
        return _Lost() if status >= 500 or self._answered else self._strange(f"status {status}")

    def _strange(self, why: str) -> EngineError:
        return EngineError(
            f"What answers at {self.address} is no engine that lens {__version__} understands ({why}). "
            "Correct the address, or use one version of lens on both sides."
        )

    def _linked(self) -> _Link:
        with self._lock:
            if self._link is None or self._link.process != os.getpid():
                timeout, limits = httpx.Timeout(SILENCE, connect=KNOCK), httpx.Limits(max_connections=None)
                client = httpx.Client(timeout=timeout, trust_env=not self._here, limits=limits)
                self._link = _Link(os.getpid(), client, secrets.token_urlsafe(18))
            return self._link


def _parted(address: object) -> SplitResult | None:
    """The parts of an address that HTTP can be asked at; None where it is none."""
    try:
        parts = urlsplit(address if isinstance(address, str) else "")
        httpx.URL(parts.geturl())
        parts.netloc.encode("idna")
    except (ValueError, httpx.InvalidURL):  # a UnicodeError is a ValueError
        return None
    return parts


def _arrived(value: Any) -> Any:
    """What an answer stands for here, where it is not itself what was asked for."""
    arrives = getattr(value, "arrives", None)
    return value if arrives is None else arrives()
