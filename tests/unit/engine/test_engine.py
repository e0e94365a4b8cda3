"""Work off the caller's thread: the latest request is answered, stale work stops, results stay within bounds."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from lens._cache import ByteCache
from lens.engine import InlineEngine, LocalEngine, Superseded, _local


def test_inline_work_is_answered_at_once() -> None:
    heard: list[Any] = []
    InlineEngine().submit("a", lambda report: report("half") or 7, heard.append, heard.append, heard.append)
    InlineEngine().submit("a", lambda _: 1 / 0, heard.append, lambda error: heard.append(type(error)))
    assert heard == ["half", 7, ZeroDivisionError]


def test_only_the_latest_of_a_channel_is_answered() -> None:
    engine, started, go, done = LocalEngine(), threading.Event(), threading.Event(), threading.Event()
    heard: list[Any] = []

    def slow(_: Any) -> str:
        started.set()
        go.wait(10)
        return "first"

    engine.submit("a", slow, heard.append, heard.append)
    assert started.wait(10)
    engine.submit("a", lambda _: heard.append("ran the second") or "second", heard.append, heard.append)
    engine.submit("a", lambda _: "third", heard.append, heard.append)
    engine.submit("b", lambda _: "other channel", lambda answer: (heard.append(answer), done.set()), heard.append)
    go.set()
    assert done.wait(10)
    engine.close()
    assert heard == ["third", "other channel"]


def test_cancelled_work_ends_at_its_next_report() -> None:
    engine, started, go, ended = LocalEngine(), threading.Event(), threading.Event(), threading.Event()
    heard: list[Any] = []

    def work(report: Any) -> None:
        started.set()
        go.wait(10)
        try:
            report(1)
        except Superseded:
            ended.set()
            raise

    engine.submit("a", work, heard.append, heard.append, heard.append)
    assert started.wait(10)
    engine.cancel("a")
    go.set()
    assert ended.wait(10)
    engine.close()
    assert heard == []


def test_answers_arrive_on_the_loop_that_asked() -> None:
    async def ask() -> tuple[int, int]:
        loop, heard = asyncio.get_running_loop(), []
        arrived: asyncio.Future[None] = loop.create_future()

        def then(worker: int) -> None:
            heard.extend([worker, threading.get_ident()])
            loop.call_soon_threadsafe(arrived.set_result, None)

        engine = LocalEngine()
        engine.submit("a", lambda _: threading.get_ident(), then, print)
        await asyncio.wait_for(arrived, 10)
        engine.close()
        return heard[0], heard[1]

    worker, hearer = asyncio.run(ask())
    assert worker != hearer == threading.get_ident()


def test_once_it_is_quiet_memory_is_given_back_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(_local, "QUIET", 0.3)
    monkeypatch.setattr(_local, "give_back", lambda: given.append(threading.current_thread().name))

    async def work() -> None:
        engine = LocalEngine()
        for _ in range(4):
            engine.submit("a", lambda _: None, lambda _: None, print)
            await asyncio.sleep(0.01)
        assert not given
        while not given:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        engine.submit("a", lambda _: None, lambda _: None, print)
        await asyncio.sleep(0.01)
        engine.close()
        await asyncio.sleep(0.5)

    asyncio.run(work())
    assert len(given) == 1
    assert given[0].startswith("lens")  # the loop goes on meanwhile


def test_a_cache_forgets_what_was_used_longest_ago() -> None:
    cache, made = ByteCache(100), []

    def make(key: str, size: int = 40) -> Any:
        return cache.get(key, lambda: (made.append(key) or key, size))

    for key in ("a", "b", "a", "c", "a", "b"):
        assert make(key) == key
    assert made == ["a", "b", "c", "b"]
    assert cache.held == 80
    assert make("huge", 101) == "huge"
    assert cache.held == 80
    cache.clear()
    assert cache.held == 0
