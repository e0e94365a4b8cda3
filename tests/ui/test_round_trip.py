"""A link opens the very view, in a browser that has never been here: the same choices, and the same numbers."""

from __future__ import annotations

import os
import random
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

import lens
from lens.panels import panels
from lens.panels._link import choices, from_link, to_link
from lens.panels._session import METRICS, Session
from tests.ui.conftest import OpenPage, until_ready
from tests.ui.test_explore import said, shows

STATES = int(os.environ.get("LENS_STATES", "3"))  # how many random states are tried; 50 before a release
TEXTS = [
    "She opened the door and saw the",
    "a+b & c=d %20 #x ?y",
    "The old man 🙂 said “no” — and",
    "مرحبا بالعالم then the",
    "first line\nsecond line and the",
]


def state(seed: int) -> dict[str, Any]:
    """A view that a person can come to: no layer or token that the model doesn't have."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    text = chance.choice(TEXTS)
    target = chance.choice([None, *range(1, 12)])
    source = chance.randint(0, target or 12)
    tokens = len(lens.load("demo").encode(text))
    return {
        "text": text,
        "source": source,
        "target": target,
        "position": chance.choice([None, *range(tokens - 1)]),
        "k": chance.randint(1, 20),
        "plan": chance.choice(["", "0-3 8-11", "0-3 7-4 8-11", "0-4 (5-8)x2 9-11", "0-3 [4|6]+x2 8-11"]),
        "cast": chance.choice(["id", "mat", "difference"]),
        "metric": chance.choice(METRICS),
        "panel": chance.choice([key for key in panels() if key not in ("fit",)]),
        "against": chance.choice(["text", "plan"]),
        "exit": round(chance.uniform(0, 1), 2),
    }


def shown_choices(page: Page) -> dict[str, Any]:
    query = urlsplit(page.url).query
    found, left_out = from_link(f"?{query}")
    assert left_out == []
    return choices(Session(**found))


@pytest.mark.parametrize("seed", range(STATES))
def test_a_link_opens_the_very_view(seed: int, voila_address: str, open_page: OpenPage) -> None:
    session = Session(**state(seed))
    page = until_ready(open_page(voila_address.rstrip("/") + "/" + to_link(session)))
    expect(page.get_by_role("tab", name=panels()[session.panel].title, exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    expect(page.locator(".lens-chips [data-position]").first).to_be_visible()
    expect(page.locator(".lens-share")).to_have_attribute("aria-busy", "false")
    assert shown_choices(page) == choices(session)
    page.get_by_role("tab", name="Jump", exact=True).click()
    target = 12 if session.target is None else session.target
    position = -1 if session.position is None else session.position
    shows(page, said("demo", session.text, session.source, target, position, session.k))
    expect(page).not_to_have_url(re.compile("[?&]panel="))  # the address follows when all has come to rest
    assert shown_choices(page) == {name: value for name, value in choices(session).items() if name != "panel"}


def test_a_damaged_link_opens_what_it_can_and_says_the_rest(voila_address: str, open_page: OpenPage) -> None:
    page = until_ready(
        open_page(
            voila_address.rstrip("/") + "/?text=She+opened+the&source=3&k=99&panel=nope&sauce=1&%ff&target=40&plan=)("
        )
    )
    notice = page.locator(".lens-notice:visible")
    expect(notice).to_contain_text("could not be opened in full")
    for words in ("k '99'", "panel 'nope'", "sauce", "plan ')('", "target '40': demo has layers 0 to 12"):
        expect(notice).to_contain_text(words)
    shows(page, said("demo", "She opened the", 3, 12, -1))
    assert dict(parse_qsl(urlsplit(page.url).query))["source"] == "3"
    notice.get_by_role("button", name="Put away").click()
    expect(notice).to_be_hidden()
