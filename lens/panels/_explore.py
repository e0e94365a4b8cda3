"""The workbench: a sentence on top, and what every layer makes of it below."""

from __future__ import annotations

import os
from typing import Any

import ipywidgets as widgets

from lens.engine import Engine
from lens.panels._desk import Desk
from lens.panels._header import Header
from lens.panels._jump import Jump
from lens.panels._lens_table import LensTable
from lens.panels._session import EXAMPLES, Session
from lens.panels._undo import Undoing

__all__ = ["Explore", "explore"]


class Explore(Undoing, widgets.VBox):
    """One session, its desk and its panels; `session` holds the choices, and setting them moves the view."""

    def __init__(self, session: Session, engine: Engine | None = None) -> None:
        self.session = session
        self.desk = Desk(session, engine)
        self.header = Header(self.desk)
        self.jump = Jump(self.desk)
        self.table = LensTable(self.desk)
        super().__init__([self.header, self.jump, self.table])
        self.add_class("lens")
        self.undo = [*(panel.close for panel in self.children), self.desk.close]
        self.desk.ask()


def explore(model: str | None = None, text: str | None = None, **choices: Any) -> Explore:
    """The workbench as a widget, for any notebook: type a sentence and see what every layer makes of it.

    `model` is an embedded name (default "demo", or $LENS_MODEL), a folder, or a name on the Hugging Face hub;
    `text` the sentence; `choices` any trait of the session (source, target, position, k, cast, metric).
    """
    name = model or os.environ.get("LENS_MODEL") or "demo"
    session = Session(model=name, text=EXAMPLES["causal"] if text is None else text, **choices)
    return Explore(session)
