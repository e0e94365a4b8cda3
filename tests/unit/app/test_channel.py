"""Neither a page that leaves while its kernel speaks nor a kernel that has said nothing yet is an error."""

from __future__ import annotations

import asyncio
import gc
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketHandler, WebSocketProtocol13
from voila.configuration import VoilaConfiguration
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from lens.app._channel import Channel, Kernel, Kernels
from lens.app._options import Options
from lens.app._serve import _Server, configuration

KERNELS: Any = AsyncMappingKernelManager  # untyped


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


@pytest.mark.parametrize(("kind", "errors"), [(Kernel, 0), (ServerKernelManager, 1)])
def test_a_kernel_that_has_said_nothing_yet_is_looked_at_without_an_error(
    kind: type[ServerKernelManager], errors: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Jupyter looks every minute for kernels to end, also at one that is just starting; its own would fail there."""

    async def look() -> None:
        kernels = KERNELS(cull_idle_timeout=900, kernel_manager_class=f"{kind.__module__}.{kind.__name__}")
        kernels.log = logging.getLogger("test")
        kernel = kernels.kernel_manager_factory(kernel_name="python3")
        kernel._kernel_spec = KernelSpec()
        kernels._kernels["starting"] = kernel
        await kernels.cull_kernels()
        assert list(kernels._kernels) == ["starting"]

    asyncio.run(look())
    assert sum(record.levelno >= logging.ERROR for record in caplog.records) == errors


def test_the_server_makes_such_kernels() -> None:
    server = _Server(config=configuration(Path("book.ipynb"), Options()))
    assert KERNELS(parent=server).kernel_manager_factory(kernel_name="x").last_activity is not None


def test_kernels_share_what_their_events_go_to() -> None:
    """One each would leave a logger for every visitor in Python's list of them, which is never emptied."""
    first, names = Kernel().event_logger, set(logging.Logger.manager.loggerDict)
    assert Kernel().event_logger is first
    assert set(logging.Logger.manager.loggerDict) == names
    assert "https://events.jupyter.org/jupyter_server/kernel_actions/v1" in first.schemas
    assert ServerKernelManager().event_logger is not ServerKernelManager().event_logger  # or Kernel's own is not needed


class _Line:
    """Of a kernel's sockets one."""

    def __init__(self) -> None:
        self.socket = SimpleNamespace(closed=False)

    def on_recv(self, _: Any) -> None:
        """What comes is kept."""

    def close(self) -> None:
        self.socket.closed = True


@pytest.mark.parametrize(("kind", "closed"), [(Kernels, True), (AsyncMappingKernelManager, False)])
def test_the_lines_to_a_kernel_end_with_it(kind: Any, closed: bool) -> None:
    """A page that hangs up while its kernel is ending makes Jupyter keep its lines; its own keeps them for good."""
    kernels, line = kind(log=logging.getLogger("test")), _Line()
    kernels._kernels["ending"] = object()
    kernels.start_buffering("ending", "page", {"shell": line})
    kernels.remove_kernel("ending")
    assert (line.socket.closed, "ending" in kernels._kernel_buffers) == (closed, not closed)
    assert kernels.remove_kernel("never was") is None


def test_the_server_takes_such_kernels() -> None:
    given = configuration(Path("book.ipynb"), Options())
    assert VoilaConfiguration(config=given).multi_kernel_manager_class is Kernels


class _Seats:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def connected(self, kernel: str) -> None:
        self.told.append(f"{kernel} connected")

    def broken_off(self, kernel: str) -> None:
        self.told.append(f"{kernel} broken off")


def channel() -> Any:
    """A line to the kernel `k` that is open; `lines` counts how often Jupyter has taken leave of it."""
    line: Any = Channel.__new__(Channel)
    line.kernel_id, line.seats, line.lines = "k", _Seats(), []
    line.connection = SimpleNamespace(disconnect=lambda: line.lines.append("disconnected"))
    line.ws_connection, line._on_close_called, line._status_code = None, False, 101
    return line


def test_a_line_that_the_server_ends_is_not_broken_off() -> None:
    """It ends that of a page which answers no ping, on a machine that sleeps, and may wake."""
    broken, ended = channel(), channel()
    ended.close()
    for line in (broken, ended):
        line.on_connection_close()
    assert (broken.seats.told, ended.seats.told) == (["k broken off"], [])


def test_a_line_whose_kernel_is_not_heard_is_counted_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter counted it for good, and a kernel that has a line is never too long idle."""

    async def unheard(_self: Any, _kernel: str) -> None:
        raise TimeoutError

    monkeypatch.setattr(VoilaKernelWebsocketHandler, "open", unheard)
    line = channel()
    with pytest.raises(TimeoutError):
        asyncio.run(line.open("k"))
    assert line.lines == ["disconnected"]
    assert line.seats.told == ["k connected", "k broken off"]
