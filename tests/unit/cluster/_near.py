"""A shared engine in this process, behind real HTTP on a free port, without Ray."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from lens.cluster._door import Door
from lens.cluster._host import Host

TOKEN = "a-token-that-is-known"


@contextmanager
def near(host: Host, token: str = "") -> Iterator[str]:
    """The address of an engine that answers for `host`."""
    answer = host.answer

    def single(*asked: Any) -> None:
        torch.set_num_threads(1)  # as in the tests: products split otherwise round otherwise
        answer(*asked)

    host.answer = single  # type: ignore[method-assign]
    with at(Door(host, token)) as address:
        yield address + (f"?token={token}" if token else "")


@contextmanager
def at(door: Callable[[Request], Awaitable[Response]]) -> Iterator[str]:
    """The address of something that gives its response to every request."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        response = await door(Request(scope, receive))
        await response(scope, receive, send)

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
