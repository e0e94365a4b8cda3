"""The workbench: a sentence on top, and what every layer makes of it below; and each panel alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
from traitlets import TraitError

from lens.casts import Maps
from lens.engine import Engine
from lens.errors import LensError
from lens.models import Model
from lens.panels._desk import Desk
from lens.panels._header import Header
from lens.panels._link import FIELDS, choices, from_link, to_link
from lens.panels._panel import Panel
from lens.panels._session import EXAMPLES, Session
from lens.panels._sharing import Sharing
from lens.panels._shelf import Shelf
from lens.panels._tabs import Tabs
from lens.panels._undo import Undoing

__all__ = ["Alone", "Explore", "alone", "explore", "hosts_shelf"]


class _Seat(Undoing, widgets.VBox):
    """A session at its desk: what the workbench and a panel alone have in common."""

    def __init__(self, session: Session, engine: Engine | None, shelf: Shelf | None, example: bool) -> None:
        self.session = session
        self.desk = Desk(session, engine, shelf, example=example)
        super().__init__()
        self.add_class("lens")
        self.undo = [self.desk.close]

    @property
    def state(self) -> dict[str, Any]:
        """What differs from a fresh session, with the model and the text: what `explore(state=…)` takes."""
        return choices(self.session)

    @property
    def link(self) -> str:
        """The same as the query of an address."""
        return to_link(self.session)


class Explore(_Seat):
    """One session, its desk and its panels; `session` holds the choices, and setting them moves the view."""

    def __init__(
        self, session: Session, engine: Engine | None = None, shelf: Shelf | None = None, *, example: bool = False
    ) -> None:
        super().__init__(session, engine, shelf, example)
        self.tabs = Tabs(self.desk)
        self.sharing = Sharing(self.desk, self.tabs.shown, self.follow)
        self.header = Header(self.desk, share=self.sharing.button)
        self.children = [self.header, self.tabs]
        self.undo.append(self.sharing.close)
        self.desk.ask()

    def panel(self, key: str) -> Any:
        """The widget of a panel, made if nobody has looked at it yet."""
        return self.tabs.panel(key)

    def follow(self, link: str | Mapping[str, Any]) -> None:
        """Make the choices of a link, and say what it had to leave out."""
        found, left_out = from_link(link)
        if {"text", "model"} & found.keys():
            self.desk.typed()
        with self.session.hold_trait_notifications():
            for name, value in found.items():
                self.session.set_trait(name, value)
        self.header.tell_left_out(left_out)


class Alone(_Seat):
    """One panel, with the controls that it reads."""

    def __init__(
        self,
        panel: Panel,
        session: Session,
        engine: Engine | None = None,
        shelf: Shelf | None = None,
        *,
        example: bool = False,
    ) -> None:
        super().__init__(session, engine, shelf, example)
        self.header = Header(self.desk, panel.controls)
        self.view = panel.make(self.desk)
        self.children = [self.header, self.view]
        self.view.look(True)
        self.desk.ask()


def explore(
    model: str | os.PathLike[str] | Model | None = None,
    text: str | None = None,
    *,
    maps: Maps | None = None,
    state: str | Mapping[str, Any] | None = None,
    **choices: Any,
) -> Explore:
    """The workbench as a widget, for any notebook: type a sentence and see what every layer makes of it.

    `model` is an embedded name (default "demo", or $LENS_MODEL), a folder, a name on the Hugging Face hub, or a model
    from `lens.load`, then with `maps` of one's own if there are any; `text` the sentence; `state` a whole view, as the
    query of a link ("?text=…&source=4") or as `.state` gives it: what it can't set, it leaves out and says so.
    `choices` are any trait of the session (source, target, position, plan, panel, k, cast, metric, …); they, `model`
    and `text` come before `state`. LensError says what a choice may be.
    """
    session, shelf, example, left_out = _begin(model, text, maps, state, choices)
    made = Explore(session, shelf=shelf, example=example)
    made.header.tell_left_out(left_out)
    return made


def alone(
    panel: Panel,
    model: str | os.PathLike[str] | Model | None = None,
    text: str | None = None,
    *,
    maps: Maps | None = None,
    state: str | Mapping[str, Any] | None = None,
    **choices: Any,
) -> Alone:
    """One panel as a widget; arguments as of `explore`."""
    session, shelf, example, left_out = _begin(model, text, maps, state, choices | {"panel": panel.key})
    made = Alone(panel, session, shelf=shelf, example=example)
    made.header.tell_left_out(left_out)
    return made


def _begin(
    model: str | os.PathLike[str] | Model | None,
    text: str | None,
    maps: Maps | None,
    state: str | Mapping[str, Any] | None,
    choices: dict[str, Any],
) -> tuple[Session, Shelf, bool, list[str]]:
    """A session and its shelf, whether its text is only an example, and what of the state was left out."""
    hosts, shelf = hosts_shelf()
    if maps is not None and not isinstance(model, Model):
        raise LensError("Give the model that the maps are for, from lens.load, together with them.")
    found, left_out = from_link(state or {})
    if isinstance(model, Model):
        shelf.add(model, maps)
        model = model.name
    if model is not None or "model" not in found:
        found["model"] = os.fspath(model or hosts)
    if text is not None:
        found["text"] = text
    example = "text" not in found
    return _session({"text": EXAMPLES["causal"]} | found, choices), shelf, example, left_out


def hosts_shelf() -> tuple[str, Shelf]:
    """The model that whoever runs this has chosen, and a shelf with its maps, as `lens app --model --maps` says."""
    model, folder = os.environ.get("LENS_MODEL") or "demo", os.environ.get("LENS_MODEL_MAPS")
    return model, Shelf(given={model: Maps.load(folder)} if folder else {})


def _session(found: dict[str, Any], choices: dict[str, Any]) -> Session:
    if unknown := sorted(choices.keys() - set(FIELDS)):
        raise LensError(f"There is no choice {', '.join(unknown)}; choices are {', '.join(FIELDS)}.")
    try:
        return Session(**found | choices)
    except TraitError as error:
        raise LensError(f"That choice can't be made: {error}.") from None
