"""A page for others: behind a proxy, for those who know the token, and for as many as there is room for."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.ui._proxy import proxied
from tests.ui._servers import free_port, serving, write_notebook
from tests.ui.conftest import OpenPage, until_ready
from tests.ui.test_serving import SLIDER, eventually, hosts, kernel_of, kill, status

TOKEN = "open-sesame"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a page for two visitors is found, behind a proxy, with the token in its address."""
    folder, port, own = tmp_path_factory.mktemp("public"), free_port(), free_port()
    notebook = write_notebook(folder / "slider.ipynb", SLIDER)
    line = ["--preheat", "0", "--visitors", "2", "--token", TOKEN, "--base-url", f"http://localhost:{port}/here/"]
    with serving("app", notebook, folder, *line, "--port", str(own)) as printed, proxied(port, f"127.0.0.1:{own}"):
        yield printed


def place_of(address: str) -> str:
    return address.partition("?")[0]


def health(address: str) -> dict[str, Any]:
    """What the server says of itself, to anyone who asks."""
    with urllib.request.urlopen(f"{place_of(address)}health", timeout=60) as answer:  # noqa: S310 - our own address
        told: dict[str, Any] = json.load(answer)
    return told


@pytest.fixture
def nobody(address: str, open_page: OpenPage) -> OpenPage:
    """`open_page`, once all earlier visitors have left."""
    eventually(open_page("about:blank"), lambda: health(address)["visitors"] == 0)
    return open_page


def test_behind_a_proxy_all_is_under_its_path_and_works(nobody: OpenPage, address: str) -> None:
    page = until_ready(nobody(address))
    page.locator(".noUi-handle").press("ArrowRight")
    expect(page.get_by_text("layer 4")).to_be_visible()
    asked: list[str] = page.asked  # type: ignore[attr-defined]
    assert hosts(page) == {"localhost"}
    assert all(urlsplit(each).path.startswith("/here/") for each in asked if not each.startswith(("data:", "blob:")))


def test_the_address_that_is_printed_has_the_token(address: str) -> None:
    assert address.endswith(f"/here/?token={TOKEN}")


def test_without_the_token_one_is_asked_for_it_and_comes_to_the_same_view(nobody: OpenPage, address: str) -> None:
    page = nobody(f"{place_of(address)}?text=hello")
    field = page.get_by_label("Open the whole address")
    field.fill("guess")
    field.press("Enter")
    expect(page.get_by_text("That is not the token.")).to_be_visible()
    field.fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    expect(until_ready(page).get_by_text("layer 3")).to_be_visible()
    assert urlsplit(page.url).query == "text=hello"
    assert hosts(page) == {"localhost"}


def test_without_the_token_nothing_starts_and_no_kernel_is_reached(nobody: OpenPage, address: str) -> None:
    kernel = kernel_of(until_ready(nobody(address)))
    before = health(address)["visitors"]
    assert status(place_of(address)) == 200  # the form
    assert status(f"{place_of(address)}api/kernels/{kernel}") == 403
    assert status(f"{place_of(address)}voila/api/shutdown/{kernel}", "POST") == 403
    assert health(address)["visitors"] == before


def test_where_all_seats_are_taken_that_is_said_and_a_free_one_opens(nobody: OpenPage, address: str) -> None:
    one, other = until_ready(nobody(address)), until_ready(nobody(address))
    assert health(address) == health(address) | {"status": "ok", "visitors": 2, "limit": 2}
    late = nobody(address)
    expect(late.get_by_text("lens is full at the moment.")).to_be_visible()
    expect(late.get_by_text("2 people are using it")).to_be_visible()
    one.close()
    eventually(late, lambda: health(address)["visitors"] == 1)
    late.get_by_role("button", name="Try now").click()
    expect(until_ready(late).get_by_text("layer 3")).to_be_visible()
    other.locator(".noUi-handle").press("ArrowRight")
    expect(other.get_by_text("layer 4")).to_be_visible()


def test_a_kernel_that_dies_gives_its_seat_back(nobody: OpenPage, address: str) -> None:
    page = until_ready(nobody(address))
    kill(kernel_of(page))
    eventually(page, lambda: health(address)["visitors"] == 0)


def test_a_page_that_is_closed_before_it_is_whole_gives_its_seat_back(nobody: OpenPage, address: str) -> None:
    clock, where = nobody("about:blank"), urlsplit(address)
    own = _behind(address)
    with socket.create_connection(("127.0.0.1", own)) as visitor:
        visitor.sendall(f"GET {where.path}?{where.query} HTTP/1.1\r\nHost: localhost:{own}\r\n\r\n".encode())
        eventually(clock, lambda: health(address)["visitors"] == 1)
    eventually(clock, lambda: health(address)["visitors"] == 0)


def _behind(address: str) -> int:
    """The server's own port: the one that the proxy asks."""
    with urllib.request.urlopen(f"{place_of(address)}health", timeout=60) as answer:  # noqa: S310
        return int(answer.headers["X-Behind"])
