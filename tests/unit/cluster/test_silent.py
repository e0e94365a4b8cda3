"""Whoever serves an engine notices when its cluster has died, and leaves another's cluster alone."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.responses import Response

from lens.cluster import Serving, silent
from tests.unit.cluster._near import at


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other at once."""
    monkeypatch.setattr("lens.cluster._serve.LOOK", 0.1)
    monkeypatch.setattr("lens.cluster._serve.SILENCE", 0.3)


def test_an_engine_that_answers_is_left_alone_until_ctrl_c_and_one_that_is_gone_is_silent() -> None:
    asked = threading.Event()

    async def busy(_: Any) -> Response:
        asked.set()
        return Response("No replicas are available yet.", 503)

    ended = threading.Event()
    with at(busy) as address:
        serving = Serving(port=urlsplit(address).port or 0)
        threading.Timer(0.6, ended.set).start()
        assert not silent(serving, ended)
        assert asked.is_set()
    assert silent(replace(serving, host="0.0.0.0"), threading.Event())  # noqa: S104
    elsewhere = replace(serving, address="10.0.0.1:6379")
    threading.Timer(0.6, ended.set).start()
    ended.clear()
    assert not silent(elsewhere, ended)
