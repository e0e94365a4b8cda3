"""A shared engine's door: HTTP in front of a host; who comes in, how much may be said, and who has left."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import re
import threading
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from lens._limits import limit
from lens._version import __version__
from lens.cluster._host import Asked, Host, Refused
from lens.errors import LensError
from lens.wire import MEDIA, as_value, frame

__all__ = ["Door"]

ALIVE: Final = 5.0  # seconds after which a silent answer says that it is still being made
NEWS: Final = 64  # pieces of progress that wait for a slow listener; later ones are left out, results never are
VISITOR: Final = re.compile(r"[\w-]{16,64}")
NAMELESS: Final = "nobody in particular"
SAFE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Door:
    """Answers requests of Starlette. `/ask` takes a question; `/health` says how it stands, and needs no token."""

    def __init__(self, host: Host, token: str = "") -> None:
        self._host = host
        self._token = token

    async def __call__(self, request: Request) -> Response:
        """The response to a request; what is no question gets a status of 400 and above, with words."""
        place = request.url.path.rstrip("/").rpartition("/")[2]
        try:
            if place == "health" and request.method == "GET":
                state = {"lens": __version__, "questions": self._host.questions}
                return Response(json.dumps(state), 200, SAFE, "application/json")
            if place != "ask" or request.method != "POST":
                raise Refused("This is a shared engine of lens: questions are sent to /ask by POST.", 404)
            self._admit(request)
            visitor = request.headers.get("x-lens-visitor", "")
            visitor = visitor if VISITOR.fullmatch(visitor) else NAMELESS
            asked = self._host.asked(await _body(request), visitor)
        except Refused as refused:
            return _said(("error", as_value(LensError(str(refused)))), refused.status)
        return _Answer(self._host, asked) if isinstance(asked, Asked) else _said(("result", asked))

    def _admit(self, request: Request) -> None:
        said = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token and not hmac.compare_digest(said.encode(), self._token.encode()):
            raise Refused("This engine is for those who know its token: give its whole address, with ?token=….", 401)


async def _body(request: Request) -> bytes:
    """What was sent. Refused as soon as it is more than any question has."""
    most = 4 * limit("own_text") + 2**20  # bytes
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise Refused(f"No question has more than {most:,} bytes.", 413)
    return bytes(body)


class _Answer(Response):
    """A response that comes piece by piece from work on a thread; when the listener leaves, the work is told."""

    def __init__(self, host: Host, asked: Asked) -> None:
        super().__init__(media_type=MEDIA, headers=SAFE)
        del self.headers["content-length"]  # nobody knows yet
        self._host, self._asked = host, asked

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        speaking = asyncio.ensure_future(self._speak(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if speaking.done():
                speaking.result()
        finally:
            self._asked.wanted = False
            for task in (speaking, leaving):
                task.cancel()
            with contextlib.suppress(BaseException):
                await asyncio.gather(speaking, leaving)

    async def _speak(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for piece in self._pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _pieces(self) -> AsyncIterator[bytes]:
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[bytes | None]()

        def put(piece: bytes | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and whoever listened with it
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        def tell(kind: str, value: Any) -> None:
            if kind not in ("progress", "stream") or pieces.qsize() < NEWS:
                put(frame((kind, value)))

        def work() -> None:
            try:
                self._host.answer(self._asked, tell)
            finally:
                put(None)

        threading.Thread(target=work, name="lens question", daemon=True).start()
        while True:
            try:
                piece = await asyncio.wait_for(pieces.get(), ALIVE)
            except TimeoutError:
                piece = frame(("alive", None))
            if piece is None:
                return
            yield piece


def _said(value: Any, status: int = 200) -> Response:
    """A response of one event."""
    return Response(frame(value), status, SAFE, MEDIA)


async def _left(receive: Any) -> None:
    """Until whoever asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        continue
