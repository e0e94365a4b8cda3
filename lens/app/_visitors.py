"""Who is here: one seat a visitor, taken when a page is asked for and free when its kernel has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from jupyter_core.utils import ensure_async
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler, authenticated
from voila.tornado.handler import TornadoVoilaHandler

from lens.app._renderer import failed

__all__ = ["Health", "Page", "Seats"]

NEVER_CAME = 180  # seconds that a sent page has, on a slow line and a slow machine, to be heard of: a crawler never is
BROKEN_OFF = 300  # seconds that a page whose line broke has to come back, as on a phone that is looked at again
WHOLE = 20  # seconds that a page which nobody waits for has to become whole, after which its kernel ends as it is
ALIVE = "<script>window.voila_heartbeat()</script>\n"  # Voilà's own words


class Seat:
    """One visitor's: its kernel, once there is one."""

    kernel: str | None = None
    left = False
    awaited: Any = None  # the timer that frees it, while its page is not connected


class Seats:
    """As many visitors as the host allows."""

    def __init__(self, limit: int, kernels: Any) -> None:
        self.limit = limit
        self.kernels = kernels
        self._held: set[Seat] = set()

    @property
    def taken(self) -> int:
        """How many visitors there are now."""
        self._held = {seat for seat in self._held if seat.kernel is None or seat.kernel in self.kernels}
        return len(self._held)

    def take(self) -> Seat | None:
        """A seat, or None where all are taken."""
        if self.taken >= self.limit:
            return None
        seat = Seat()
        self._held.add(seat)
        return seat

    async def leave(self, seat: Seat) -> None:
        """Free the seat; its kernel, if there is one, ends."""
        self._held.discard(seat)
        self._awaits_no_more(seat)
        seat.left = True
        if seat.kernel in self.kernels:
            await ensure_async(self.kernels.shutdown_kernel(seat.kernel, now=True))

    def await_page(self, seat: Seat, seconds: float) -> None:
        """Free the seat unless its page is connected within so many seconds."""
        self._awaits_no_more(seat)
        seat.awaited = IOLoop.current().call_later(seconds, self._look_after, seat)

    def connected(self, kernel: str) -> None:
        """The page of a kernel is there."""
        if seat := self._of(kernel):
            self._awaits_no_more(seat)

    def broken_off(self, kernel: str) -> None:
        """The line to a page has ended without a word: its browser was killed, or it will soon be back."""
        if seat := self._of(kernel):
            self.await_page(seat, BROKEN_OFF)

    def is_connected(self, seat: Seat) -> bool:
        """Whether the seat's kernel runs and a page hears it."""
        return seat.kernel in self.kernels and self.kernels.kernel_model(seat.kernel)["connections"] > 0

    async def _look_after(self, seat: Seat) -> None:
        if not self.is_connected(seat):
            await self.leave(seat)

    def _of(self, kernel: str) -> Seat | None:
        return next((seat for seat in self._held if seat.kernel == kernel), None)

    def _awaits_no_more(self, seat: Seat) -> None:
        if seat.awaited is not None:
            IOLoop.current().remove_timeout(seat.awaited)
            seat.awaited = None


class _SeatedKernels:
    """The kernel manager as a page sees it: the kernel that it gets is the seat's."""

    def __init__(self, kernels: Any, seat: Seat) -> None:
        self._kernels, self._seat = kernels, seat

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    async def start_kernel(self, **options: Any) -> str:
        self._seat.kernel = str(await ensure_async(self._kernels.start_kernel(**options)))
        return self._seat.kernel

    async def get_rendered_notebook(self, **options: Any) -> Any:
        made = await self._kernels.get_rendered_notebook(**options)
        self._seat.kernel = made[2]
        return made


class Page(TornadoVoilaHandler):
    """Voilà's page for one visitor, if there is a seat; otherwise a page that says so and tries again by itself."""

    seat: Seat | None = None

    def initialize(self, *, seats: Seats, **options: Any) -> None:
        """Called by tornado for each request."""
        self.seats = seats
        super().initialize(**options)

    @property
    def kernel_manager(self) -> Any:
        """What starts the kernel."""
        return _SeatedKernels(self.settings["kernel_manager"], self.seat) if self.seat else self.seats.kernels

    @authenticated
    async def get(self, path: str | None = None) -> None:
        """Send the page as it comes into being."""
        self.seat = None if path else self.seats.take()
        if self.seat:
            await self._seated(self.seat)
        elif path:
            await super().get(path)
        else:
            self._full()

    async def get_generator(self, path: str | None = None) -> AsyncIterator[str]:
        """Voilà's pieces of the page; signs of life while it is silent, and words where it has come to nothing.

        Voilà gives no such sign for a session kept ready that is still at work.
        """
        begun = False
        try:
            async for piece in self._pieces(super().get_generator(path=path)):
                if piece != ALIVE or begun:  # before the page itself, that would be its first line
                    yield piece
                    begun = True
        except Exception:
            if begun:
                yield failed(self)
            raise

    async def _pieces(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        patience = self.voila_configuration.http_keep_alive_timeout + 1  # Voilà's own sign comes before
        coming = asyncio.ensure_future(anext(pieces, None))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=patience)
                piece = coming.result() if done else ALIVE
                if piece is None:
                    return
                yield piece
                if done:
                    coming = asyncio.ensure_future(anext(pieces, None))
        finally:
            coming.cancel()

    async def _seated(self, seat: Seat) -> None:
        try:
            await super().get()
        except BaseException:
            await self.seats.leave(seat)
            raise
        if seat.left:  # it closed while its kernel was starting
            await self.seats.leave(seat)
        elif not self.seats.is_connected(seat):
            self.seats.await_page(seat, NEVER_CAME)

    def on_connection_close(self) -> None:
        """A visitor closed the page before it was whole: its own script can't tell the kernel.

        That ends with the page: in the middle, its death would be a fault with a long trace in the host's log.
        """
        super().on_connection_close()
        if self.seat:
            self.seat.left = True
            self.seats.await_page(self.seat, WHOLE)

    def _full(self) -> None:
        self.set_status(503)
        self.set_header("Retry-After", "10")
        self.set_header("Cache-Control", "no-store")
        self.write(self.render_template("full.html", limit=self.seats.limit))


class Health(RequestHandler):
    """For a proxy, a container or an orchestra to ask whether the page is served, and how full it is."""

    def initialize(self, *, seats: Seats, version: str) -> None:
        """Called by tornado for each request."""
        self.seats, self.version = seats, version

    def get(self) -> None:
        """The numbers, and no one's text."""
        self.set_header("Cache-Control", "no-store")
        self.write({"status": "ok", "version": self.version, "visitors": self.seats.taken, "limit": self.seats.limit})

    head = get
