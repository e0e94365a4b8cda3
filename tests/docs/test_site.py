"""The site as `make docs` built it: every link leads somewhere, no other host is asked, search works offline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.ui._browser import chromium

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"
HTML = sorted(SITE.rglob("*.html"))
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "video": "src"}


class _Reader(HTMLParser):
    """Collects the anchors, the links and what a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """One element."""
        found = {name: value for name, value in attributes if value}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if tag in LOADED and LOADED[tag] in found:
            self.loads.add(found[LOADED[tag]])


@cache
def read(page: Path) -> _Reader:
    """One page."""
    reader = _Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader


def dead(page: Path) -> Iterator[str]:
    """The links of a page within the site that lead nowhere."""
    for link in sorted(read(page).links | read(page).loads):
        parts = urlsplit(link)
        if not (parts.scheme or parts.netloc) and not _leads(page, unquote(parts.path), unquote(parts.fragment)):
            yield link


def _leads(page: Path, path: str, anchor: str) -> bool:
    """Whether there is such a file, and such a place in it; only the page for what is not found begins with a slash."""
    target = (SITE / path.lstrip("/") if path.startswith("/") else page.parent / path) if path else page
    target = target / "index.html" if target.is_dir() else target
    return target.is_file() and (not anchor or target.suffix != ".html" or anchor in read(target.resolve()).anchors)


def test_there_is_a_site() -> None:
    assert SITE / "index.html" in HTML, "run `make docs`"


def test_every_lesson_has_its_page() -> None:
    lessons = {path.stem for path in (ROOT / "notebooks" / "lessons").glob("*.ipynb")}
    assert {path.stem for path in (SITE / "lessons").glob("*.html")} == {"index", *lessons}


def test_every_link_and_anchor_leads_somewhere() -> None:
    assert not {page.relative_to(SITE).as_posix(): found for page in HTML if (found := list(dead(page)))}


def test_a_dead_link_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<a href="#here" id="there">x</a> <a href="gone.html">y</a> <a href="#there">z</a>', "utf-8")
    assert list(dead(page)) == ["#here", "gone.html"]


def test_no_page_loads_anything_from_elsewhere() -> None:
    foreign = {load for page in HTML for load in read(page).loads if urlsplit(load).scheme not in ("", "data")}
    styles = "".join(path.read_text(encoding="utf-8") for path in SITE.rglob("*.css"))
    assert not foreign | set(re.findall(r"(?:url\(|@import\s*)[\"']?(https?://[^\"')]+)", styles))


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[Page, list[str]]]:
    """A browser's page, and every address that it asks for."""
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        yield page, asked
        browser.close()


def test_from_a_file_the_site_opens_and_is_searched_without_a_network(opened: tuple[Page, list[str]]) -> None:
    page, asked = opened
    page.goto((SITE / "index.html").as_uri())
    page.locator("[data-md-component=search-query]").fill("early exit")
    page.locator(".md-search-result__item").first.wait_for(state="attached")
    assert not [url for url in asked if urlsplit(url).scheme not in ("file", "data", "blob")]
