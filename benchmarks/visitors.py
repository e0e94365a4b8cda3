"""What it saves to read visitors' texts in one forward: `python -m benchmarks.visitors`.

On `demo` and on a GPT-2 of the small size. First, recordings of several texts of one length: one forward that is taken
apart, beside as many forwards. Then a shared engine's host, without Ray and HTTP, which visitors ask at once, each for
a reading of a text of their own that it has not seen, with and without forwards together.
"""

from __future__ import annotations

import argparse
import random
import threading
from collections.abc import Callable
from itertools import product
from statistics import mean
from typing import Any

import torch

import lens
from benchmarks._measure import gpt2, interleaved, machine, made_maps, options, say, size, table, text_of, written
from lens.casts import Maps
from lens.cluster._host import RECORDINGS, Asked, Host
from lens.cluster._recordings import TEXTS, Recordings, Text
from lens.execution import maps_for
from lens.models import Model, Recording, Tokens, apart, likeness, separable
from lens.wire import RECORDING, encode

SHORTEST, LONGEST = 8, 16  # tokens of a visitor's text
READINGS = {"one token": {"position": -1}, "every token": {}}


def main() -> None:
    asked = options(
        __doc__,
        visitors={"nargs": "+", "type": int, "default": [1, 4, 10, 30]},
        together={"nargs": "+", "type": int, "default": [4, 8], "help": "texts of one forward"},
        tokens={"nargs": "+", "type": int, "default": [8, 16, 32, 64, 128], "help": "of each"},
    )
    say(f"n = {asked.rounds} rounds in turns. {machine(clock=asked.clock)}.\n")
    small = gpt2(**size(asked.tiny), device=asked.device, exact=True)
    demo = lens.load("demo", device=asked.device, dtype="float32")
    if asked.tiny:
        asked.visitors, asked.together, asked.tokens = [3], [2], [8]
    for name, model, maps in (("demo", demo, maps_for(demo)), ("GPT-2 small", small, made_maps(small))):
        model.name = name
        recordings(model, asked)
        visits(model, maps, asked)


def recordings(model: Model, asked: argparse.Namespace) -> None:
    """A table of one forward, taken apart, ÷ as many forwards."""
    rows = []
    for length in asked.tokens:
        tokens = model.encode(text_of(model, length))
        assert separable(model, likeness(length)), f"texts of {length} tokens are read one by one"
        rows.append([length, *(written(compared(model, [tokens] * count, asked)) for count in asked.together)])
    say(f"{model.name}: recordings of some texts in one forward, taken apart ÷ one by one\n")
    say(table(["tokens of each", *(f"{count} texts" for count in asked.together)], rows))


def compared(model: Model, texts: list[Tokens], asked: argparse.Namespace) -> tuple[float, float, float]:
    measures = {
        "together": lambda: waited(model, lambda: apart(model.record(texts))),
        "one by one": lambda: waited(model, lambda: [model.record(text) for text in texts]),
    }
    spent = interleaved(measures, asked.rounds, asked.clock)
    return spent["together"].ratio(spent["one by one"])


def waited(model: Model, work: Callable[[], object]) -> None:
    work()
    model.wait()


def visits(model: Model, maps: Maps | None, asked: argparse.Namespace) -> None:
    """A table of a host that reads together ÷ one that does not."""
    rows = []
    for count, (reading, more) in product(asked.visitors, READINGS.items()):
        visit = Visit(model, maps, texts_of(model, count), more, asked.threads)
        measures = {"together": visit.together, "one by one": visit.one_by_one}
        spent = interleaved(measures, asked.rounds, asked.clock)
        together, single = spent["together"], spent["one by one"]
        forwards = f"{mean(visit.forwards):.1f}"
        rows.append([reading, count, forwards, single, together, written(together.ratio(single))])
    say(f"{model.name}: visitors who ask at once, each about a text of {SHORTEST} to {LONGEST} tokens\n")
    heads = "a reading of | visitors | forwards | one by one, ms | together, ms | together ÷ one by one"
    say(table(heads.split(" | "), rows))


def texts_of(model: Model, count: int) -> list[Tokens]:
    chance = random.Random(0)
    lengths = [chance.randint(SHORTEST, LONGEST) for _ in range(count)]
    return [model.encode(text_of(model, length)) for length in lengths]


class Counted(Recordings):
    """Counts its forwards."""

    forwards = 0

    def _read(self, text: Text) -> Recording:
        self.forwards += 1
        return super()._read(text)


class Visit:
    """Visitors of a new host, one for each text, all at once."""

    def __init__(
        self, model: Model, maps: Maps | None, texts: list[Tokens], more: dict[str, Any], threads: int
    ) -> None:
        self.model, self.maps, self.threads = model, {} if maps is None else {model.name: maps}, threads
        given = [{RECORDING: tokens, "casts": ("id", "mat"), **more} for tokens in texts]
        self.bodies = [
            encode({"call": "read_recording", "model": model.name, "arguments": each, "heard": ()}) for each in given
        ]
        self.forwards: list[int] = []  # of each time that texts were read together

    def together(self) -> None:
        """As the engine does it."""
        self.forwards.append(self._answered(TEXTS))

    def one_by_one(self) -> None:
        """With one text in each forward."""
        assert self._answered(1) == len(self.bodies)

    def _answered(self, most: int) -> int:
        """How many forwards it took."""
        host = Host({self.model.name: self.model}, self.maps)
        host._recordings = recordings = Counted(RECORDINGS, most)
        begin, said = threading.Barrier(len(self.bodies)), []

        def ask(number: int, body: bytes) -> None:
            torch.set_num_threads(self.threads)
            question = host.asked(body, f"visitor {number}")
            assert isinstance(question, Asked)
            begin.wait()
            host.answer(question, lambda kind, _: said.append(kind))

        asking = [threading.Thread(target=ask, args=numbered) for numbered in enumerate(self.bodies)]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
        self.model.wait()
        assert said == ["result"] * len(self.bodies)
        return recordings.forwards


if __name__ == "__main__":
    main()
