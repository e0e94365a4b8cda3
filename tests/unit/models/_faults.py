"""A hub on this machine that does wrong what the name of a repository says, once; then it does right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.casts._hub import Hub

__all__ = ["FAULTS", "FaultyHub"]

STALL = 60.0  # seconds, or until the server is closed


def _stall(hub: Any, _: bytes) -> None:
    hub.closing.wait(STALL)


def _stall_within(hub: Any, body: bytes) -> None:
    _start(hub, 200, len(body))
    hub.wfile.write(body[: len(body) // 2])
    hub.wfile.flush()
    hub.closing.wait(STALL)


def _drop(hub: Any, body: bytes) -> None:
    _start(hub, 200, len(body))
    hub.wfile.write(body[: len(body) // 2])


def _short(hub: Any, body: bytes) -> None:
    """Fewer bytes than HEAD has promised, and a length that says so."""
    _start(hub, 200, len(body) // 2)
    hub.wfile.write(body[: len(body) // 2])


def _page(hub: Any, _: bytes) -> None:
    page = b"<!doctype html><title>Log in to the airport's Wi-Fi</title>"
    hub.close_connection = True
    hub.send_response(200)  # and none of the headers that the hub itself sends
    hub.send_header("Content-Length", str(len(page)))
    hub.send_header("Connection", "close")
    hub.end_headers()
    if hub.command == "GET":
        hub.wfile.write(page)


def _lie(hub: Any, body: bytes) -> None:
    """Under the hub's own headers."""
    _start(hub, 200, len(body))
    if hub.command == "GET":
        hub.wfile.write(b"<" * len(body))


def _status(status: int) -> Callable[[Any, bytes], None]:
    return lambda hub, _: _start(hub, status, 0)


def _loop(hub: Any, _: bytes) -> None:
    _start(hub, 302, 0, Location=hub.path)


def _start(hub: Any, status: int, size: int, **headers: str) -> None:
    hub.close_connection = True
    hub.send_response(status)
    told = {"Content-Length": str(size), "Connection": "close", "ETag": '"e"', "X-Repo-Commit": "c" * 40, **headers}
    for name, value in told.items():
        hub.send_header(name, value)
    hub.end_headers()


# what is done wrong, and to the requests of which methods
FAULTS: dict[str, tuple[Callable[[Any, bytes], None], tuple[str, ...]]] = {
    "stall": (_stall, ("HEAD", "GET")),
    "stall-within": (_stall_within, ("GET",)),
    "drop": (_drop, ("GET",)),
    "short": (_short, ("GET",)),
    "page": (_page, ("HEAD", "GET")),
    "lie": (_lie, ("GET",)),
    "429": (_status(429), ("HEAD", "GET")),
    "500": (_status(500), ("HEAD", "GET")),
    "loop": (_loop, ("HEAD", "GET")),
}


class FaultyHub(Hub):
    """Repositories are called `FAULT/FILE`: the fault is done to that file, until `/heal` is asked for."""

    healed: set[str]

    def do_GET(self) -> Any:  # noqa: N802 - the name that http.server looks for
        parts = self.path.strip("/").split("/")
        if parts[0] == "heal":
            self.healed.add("/".join(parts[1:]))
            return self.answer(200)
        repo, file = "/".join(parts[:2]), parts[-1]
        wrong, methods = FAULTS.get(parts[0], (None, ()))
        if wrong and repo not in self.healed and file == parts[1] and self.command in methods:
            return wrong(self, self.repos[repo][file])
        return super().do_GET()

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for
