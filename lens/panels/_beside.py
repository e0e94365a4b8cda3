"""What a sentence is compared with: another sentence, another model, or another plan."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from lens.models import embedded
from lens.panels._desk import Desk
from lens.panels._style import PLAIN
from lens.panels._undo import Undoing, watch
from lens.panels.live import Sentence
from lens.plans import centred, recipe

__all__ = ["OTHERS", "Beside"]

AGAINST = {"another sentence": "text", "another model": "model", "another plan": "plan"}
OTHERS = {kind: f"other_{kind}" for kind in AGAINST.values()}
SENTENCES = {
    "causal": "The old woman stood by the fire and looked at the",
    "masked": "The old woman stood by the fire and [MASK] at the door.",
}


class Beside(Undoing, widgets.VBox):
    """What kind of thing is compared, and an entry for it; the session holds both."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        session = desk.session
        self.against = widgets.Dropdown(options=AGAINST, description="Beside", style=PLAIN)
        self.sentence = Sentence(label="The other sentence", placeholder="Type another sentence")
        self.model = widgets.Combobox(options=embedded(), continuous_update=False, ensure_option=False)
        self.plan = widgets.Text(continuous_update=False)
        controls = widgets.HBox([self.against, self.model, self.plan])
        controls.add_class("lens-controls")
        super().__init__([controls, self.sentence])
        self.undo = [
            widgets.link((session, "against"), (self.against, "value")).unlink,
            *(watch(entry, ["value"], self._typed) for entry in self._entries.values()),
            watch(session, ["against"], self._chosen),
        ]
        self._chosen()

    @property
    def _entries(self) -> dict[str, Any]:
        return {"text": self.sentence, "model": self.model, "plan": self.plan}

    @property
    def other(self) -> str:
        """What was typed, or else something worth looking at."""
        session, answer = self._desk.session, self._desk.answer
        given = str(getattr(session, OTHERS[session.against])).strip()
        if given or answer is None:
            return given
        if session.against == "text":
            return SENTENCES[answer.model.kind]
        if session.against == "model":
            return next(name for name in embedded() if name != answer.model.name)
        n = answer.model.n_blocks
        start, stop = centred(n, max(1, n // 3))
        return str(recipe("skip", n, start=start, stop=stop))

    def fill(self) -> None:
        """Say in the entry what is compared, also where nobody has typed."""
        self._entries[self._desk.session.against].value = self.other

    def _chosen(self) -> None:
        for name, entry in self._entries.items():
            entry.layout.display = "" if name == self._desk.session.against else "none"

    def _typed(self) -> None:
        session = self._desk.session
        typed = self._entries[session.against].value
        if typed != self.other:
            session.set_trait(OTHERS[session.against], typed)
