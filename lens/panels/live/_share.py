"""Taking a view along: its address, its code, its page."""

from __future__ import annotations

import traitlets

from lens.panels.live._live import Live

__all__ = ["Share"]


class Share(Live, asset="share"):
    """A button that opens what can be taken along; on a page of `lens app` it also keeps the address up to date.

    Sends `{"kind": "search", "search": …}` once, with the query that the page was opened with, and waits for `heard`;
    `{"kind": "save"}` asks for the page, which comes back as a message `{"kind": "page", "name", "html"}`.
    """

    link = traitlets.Unicode("").tag(sync=True)
    """The session as a query, "?model=…"."""
    whole = traitlets.Bool(True).tag(sync=True)
    """Whether the link holds the sentences: very long ones have no room in an address."""
    binder = traitlets.Unicode("").tag(sync=True)
    """The view on Binder, or empty where no repository is known."""
    python = traitlets.Unicode("").tag(sync=True)
    """Code that gives what is on screen; kept up to date while `opened`."""
    opened = traitlets.Bool(False).tag(sync=True)
    heard = traitlets.Bool(False).tag(sync=True)
    """Whether the query that the page was opened with has been followed."""
    problem = traitlets.Unicode("").tag(sync=True)
    """Why the page could not be made, in words."""
