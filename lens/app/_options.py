"""How the page is served, in one value."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from lens.errors import LensError

__all__ = ["LOOPBACK", "Options", "Place", "new_token", "place", "site"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PATH = re.compile(r"/([A-Za-z0-9_.~-]+/)*")
SITE = re.compile(r"(https?://)?(\*\.)?[A-Za-z0-9.-]+(:\d{1,5})?")


@dataclass(frozen=True)
class Place:
    """Where visitors find the page: a path and, behind a proxy that is known by name, its origin ("https://…")."""

    path: str = "/"
    origin: str = ""

    @property
    def name(self) -> str:
        """The host's name in the origin, or nothing."""
        return urlsplit(self.origin).hostname or ""


@dataclass(frozen=True)
class Options:
    """Everything that the host of a page decides."""

    host: str = "127.0.0.1"
    port: int = 8866
    place: Place = Place()
    token: str = ""  # what a visitor must know; nothing lets everyone in
    visitors: int = 32  # at most, at one time
    frames: tuple[str, ...] = ()  # sites that may show the page inside theirs
    idle: int = 900  # seconds after which the session of a page that has gone is ended
    preheat: int = 1  # sessions kept ready
    fork: bool = True  # sessions are forked from one process that holds the model, where that works
    browser: bool = True
    debug: bool = False

    @property
    def reached(self) -> bool:
        """Whether others than this machine's own users can reach the page."""
        return self.host not in LOOPBACK or bool(self.place.origin)


def place(text: str) -> Place:
    """The place that `--base-url` names: a path, or a whole address. LensError where it is neither."""
    parts = urlsplit(text)
    path = f"/{parts.path.strip('/')}/" if parts.path.strip("/") else "/"
    whole = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    if not PATH.fullmatch(path) or parts.query or parts.fragment or not (whole or not (parts.scheme or parts.netloc)):
        raise LensError(f"{text!r} is no place for the page; give a path (/lens/) or an address (https://host/lens/)")
    return Place(path, f"{parts.scheme}://{parts.netloc}".lower() if whole else "")


def site(text: str) -> str:
    """A site as `frame-ancestors` takes it. LensError where it is none."""
    if not SITE.fullmatch(text):
        raise LensError(f"{text!r} is no site; give one as https://example.org or https://*.example.org")
    return text


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)
