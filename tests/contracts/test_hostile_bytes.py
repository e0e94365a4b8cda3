"""Every reader of what others may have written, on bytes changed a little; `tests.fuzz.run` goes on for longer."""

from __future__ import annotations

import random

import pytest

from tests.fuzz._mutate import mutated
from tests.fuzz._targets import TARGETS, Target
from tests.fuzz.run import HERE, outcome


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_raises_nothing_but_words(name: str) -> None:
    target, chance = TARGETS[name], random.Random(name)  # noqa: S311 - chance, not a secret
    kept = [path.read_bytes() for path in sorted((HERE / "corpus" / name).glob("*"))]
    changed = [mutated(chance, target.seeds, target.seeds, target.words) for _ in range(100)]
    said = [outcome(target, data) for data in (*target.seeds, *kept, *changed)]
    assert not [words for words, finding in said if finding]
    assert said[0][0] == "read"


@pytest.mark.parametrize("error", [ValueError, MemoryError, RecursionError, KeyboardInterrupt])
def test_any_other_exception_is_a_finding(error: type[BaseException]) -> None:
    def read(_: bytes) -> None:
        raise error

    assert outcome(Target(read, (b"",)), b"")[1]
