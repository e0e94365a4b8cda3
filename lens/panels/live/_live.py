"""The base of every live picture: a small widget of our own whose script and style travel with it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import anywidget
import numpy
import numpy.typing
import traitlets

from lens.errors import LensError

__all__ = ["Live", "Picture", "raw"]


def _text(name: str) -> str:
    return (files("lens.panels.live") / name).read_text(encoding="utf-8")


class Live(anywidget.AnyWidget):
    """A picture drawn in the browser from synced traits; `class Name(Live, asset="name")` takes `name.js`, `name.css`.

    What its kind shares is joined in front, so each widget is one self-contained module without imports.
    """

    asset: str
    """The name of its script."""
    _scripts: tuple[str, ...] = ("common.js",)
    _styles: tuple[str, ...] = ("theme.css",)

    def __init_subclass__(cls, *, asset: str | None = None, **kwargs: Any) -> None:
        if asset is not None:
            cls.asset = asset
            cls._esm = "\n".join(map(_text, (*cls._scripts, f"{asset}.js")))
            cls._css = "\n".join(map(_text, (*cls._styles, f"{asset}.css")))
        super().__init_subclass__(**kwargs)

    def show(self, **state: Any) -> None:
        """Set several traits in one message, so that the browser draws once. Raises TraitError on an unknown name."""
        with self.hold_sync():
            for name, value in state.items():
                self.set_trait(name, value)

    def on_message(self, kind: str, handler: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Call `handler` with each message of this kind from the browser; returns the function that undoes it."""

        def receive(_widget: Live, content: object, _buffers: object) -> None:
            if isinstance(content, dict) and content.get("kind") == kind:
                handler(content)

        self.on_msg(receive)
        return lambda: self.on_msg(receive, remove=True)


class Picture(Live):
    """A live picture that can be taken along, as SVG, PNG, HTML and CSV, from a menu of its own."""

    _scripts = (*Live._scripts, "drawing.js", "take.js")
    _styles = (*Live._styles, "take.css")

    stem = traitlets.Unicode("lens-").tag(sync=True)
    """How the files that are saved of it are called; where it ends in a hyphen, the picture's own title follows."""


def raw(name: str, values: numpy.typing.ArrayLike, kind: str, shape: tuple[int, ...]) -> bytes:
    """An array as the bytes that a picture reads; LensError where it has another shape than the picture's spec says."""
    array = numpy.ascontiguousarray(values, dtype=kind)
    if array.shape != shape:
        raise LensError(f"The picture's {name} have shape {array.shape}; its spec asks for {shape}.")
    return array.tobytes()
