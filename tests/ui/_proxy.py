"""A reverse proxy as small as they come: like nginx without settings, it asks under the server's name, not its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

__all__ = ["proxied"]

OWN = {"Host", "Connection", "Transfer-Encoding", "Content-Length", "Content-Encoding"}
OWN |= {"Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions", "Accept-Encoding"}


class _Pages(RequestHandler):
    """Hands a request on, and the answer back as it comes."""

    def initialize(self, behind: str) -> None:
        self.behind = behind

    async def _hand_on(self) -> None:
        answer = await AsyncHTTPClient().fetch(
            HTTPRequest(
                f"http://{self.behind}{self.request.uri}",
                method=self.request.method or "GET",
                headers=_passed(self.request.headers),
                body=self.request.body or None,
                allow_nonstandard_methods=True,
                follow_redirects=False,
                request_timeout=120,
            ),
            raise_error=False,
        )
        self.set_status(answer.code, answer.reason)
        for name, value in _passed(answer.headers).get_all():
            self.add_header(name, value) if name == "Set-Cookie" else self.set_header(name, value)
        self.set_header("X-Behind", self.behind.rpartition(":")[2])
        if answer.body:
            self.write(answer.body)

    get = post = head = delete = _hand_on  # type: ignore[assignment]


class _Sockets(WebSocketHandler):
    """Hands messages on, both ways."""

    def initialize(self, behind: str) -> None:
        self.behind = behind

    async def open(self, *_: str) -> None:
        self.other = await websocket_connect(
            HTTPRequest(f"ws://{self.behind}{self.request.uri}", headers=_passed(self.request.headers)),
            on_message_callback=self._back,
            subprotocols=self.request.headers.get("Sec-WebSocket-Protocol", "").split(",") or None,
        )

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return subprotocols[0] if subprotocols else None

    async def on_message(self, message: str | bytes) -> None:
        while not hasattr(self, "other"):
            await asyncio.sleep(0.01)
        await self.other.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        if hasattr(self, "other"):
            self.other.close()

    def _back(self, message: Any) -> None:
        if message is None:
            self.close()
        elif self.ws_connection:
            self.write_message(message, binary=isinstance(message, bytes))


def _passed(headers: HTTPHeaders) -> HTTPHeaders:
    kept = HTTPHeaders()
    for name, value in headers.get_all():
        if name not in OWN and name != "Sec-Websocket-Protocol":
            kept.add(name, value)
    return kept


@contextlib.contextmanager
def proxied(port: int, behind: str) -> Iterator[str]:
    """A proxy at `port` before the server at `behind` ("host:port"); gives its origin."""
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def run(stop: asyncio.Event) -> None:
        pages = {"behind": behind}
        application = Application([(r".*/channels|.*/voila/query/.*", _Sockets, pages), (r".*", _Pages, pages)])
        server = HTTPServer(application)
        server.listen(port, "127.0.0.1")
        ready.set()
        await stop.wait()
        server.stop()
        await server.close_all_connections()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run(stop)), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield f"http://localhost:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
