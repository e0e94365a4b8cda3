"""A busy machine loads a widget's script later than anywidget waits for: the page follows its kernel all the same."""

from __future__ import annotations

import pytest

from tests.ui.conftest import OpenPage
from tests.ui.test_explore import said, shows

# anywidget's two seconds are over at once, for every widget: before any script can have come
LATE = """
window.late = 0;
const timeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (milliseconds) => {
  if (milliseconds !== 2000) return timeout(milliseconds);
  window.late += 1;
  const controller = new AbortController();
  queueMicrotask(() => controller.abort());
  return controller.signal;
};
"""
TEXT = "She opened the door"


@pytest.mark.parametrize("place", ["voila", "lab"])
def test_widgets_whose_scripts_come_late_follow_their_kernel(request: pytest.FixtureRequest, place: str) -> None:
    opened: OpenPage = request.getfixturevalue(f"{place}_page")
    page = opened(script=LATE)
    box = page.get_by_role("textbox", name="Sentence")
    box.fill(TEXT)
    shows(page, said("demo", TEXT, source=4, target=12, position=-1))
    assert page.evaluate("window.late") >= 5  # else anywidget waits in another way now, and this shows nothing
