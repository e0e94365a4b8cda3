"""The workbench: a sentence on top, and what every layer makes of it below."""

from __future__ import annotations

import os
from typing import Any

import ipywidgets as widgets
from traitlets import TraitError

from lens.casts import Maps
from lens.engine import Engine
from lens.errors import LensError
from lens.models import Model
from lens.panels._anatomy import Anatomy
from lens.panels._desk import Desk
from lens.panels._early_exit import Leaving
from lens.panels._fitting import Fitting
from lens.panels._header import Header
from lens.panels._jump import Jump
from lens.panels._layers import Layers, Submodules
from lens.panels._lens_table import LensTable
from lens.panels._r2 import R2Maps
from lens.panels._session import EXAMPLES, Session
from lens.panels._shelf import Shelf
from lens.panels._surgery import Surgery
from lens.panels._sweeps import Sweeps
from lens.panels._tabs import Tabs
from lens.panels._undo import Undoing

__all__ = ["Explore", "explore"]


class Explore(Undoing, widgets.VBox):
    """One session, its desk and its panels; `session` holds the choices, and setting them moves the view."""

    def __init__(
        self, session: Session, engine: Engine | None = None, shelf: Shelf | None = None, *, example: bool = False
    ) -> None:
        self.session = session
        self.desk = Desk(session, engine, shelf, example=example)
        self.header = Header(self.desk)
        self.jump = Jump(self.desk)
        self.table = LensTable(self.desk)
        self.tabs = Tabs(
            {
                "Every layer": self.table,
                "Assembly line": Surgery(self.desk),
                "Sweeps": Sweeps(self.desk),
                "What layers do": Anatomy(self.desk),
                "r²": R2Maps(self.desk),
                "Layers": Layers(self.desk),
                "Early exit": Leaving(self.desk),
                "Sub-modules": Submodules(self.desk),
                "Fit": Fitting(self.desk),
            }
        )
        super().__init__([self.header, self.jump, self.tabs])
        self.add_class("lens")
        self.undo = [self.desk.close]
        self.desk.ask()


def explore(
    model: str | os.PathLike[str] | Model | None = None,
    text: str | None = None,
    *,
    maps: Maps | None = None,
    **choices: Any,
) -> Explore:
    """The workbench as a widget, for any notebook: type a sentence and see what every layer makes of it.

    `model` is an embedded name (default "demo", or $LENS_MODEL), a folder, a name on the Hugging Face hub, or a model
    from `lens.load`, then with `maps` of one's own if there are any; `text` the sentence; `choices` any trait of the
    session (source, target, position, k, cast, metric). LensError says what a choice may be.
    """
    shelf = Shelf()
    if maps is not None and not isinstance(model, Model):
        raise LensError("Give the model that the maps are for, from lens.load, together with them.")
    if isinstance(model, Model):
        shelf.add(model, maps)
        name = model.name
    else:
        name = os.fspath(model or os.environ.get("LENS_MODEL") or "demo")
    return Explore(_session(name, text, choices), shelf=shelf, example=text is None)


def _session(model: str, text: str | None, choices: dict[str, Any]) -> Session:
    if unknown := sorted(choices.keys() - Session.class_trait_names()):
        raise LensError(
            f"There is no choice {', '.join(unknown)}; choices are {', '.join(Session.class_trait_names())}."
        )
    try:
        return Session(model=model, text=EXAMPLES["causal"] if text is None else text, **choices)
    except TraitError as error:
        raise LensError(f"That choice can't be made: {error}") from None
