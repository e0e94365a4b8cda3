"""A page's kernel as the server sees it, and what goes between the two."""

from __future__ import annotations

from asyncio import Future
from datetime import UTC, datetime
from typing import Any, ClassVar

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
from traitlets import default
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from lens.app._visitors import Seats

__all__ = ["Channel", "Kernel", "Kernels"]


class Kernel(ServerKernelManager):
    """Jupyter's, which was active when it was made: looked at before it has said a word, Jupyter's own is an error."""

    _events: ClassVar[Any] = None

    @default("event_logger")
    def _shared(self) -> Any:
        """One for all kernels: each of its own reads its schema anew, and leaves a logger in Python's list for good."""
        if Kernel._events is None:
            Kernel._events = super()._default_event_logger()
        return Kernel._events

    @default("last_activity")
    def _made(self) -> datetime:
        return datetime.now(UTC)


class Kernels(AsyncMappingKernelManager):
    """Jupyter's, which keeps the line to a kernel whose page is away, but no longer than the kernel.

    A page that closes tells its kernel to end and then hangs up: Jupyter took that for an absence, and kept four
    sockets of each visitor until it was stopped, or had no more files to open.
    """

    def remove_kernel(self, kernel_id: str) -> Any:
        """Called when a kernel has ended, however it did."""
        if kernel_id in self:
            self.stop_buffering(kernel_id)  # type: ignore[no-untyped-call]
        return super().remove_kernel(kernel_id)


class Channel(VoilaKernelWebsocketHandler):
    """Voilà's, which tells the seats when a page is there and when its line has broken off.

    Jupyter itself takes a line that breaks off for an absence, however long: a browser that was killed kept its kernel
    until that had been idle for as long as one that sleeps. A page that leaves in the middle of a message is no fault
    worth a trace in the host's log.
    """

    closed_here = False

    def initialize(self, *, seats: Seats) -> None:
        """Called by tornado for each request."""
        self.seats = seats
        super().initialize()

    async def open(self, kernel_id: str) -> None:
        """The page is there. Where its kernel can't be heard the line ends, and Jupyter would go on counting it."""
        self.seats.connected(kernel_id)
        try:
            await super().open(kernel_id)
        except BaseException:
            self.on_connection_close()
            raise

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """End the line from here: Jupyter does so to a page that answers no ping, as one on a machine that sleeps."""
        self.closed_here = True
        super().close(code, reason)

    def on_close(self) -> None:
        """The line has ended. A page that sleeps may wake, and a page that is back has another line."""
        super().on_close()
        if not self.closed_here:
            self.seats.broken_off(self.kernel_id)

    def write_message(self, message: Any, binary: bool = False) -> Future[None] | None:
        """Send it, unless Voilà keeps it back; nobody waits for its end, so what became of it is looked at here."""
        sent: Future[None] | None = super().write_message(message, binary)
        if sent is not None:
            sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        return sent
