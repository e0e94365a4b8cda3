"""Many visitors of one host at the same moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from lens.cluster._host import Asked, Host
from lens.models import Model
from lens.numerics import Reading
from lens.wire import RECORDING, encode, frame, frames

__all__ = ["MARKS", "Visit", "at_once", "forwards", "marked", "question", "same", "visit"]

MARKS = ["qzx", "wvk", "jqj", "xkx", "zvz", "kqk"]  # which no token is, so that no prediction says one
CLOSE = 1e-5  # of probabilities, and in nats


@dataclass
class Visit:
    """One question of a visitor, and every byte of what comes back."""

    host: Host
    asked: Asked
    told: bytearray = field(default_factory=bytearray)
    after: Callable[[], object] = lambda: None

    @property
    def answer(self) -> Any:
        """The result, or the words of an error."""
        ((kind, value),) = frames([bytes(self.told)])
        return value if kind == "result" else value["words"]

    def ask(self) -> None:
        """And wait for the answer."""
        torch.set_num_threads(1)  # as in the tests: products split otherwise round otherwise
        self.host.answer(self.asked, lambda kind, value: self.told.extend(frame((kind, value))))
        self.after()


def visit(host: Host, visitor: str, text: str, model: str = "demo", **arguments: Any) -> Visit:
    """A visitor's question what every layer predicts over a text."""
    asked = host.asked(question(host.models[model], text, model, **arguments), visitor)
    assert isinstance(asked, Asked)
    return Visit(host, asked)


def question(of: Model, text: str, model: str = "demo", **arguments: Any) -> bytes:
    """As it is sent."""
    tokens = replace(of.encode(text if text.strip() else "something"), text=text)
    given = {RECORDING: tokens, "casts": ("id",), "k": 5} | arguments
    return encode({"call": "read_recording", "model": model, "arguments": given, "heard": ()})


def marked(mark: str) -> str:
    """A text that holds one of the marks."""
    return f"The old man {mark} sat {'so ' * MARKS.index(mark)}still"


def same(one: Reading, other: Reading) -> None:
    """To rounding: the same tokens, or others as likely."""
    for name in ("text", "tokens", "positions", "sources", "target", "casts"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("probabilities", "entropy", "kl", "surprisal", "model_probabilities", "model_entropy"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=CLOSE, atol=CLOSE)
    as_likely = np.isclose(one.probabilities, other.probabilities, rtol=CLOSE, atol=CLOSE)
    assert ((one.token_ids == other.token_ids) | as_likely).all()


def at_once(host: Host, visits: Sequence[Visit], meanwhile: Callable[[], object] = lambda: None) -> None:
    """All of them wait for their turns, in this order; `meanwhile` happens; then all are answered."""
    threads = [threading.Thread(target=each.ask) for each in visits]
    with host._turns.turn("the test", lambda: None):
        for thread in threads:
            before = _waiting(host)
            thread.start()
            while thread.is_alive() and _waiting(host) == before:
                time.sleep(0.001)
        meanwhile()
    for thread in threads:
        thread.join()


def _waiting(host: Host) -> int:
    return sum(map(len, host._turns._waiting.values()))


@contextmanager
def forwards(model: Model, during: Callable[[], object] = lambda: None) -> Iterator[list[tuple[int, int]]]:
    """Texts and tokens, padding included, of each forward that runs in here; `during` happens in each."""
    seen: list[tuple[int, int]] = []

    def note(_module: Any, args: Any) -> None:
        seen.append(tuple(args[0].shape[:2]))
        during()

    hook = model.anatomy.blocks[0].ln_1.register_forward_pre_hook(note)
    try:
        yield seen
    finally:
        hook.remove()
