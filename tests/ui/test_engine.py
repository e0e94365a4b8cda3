"""`lens app --engine` for real: two visitors at one engine on Ray Serve, whose worker is killed in mid-work."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Page, expect

import lens
from lens.app._places import explore_notebook
from tests.ui._servers import serving
from tests.ui.conftest import OpenPage, until_ready
from tests.ui.test_explore import said, shows
from tests.ui.test_survival import sentence
from tests.unit.cluster._served import replica
from tests.unit.cluster._served import serving as engine_serving

TEXTS = ("The captain looked out over the grey", "She opened the door of the bakery and saw")
MARKS = ("captain", "bakery")  # that the model does not write by itself: it is asserted
AWAY = "The engine went away in the middle of this. It is asked again by itself as soon as it is back."
PLAN = "0-3 5-11"
WATCH = """() => {
  window.stages = [];
  new MutationObserver(() => {
    const written = document.querySelector(".lens-written p")?.textContent;
    if (written && written !== window.stages.at(-1)) window.stages.push(written);
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


@pytest.fixture(scope="module")
def engine() -> Iterator[tuple[str, psutil.Process]]:
    """A shared engine, and the process that serves it."""
    with engine_serving("demo", "--token", "known-token") as found:
        yield found


@pytest.fixture(scope="module")
def address(engine: tuple[str, psutil.Process], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `lens app` serves pages that ask it."""
    folder = tmp_path_factory.mktemp("app")
    with serving("app", explore_notebook(), folder, "--preheat", "0", "--engine", engine[0]) as found:
        yield found


@pytest.fixture
def visitors(address: str, open_page: OpenPage) -> list[Page]:
    """Two pages at once, each with a sentence of its own, and the predictions of that."""
    pages = [open_page(address) for _ in TEXTS]
    for page, text in zip(map(until_ready, pages), TEXTS, strict=True):
        page.locator(".lens-sentence textarea").fill(text)
    for page, text in zip(pages, TEXTS, strict=True):
        shows(page, said("demo", text, 4, 12, -1))
    return pages


def write(page: Page, *, most: bool = False) -> None:
    """Have the plan and the full model write on: 32 tokens, or as many as can be chosen."""
    page.get_by_role("tab", name="Assembly line").click()
    page.locator(".lens-strip input").fill(PLAN)
    page.locator(".lens-strip input").press("Enter")
    if most:
        page.locator(".widget-slider", has_text="Tokens").locator(".noUi-handle").press("End")
    page.evaluate(WATCH)
    page.get_by_role("button", name="Write on with both").click()


def wrote(page: Page, text: str, tokens: int) -> None:
    """What both wrote is there, to the last token, and is what `lens.generate` writes."""
    model = lens.load("demo")
    for place, plan in enumerate((PLAN, None)):
        written = lens.generate(model, text, plan, max_new_tokens=tokens).text
        expect(page.locator(".lens-written p").nth(place)).to_have_text(text + written, use_inner_text=False)


def test_two_visitors_at_once_are_each_answered_about_their_own_sentence_only(visitors: list[Page]) -> None:
    for page in visitors:
        write(page)
    for page, text in zip(visitors, TEXTS, strict=True):
        wrote(page, text, 32)
        assert page.evaluate("window.stages.length") > 3  # it came as it was written
    for page, own, others in zip(visitors, MARKS, reversed(MARKS), strict=True):
        assert own in page.content()
        assert others not in page.content() + sentence(page) + page.url
        assert page.failures == []  # type: ignore[attr-defined]


def test_when_its_worker_is_killed_in_the_middle_that_is_said_and_all_goes_on_by_itself(
    visitors: list[Page], engine: tuple[str, psutil.Process]
) -> None:
    page, other = visitors
    write(page, most=True)
    page.wait_for_function("window.stages.length > 1")
    killed = replica(engine[1])
    killed.kill()
    other.locator(".lens-sentence textarea").fill(TEXTS[1] + " the")
    expect(page.get_by_text(AWAY)).to_be_visible()
    expect(page.get_by_text(AWAY)).to_be_hidden()
    wrote(page, TEXTS[0], 200)
    shows(other, said("demo", TEXTS[1] + " the", 4, 12, -1))  # nothing was lost here: it only took a while
    assert replica(engine[1]).pid != killed.pid
    assert [sentence(each) for each in visitors] == [TEXTS[0], TEXTS[1] + " the"]
    assert not page.failures + other.failures  # type: ignore[attr-defined]
