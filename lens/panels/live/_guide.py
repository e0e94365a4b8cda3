"""The steps of a lesson, beside what they are about."""

from __future__ import annotations

import traitlets

from lens.panels.live._live import Live

__all__ = ["Guide"]


class Guide(Live, asset="guide"):
    """A rail: the list of lessons, or one lesson's steps, of which one is open, with its questions.

    Sends `{"kind": "go", "lesson": number, "step": n}` when a step is chosen, lesson 0 for the list, and
    `{"kind": "close"}`. Prose is lists of text and `{"tag", "children"}`, as `_prose.nodes` makes them.
    """

    lessons = traitlets.List(
        traitlets.Dict(per_key_traits={"number": traitlets.Int(), "title": traitlets.Unicode()})
    ).tag(sync=True)
    lesson = traitlets.Int(0).tag(sync=True)
    """The number of the lesson that is open; 0 is none, and the list is shown."""
    steps = traitlets.List(
        traitlets.Dict(
            per_key_traits={"title": traitlets.Unicode(), "prose": traitlets.List(), "questions": traitlets.List()}
        )
    ).tag(sync=True)
    step = traitlets.Int(1, min=1).tag(sync=True)
    """The open step, counted from 1."""
