"""Whoever vanishes without a word gives the seat back, and whoever is soon back keeps it; asked without a browser."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.ui._servers import serving, write_notebook

BACK, CAME = 5, 1  # seconds: what takes five minutes and three of them elsewhere
SOON = 60  # seconds; a busy machine takes its time to end a kernel
HASTY = f"from lens.app import _visitors; _visitors.BROKEN_OFF, _visitors.NEVER_CAME = {BACK}, {CAME}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the host's log lies."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where a page is found that soon gives up those who are gone."""
    notebook = write_notebook(folder / "plain.ipynb", "1 + 1")
    with serving("app", notebook, folder, "--preheat", "0", "--no-fork", first=HASTY) as address:
        yield address


def kernel_of_page(address: str) -> str:
    """Ask for the page, and read which kernel is its own."""
    with urllib.request.urlopen(address, timeout=120) as answer:  # noqa: S310 - our own address
        found = re.search(r'"kernelId": "([^"]+)"', answer.read().decode())
    assert found
    return found[1]


def asking(address: str, kernel: str) -> list[str]:
    """How a page begins to ask for the line to its kernel."""
    return [f"GET /api/kernels/{kernel}/channels?session_id=page HTTP/1.1", f"Host: {urlsplit(address).netloc}"]


def line_to(address: str, kernel: str) -> socket.socket:
    """Connect to a kernel as its page does."""
    where = urlsplit(address)
    line = socket.create_connection((where.hostname, where.port), timeout=120)
    upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    upgrade += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]
    line.sendall("\r\n".join([*asking(address, kernel), *upgrade]).encode())
    assert line.recv(12) == b"HTTP/1.1 101"
    return line


def there(address: str, kernel: str) -> bool:
    """Whether the kernel still runs."""
    try:
        urllib.request.urlopen(f"{address}api/kernels/{kernel}", timeout=120).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        return error.code != 404
    return True


def gone_soon(address: str, kernel: str) -> bool:
    """Whether it ends within a while."""
    end = time.monotonic() + SOON
    while there(address, kernel) and time.monotonic() < end:
        time.sleep(0.1)
    return not there(address, kernel)


def test_a_browser_that_is_killed_gives_its_seat_back(address: str) -> None:
    """Its line breaks off without a word, where a page that is closed says that it leaves."""
    kernel = kernel_of_page(address)
    with line_to(address, kernel):
        time.sleep(CAME + 1)  # it has come: that is no longer looked after
        assert there(address, kernel)
    assert gone_soon(address, kernel)


def test_a_browser_that_is_killed_as_its_page_connects_gives_its_seat_back(address: str) -> None:
    kernel, where = kernel_of_page(address), urlsplit(address)
    with socket.create_connection((where.hostname, where.port), timeout=120) as line:
        line.sendall("\r\n".join(asking(address, kernel)).encode())
    assert gone_soon(address, kernel)


def test_a_page_whose_line_breaks_keeps_its_seat_if_it_is_soon_back(address: str) -> None:
    kernel = kernel_of_page(address)
    line_to(address, kernel).close()
    with line_to(address, kernel):
        time.sleep(BACK + 2)
        assert there(address, kernel)
    assert gone_soon(address, kernel)


def test_who_hangs_up_before_the_page_is_whole_leaves_neither_a_seat_nor_a_trace(address: str, folder: Path) -> None:
    """Its kernel is let finish the page, as one that dies in the middle would fill the host's log."""
    where, end = urlsplit(address), time.monotonic() + SOON
    for seconds in (0.0, 0.3, 0.9):
        with socket.create_connection((where.hostname, where.port), timeout=120) as line:
            line.sendall(f"GET / HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
            time.sleep(seconds)

    def taken() -> int:
        with urllib.request.urlopen(f"{address}health", timeout=120) as answer:  # noqa: S310
            return int(json.load(answer)["visitors"])

    while taken() and time.monotonic() < end:
        time.sleep(0.1)
    assert taken() == 0
    assert gone_soon(address, kernel_of_page(address))  # what would be said of the others has been by now
    assert "Traceback" not in (folder / "app.log").read_text()
