"""What moving a slider costs, beside a forward: `python -m benchmarks.slider`.

The workbench without a browser, on a GPT-2 of the small size: each measure sets one choice of the session, as a slider
does, and ends when every trait of the panel that is looked at has its new value. A new target finds no reading kept.
"""

from __future__ import annotations

import tempfile
from itertools import cycle

import torch

from benchmarks._measure import (
    CLOCKS,
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


def main() -> None:
    asked = options(__doc__)
    model = gpt2(**size(asked.tiny))
    text = text_of(model, 16)
    with tempfile.TemporaryDirectory() as folder:
        model.hf.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        made_maps(model).save(f"{folder}/maps")
        bench = Explore(Session(model=folder, text=text, panel="jump"), InlineEngine())
        held = bench.desk.shelf.models[folder]
        ids = torch.tensor([held.encode(text).ids])
        sources, tokens, targets = cycle((1, 0)), cycle((3, 8)), cycle((held.n_blocks // 2, None))

        now = CLOCKS[asked.clock]

        def forward() -> None:
            with torch.no_grad():
                held.hf(ids)

        def source() -> None:
            bench.session.source = next(sources)

        def position() -> None:
            bench.session.position = next(tokens)

        def target() -> float:
            bench.desk.shelf.cache.clear()
            bench.desk.shelf.answer(bench.desk.answer.question)  # the recording, and the answer that is on screen
            begun = now()
            bench.session.target = next(targets)
            return now() - begun

        measures = {
            "a forward": forward,
            "source layer": source,
            "token": position,
            "target layer, both ways in turn (every layer and token read anew)": target,
        }
        before = bench.panel("jump").topk.columns
        source()
        assert bench.panel("jump").topk.columns != before, "the slider changed nothing"
        spent = interleaved(measures, 2 if asked.tiny else asked.rounds, asked.clock)
        bench.close()
    say(f"n = {asked.rounds}. {machine('ipywidgets', 'anywidget', clock=asked.clock)}.\n")
    bare = spent["a forward"]
    say(
        table(
            ["what is moved", "ms, median (quartiles)", "× forward"],
            [[n, e, written(e.ratio(bare))] for n, e in spent.items()],
        )
    )
    rows = []
    for name in list(measures)[1:]:
        got = spent[name].ratio(bare)
        rows.append([f"{name}, × forward", 0.15, written(got), "met" if got[0] <= 0.15 else "**not met**"])
    say(table(["goal", "at most", "measured", ""], rows))


if __name__ == "__main__":
    main()
