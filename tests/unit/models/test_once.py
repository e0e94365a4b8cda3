"""A value made once."""

from __future__ import annotations

import threading

import pytest

from lens.models._once import Once


def test_two_threads_make_it_once() -> None:
    made: list[int] = []
    entered, go_on = threading.Event(), threading.Event()

    def make() -> object:
        made.append(1)
        entered.set()
        assert go_on.wait(10)
        return object()

    once = Once(make)
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(once())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    assert not once.done
    go_on.set()
    for thread in threads:
        thread.join()
    assert once.done
    assert len(made) == 1
    assert len(set(map(id, got))) == 1


def test_a_failure_is_tried_again() -> None:
    answers = iter([None, "value"])

    def make() -> str:
        answer = next(answers)
        if answer is None:
            raise OSError("not yet")
        return answer

    once = Once(make)
    with pytest.raises(OSError, match="not yet"):
        once()
    assert once() == once() == "value"
