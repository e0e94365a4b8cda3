"""What moving a slider costs, beside a forward: `python -m benchmarks.slider`.

The workbench without a browser, on `demo` and on a GPT-2 of the small size: each measure sets one choice of the
session, as a slider does, and ends when every trait of the panel that is looked at has its new value. A target moved
to finds no reading kept; one moved on to finds what the workbench read meanwhile.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import cycle

import torch

from benchmarks._measure import (
    CLOCKS,
    Spent,
    gpt2,
    interleaved,
    machine,
    made_maps,
    options,
    say,
    size,
    table,
    text_of,
    written,
)
from lens.engine import InlineEngine
from lens.panels import Explore
from lens.panels._session import Session

GOAL = 0.15  # of a forward


class Later(InlineEngine):
    """Does all at once but reading ahead, which waits to be let."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def submit(self, channel: str, *work: Callable[..., object], **more: Callable[..., object]) -> None:
        if channel == "ahead":
            self.waiting = [lambda: super(Later, self).submit(channel, *work, **more)]
        else:
            super().submit(channel, *work, **more)

    def let(self) -> None:
        for work in self.waiting:
            work()


def main() -> None:
    asked = options(__doc__)
    say(f"n = {asked.rounds}. {machine('ipywidgets', 'anywidget', clock=asked.clock)}.\n")
    rounds = 2 if asked.tiny else asked.rounds
    with tempfile.TemporaryDirectory() as folder:
        model = gpt2(**size(asked.tiny))
        middle, last, text = model.n_blocks // 2, model.n_blocks, text_of(model, 16)
        model.hf.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        pairs = [(source, target) for target in {middle, middle + 1, last} for source in range(target)]
        made_maps(model, pairs).save(f"{folder}/maps")
        del model
        found = {
            name: measured(Session(model=where, text=text, panel="jump"), rounds, asked.clock)
            for name, where in {"demo": "demo", "GPT-2 small": folder}.items()
        }
    heads = ["what is moved", *(f"{name}: ms, median (quartiles) | × forward" for name in found)]
    rows = []
    for what in next(iter(found.values())):
        each = [(spent[what], spent[what].ratio(spent["a forward"])) for spent in found.values()]
        rows.append([what, *(f"{one} | {written(ratio)}" for one, ratio in each)])
    say(table(" | ".join(heads).split(" | "), rows))
    goals = []
    for name, spent in found.items():
        for what in list(spent)[1:]:
            got = spent[what].ratio(spent["a forward"])
            goals.append([f"{name}: {what}", GOAL, written(got), "met" if got[0] <= GOAL else "**not met**"])
    say(table(["goal, × forward", "at most", "measured", ""], goals))


def measured(session: Session, rounds: int, clock: str) -> dict[str, Spent]:
    """The seconds of a forward and of each thing that can be moved."""
    engine, now = Later(), CLOCKS[clock]
    bench = Explore(session, engine)
    shelf = bench.desk.shelf
    held = shelf.models[session.model]
    ids = torch.tensor([held.encode(session.text).ids])
    middle = held.n_blocks // 2
    sources, tokens = cycle((1, 0)), cycle((3, 8))
    far, near = cycle((middle, None)), cycle((middle, middle + 1))

    def forward() -> None:
        with torch.no_grad():
            held.hf(ids)

    def source() -> None:
        session.source = next(sources)

    def position() -> None:
        session.position = next(tokens)

    def anew() -> float:
        shelf.cache.clear()
        shelf.answer(bench.desk.answer.question)  # the recording, and the answer that is on screen
        begun = now()
        session.target = next(far)
        return now() - begun

    def onwards() -> float:
        session.target = next(near)
        shelf.cache.clear()
        shelf.answer(bench.desk.answer.question)
        engine.let()
        begun = now()
        session.target = next(near)
        took = now() - begun
        next(near)
        return took

    before = bench.panel("jump").topk.columns
    source()
    assert bench.panel("jump").topk.columns != before, "the slider changed nothing"
    measures: dict[str, Callable[[], object]] = {
        "a forward": forward,
        "source layer": source,
        "token": position,
        "target layer, to the next (read meanwhile)": onwards,
        "target layer, to the middle or back (every layer and token read anew)": anew,
    }
    spent = interleaved(measures, rounds, clock)
    bench.close()
    return spent


if __name__ == "__main__":
    main()
