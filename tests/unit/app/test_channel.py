"""A page that leaves while its kernel speaks leaves no trace in the host's log."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketHandler, WebSocketProtocol13
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from lens.app._channel import Channel


class _Leaving(WebSocketProtocol13):
    """A connection that closes in the middle of a frame."""

    def __init__(self) -> None:
        self._compressor, self._message_bytes_out = None, 0

    def is_closing(self) -> bool:
        return False

    def _write_frame(self, *_: Any, **__: Any) -> asyncio.Future[None]:
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_exception(StreamClosedError())
        return sent


def said_of(kind: type[WebSocketHandler]) -> list[str]:
    """What the loop has to say when such a handler sends a message that does not arrive."""
    said: list[str] = []

    async def send() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: said.append(told["message"]))
        handler: Any = kind.__new__(kind)
        handler.ws_connection = _Leaving()
        handler.write_message({"header": {"msg_type": "status"}})
        await asyncio.sleep(0.01)
        gc.collect()
        await asyncio.sleep(0.01)

    asyncio.run(send())
    return said


@pytest.mark.parametrize(("kind", "traces"), [(Channel, 0), (VoilaKernelWebsocketHandler, 1)])
def test_a_page_that_leaves_in_the_middle_of_a_message_is_no_error(kind: type[WebSocketHandler], traces: int) -> None:
    """Voilà's own would say so: else this could not fail."""
    assert said_of(kind) == ["Task exception was never retrieved"] * traces
