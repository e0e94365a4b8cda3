"""The workbench: a sentence on top, and what every layer makes of it below; and each panel alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from traitlets import TraitError

from lens._whole import write_whole
from lens.casts import Maps
from lens.engine import Engine
from lens.errors import LensError
from lens.models import Model
from lens.panels._desk import Desk
from lens.panels._header import Header
from lens.panels._link import FIELDS, Followed, choices, from_link, to_link, whole
from lens.panels._naming import name_pictures
from lens.panels._offline import offline_html, page_name
from lens.panels._panel import Panel
from lens.panels._session import EXAMPLES, Session
from lens.panels._sharing import Sharing
from lens.panels._shelf import Shelf
from lens.panels._tabs import Tabs
from lens.panels._teaching import Teaching
from lens.panels._undo import Undoing, watch
from lens.panels.live import Reach

__all__ = ["Alone", "Explore", "alone", "explore", "hosts_shelf"]


NOTHING = Followed({}, [])


class _Seat(Undoing, widgets.VBox):
    """A session at its desk: what the workbench and a panel alone have in common."""

    def __init__(
        self, session: Session, engine: Engine | None, shelf: Shelf | None, example: bool, followed: Followed
    ) -> None:
        self.session = session
        self.desk = Desk(session, engine, shelf, example=example)
        self.desk.expect(followed.choices)
        super().__init__()
        self.add_class("lens")
        self.undo = [self.desk.close]

    def _name(self) -> None:
        """Let what is saved of the panel that is looked at say what it is."""
        if self.desk.answer is not None:
            name_pictures(self.shown(), self.session.panel, self.desk.answer.name)

    def shown(self) -> Any:
        """The panel that is looked at."""
        raise NotImplementedError

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
        self,
        session: Session,
        engine: Engine | None = None,
        shelf: Shelf | None = None,
        *,
        example: bool = False,
        followed: Followed = NOTHING,
    ) -> None:
        super().__init__(session, engine, shelf, example, followed)
        self.tabs = Tabs(self.desk)
        self.sharing = Sharing(self.desk, self.tabs.shown, self.follow)
        self.teaching = Teaching(session, self.follow)
        self.header = Header(self.desk, actions=[self.teaching.button, self.sharing.button])
        self.header.tell_left_out(followed.left_out)
        self.children = [self.teaching.guide, widgets.VBox([self.header, self.tabs]), Reach()]
        self.add_class("lens-workbench")
        self.undo += [
            *(each.close for each in (self.sharing, self.teaching, self.header, self.tabs)),
            watch(self.desk, ["answer"], self._name),
            watch(session, ["panel"], self._name),
        ]
        self.desk.ask()

    def panel(self, key: str) -> Any:
        """The widget of a panel, made if nobody has looked at it yet."""
        return self.tabs.panel(key)

    def shown(self) -> Any:
        """The panel that is looked at."""
        return self.tabs.shown()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the view as one HTML page that opens without a kernel or a network, and give its path.

        Its table, bars and lines still answer: another cast, layer, token or measure. A folder as `path` takes the page
        under a name that says what it is. LensError where there is nothing to save, or no such folder.
        """
        self.desk.settle()
        page = offline_html(self.desk, self.shown())
        place = Path(path).expanduser()
        place = place / page_name(self.desk) if place.is_dir() else place
        try:
            write_whole(place, page)
        except OSError as error:
            raise LensError(f"{place} can't be written ({error.strerror}). Give a file in a folder of yours.") from None
        return place

    def follow(self, link: str | Mapping[str, Any]) -> None:
        """Make the choices of a link, and say what it had to leave out."""
        found, left_out = from_link(link)
        found = whole(found)
        if {"text", "model"} & found.keys():
            self.desk.typed()
        self.header.tell_left_out(left_out)
        self.desk.expect(found)
        with self.session.hold_trait_notifications():
            for name, value in found.items():
                self.session.set_trait(name, value)


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
        followed: Followed = NOTHING,
    ) -> None:
        super().__init__(session, engine, shelf, example, followed)
        self.header = Header(self.desk, panel.controls)
        self.header.tell_left_out(followed.left_out)
        self.view = panel.make(self.desk)
        self.children = [self.header, self.view, Reach()]
        self.undo.append(watch(self.desk, ["answer"], self._name))
        self.view.look(True)
        self.desk.ask()

    def shown(self) -> Any:
        """The panel."""
        return self.view


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
    `choices` are any trait of the session (source, target, position, plan, panel, k, cast, metric, lesson, …); they,
    `model` and `text` come before `state`. LensError says what a choice may be.
    """
    return Explore(**_begin(model, text, maps, state, choices))


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
    return Alone(panel, **_begin(model, text, maps, state, choices | {"panel": panel.key}))


def _begin(
    model: str | os.PathLike[str] | Model | None,
    text: str | None,
    maps: Maps | None,
    state: str | Mapping[str, Any] | None,
    choices: dict[str, Any],
) -> dict[str, Any]:
    """What a seat is made of: a session, its shelf, whether its text is only an example, and what was followed."""
    hosts, shelf = hosts_shelf()
    if model is not None and not isinstance(model, (str, os.PathLike, Model)):
        raise LensError(f"A model is a name, a folder, or one from lens.load, not {type(model).__name__}.")
    if state is not None and not isinstance(state, (str, Mapping)):
        raise LensError(f"A state is the query of a link, or what .state gives, not {type(state).__name__}.")
    if maps is not None and not isinstance(model, Model):
        raise LensError("Give the model that the maps are for, from lens.load, together with them.")
    _session(choices)  # valid by themselves, or refused
    found, left_out = from_link(state or {})
    found = whole(found | choices)
    if isinstance(model, Model):
        shelf.add(model, maps)
        model = model.name
    if model is not None or "model" not in found:
        found["model"] = os.fspath(model or hosts)
    if text is not None:
        found["text"] = text
    session = _session({"text": EXAMPLES["causal"]} | found)
    return {
        "session": session,
        "shelf": shelf,
        "example": "text" not in found,
        "followed": Followed(found, left_out),
    }


def hosts_shelf() -> tuple[str, Shelf]:
    """The model that whoever runs this has chosen, and a shelf with its maps, as `lens app --model --maps` says."""
    model, folder = os.environ.get("LENS_MODEL") or "demo", os.environ.get("LENS_MODEL_MAPS")
    return model, Shelf(given={model: Maps.load(folder)} if folder else {})


def _session(chosen: dict[str, Any]) -> Session:
    if unknown := sorted(chosen.keys() - set(FIELDS)):
        raise LensError(f"There is no choice {', '.join(unknown)}; choices are {', '.join(FIELDS)}.")
    try:
        return Session(**chosen)
    except TraitError as error:
        raise LensError(f"That choice can't be made: {error}.") from None
