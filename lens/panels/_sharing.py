"""What of a view can be taken along: its address, its code, its page."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from lens.errors import LensError
from lens.panels._desk import Desk
from lens.panels._link import to_address
from lens.panels._offline import offline_html, page_name
from lens.panels._panel import View
from lens.panels._undo import watch
from lens.panels.live import Share

__all__ = ["REPOSITORY", "Sharing", "binder_link"]

REPOSITORY = "LENS_REPOSITORY"  # "owner/name" on GitHub, or its address, of what Binder is to build


class Sharing:
    """Keeps the button's link and code in step with the session; `follow` takes the query of the page's address."""

    def __init__(self, desk: Desk, shown: Callable[[], View], follow: Callable[[str], None]) -> None:
        self._desk, self._shown, self._follow = desk, shown, follow
        self.button = Share()
        self._undo = [
            watch(desk.session, list(desk.session.trait_names()), self._draw),
            watch(desk, ["answer"], self._draw),
            watch(self.button, ["opened"], self._draw),
            self.button.on_message("search", self._searched),
            self.button.on_message("save", self._saved),
        ]
        self._draw()

    def close(self) -> None:
        """Leave no observer behind."""
        while self._undo:
            self._undo.pop()()

    def _searched(self, message: dict[str, Any]) -> None:
        search = str(message.get("search", ""))
        if search.strip("?"):
            self._follow(search)
        self._draw()
        self.button.heard = True

    def _saved(self, _: dict[str, Any]) -> None:
        try:
            html = offline_html(self._desk, self._shown())
        except LensError as error:
            self.button.problem = str(error)
            return
        self.button.problem = ""
        self.button.send({"kind": "page", "name": page_name(self._desk), "html": html})

    def _draw(self) -> None:
        link, whole = to_address(self._desk.session)
        code = self._code() if self.button.opened else ""
        self.button.show(link=link, whole=whole, binder=binder_link(link), python=code)

    def _code(self) -> str:
        if self._desk.answer is None:
            return ""
        try:
            return self._shown().python()
        except LensError as error:
            return f"# {error}\n"


def binder_link(link: str) -> str:
    """The address on mybinder.org that opens a view, where $LENS_REPOSITORY names a repository; else nothing."""
    repository = os.environ.get(REPOSITORY, "").removeprefix("https://github.com/").removesuffix(".git").strip("/")
    if not repository:
        return ""
    page = quote(f"voila/render/notebooks/explore.ipynb{link}", safe="")
    return f"https://mybinder.org/v2/gh/{quote(repository)}/HEAD?urlpath={page}"
