"""What the lessons say of the embedded models is so: each sentence stands in its notebook, and its numbers are run."""

# ruff: noqa: E501 - a claim and what it rests on stand in one line

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lens
from lens.analyses import PAINTERS, exit_threshold, heldout_sentences
from lens.panels._lesson import lesson_notebooks
from lens.plans import recipe

SENTENCES = 40
HEAD = "She shook her head and looked at the fire"
DEMO = Path(lens.__file__).parent / "models" / "embedded" / "demo"


@cache
def reading(text: str, model: str = "demo") -> lens.Reading:
    return lens.read(lens.load(model), text)


@cache
def top(text: str, cast: str = "id", position: int = -1) -> list[str]:
    """The favourite at each layer."""
    found = reading(text)
    ids = found.token_ids[found.casts.index(cast), :, position, 0]
    return [found.labels[token] for token in ids.tolist()]


def masked(text: str) -> list[str]:
    """The favourite of `demo-bert` for the mask at each layer, read as it is."""
    found = reading(text, "demo-bert")
    return [found.labels[token] for token in found.token_ids[0, :, found.tokens.index("[MASK]"), 0].tolist()]


def own(text: str, position: int = -1) -> str:
    found = reading(text)
    return found.labels[int(found.model_token_ids[position, 0])]


def settled(text: str, position: int) -> int:
    """The first layer from which on `id` keeps the model's own favourite."""
    others = [layer for layer, token in enumerate(top(text, "id", position)) if token != own(text, position)]
    return max(others, default=-1) + 1


@cache
def change(*plans: str) -> dict[str, tuple[float, float]]:
    """Loss less the full model's over held-out sentences, and its error."""
    frame = lens.sweep(lens.load("demo"), heldout_sentences()[:SENTENCES], list(plans)).frame()
    return {row.plan: (row.change, row.change_error) for row in frame.itertuples()}


def loss(plan: str) -> float:
    return change("0-3 8-11", "0-3 7-4 8-11", "0-3 [4-7] 8-11", "0-3 [4|5|6|7]+ 8-11", "0-3 [4-7]x3 8-11",
                  "0-3 6x4 8-11", "0-3 mat(4>8) 8-11", "0-4 6-11")[plan][0]  # fmt: skip


def under(plan: str, text: str = HEAD, position: int = 2) -> tuple[str, float]:
    """The favourite under a plan, and the change of loss over the sentence."""
    found = lens.compare_plan(lens.load("demo"), text, plan)
    return found.labels[int(found.token_ids[position, 0])], float(np.nanmean(found.change))


@cache
def scores() -> Any:
    maps = lens.maps_for(lens.load("demo"))
    assert maps is not None
    return maps.card.r2()


def r2(cast: str, source: int, target: int, variant: str = "stream") -> float:
    return float(scores().of(cast, variant).value[source, target])


@cache
def curves() -> Any:
    return lens.curves(lens.load("demo"), heldout_sentences()[:100])


def precision(cast: str, layer: int) -> float:
    found = curves()
    return float(found.precision.value[found.methods.index(cast), layer, 0, 0])


@cache
def exits() -> Any:
    return lens.early_exit(lens.load("demo"), heldout_sentences()[:100])


def saved(cast: str, how: str, agreement: float) -> float:
    return next(s.saved for s in exits().saving(agreement) if (s.cast, s.how) == (cast, how))


@cache
def stats() -> Any:
    return lens.layers(lens.load("demo"), heldout_sentences()[:15])


def least_alike(version: str) -> float:
    """Of the cosines between layers 3 to 10, the least; the greatest of layer 0 with any other must be far below."""
    found = stats().cosine(version).value
    assert abs(found[0, 1:]).max() < 0.2
    return float(found[3:11, 3:11].min())


def same_start(text: str) -> bool:
    """Whether layer 0 under `mat` is the same for another sentence with the same last token at the same place."""
    one, other = (reading(each).probabilities[1, 0, -1] for each in (text, "I beg your"))
    return bool((one == other).all())


def grown() -> float:
    return float(stats().norm.value[1] / stats().norm.value[0])


def pardon(plan: str) -> float:
    return float(lens.compare_plan(lens.load("demo"), "I beg your", plan).probabilities[-1, 0])


CLAIMS: list[tuple[int, str, Callable[[], bool]]] = [
    (1, "has twelve of them", lambda: lens.load("demo").n_blocks == 12),
    (1, "a list of 192 numbers", lambda: lens.load("demo").width == 192),
    (1, "ninety-four English novels of 1839 to 1927", lambda: "94 English novels, 1839–1927" in (DEMO / "maps/README.md").read_text("utf-8")),
    (1, "each of the 4,096 tokens", lambda: lens.load("demo").vocab_size == 4096),
    (1, "The token chosen is `␣her`, and the model is rather sure of `␣head`.", lambda: own("She shook her") == "␣head" and reading("She shook her").model_probabilities[-1, 0] > 0.7),
    (1, "At layer 0 they say `␣her`; then for a long while a comma; and from layer 8 on `␣head`, as the full model does.", lambda: top("She shook her") == ["␣her", *[","] * 7, *["␣head"] * 5]),
    (1, "`demo` compares the numbers with the entries of the same table", lambda: '"tie_word_embeddings": true' in (DEMO / "config.json").read_text("utf-8")),
    (1, "In the column of `␣shook` the answer `␣her` stays from layer 6 on, while in that of `␣the` the answer `␣other` must wait until layer 10.", lambda: (settled(HEAD, 1), own(HEAD, 1), settled(HEAD, 7), own(HEAD, 7)) == (6, "␣her", 10, "␣other")),
    (1, "layer 11: KL is below 0.1 nats, but `␣old` leads there and `␣young` in the full model, by a hair", lambda: reading("She could not help thinking of the").kl[0, 11, -1] < 0.1 and top("She could not help thinking of the")[11:] == ["␣old", "␣young"]),
    (1, "In the column of the last token, layer 0 is nearly certain, and wrong", lambda: reading("She could not help thinking of the").entropy[0, 0, -1] < 0.05 and top("She could not help thinking of the")[0] == "␣the"),
    (1, "a mask, in eighth place", lambda: reading("The old man sat by the [MASK] and looked at the door.", "demo-bert").tokens.index("[MASK]") == 7),
    (1, "`␣door` leads from layer 2 on", lambda: masked("The old man sat by the [MASK] and looked at the door.")[1:] == ["␣world", *["␣door"] * 9]),
    (1, "It has ten blocks", lambda: lens.load("demo-bert").n_blocks == 10),
    (2, "At layer 1, `id` offers `␣his`, but `mat` already says `␣pardon`, like the full model.", lambda: (top("I beg your")[1], top("I beg your", "mat")[1], own("I beg your")) == ("␣his", "␣pardon", "␣pardon")),
    (2, "`id` does not say so before layer 8", lambda: settled("I beg your", -1) == 8 and "␣pardon" not in top("I beg your")[:8]),
    (2, "in `It is your`, which has as many tokens, the blue bars at layer 0 are the very same", lambda: same_start("It is your") and top("It is your", "mat")[0] == "␣own"),
    (2, "Every cell in the first rows is better off with `mat`", lambda: bool((reading(HEAD).kl[1, :3] < reading(HEAD).kl[0, :3]).all())),
    (2, "On this sentence, leaving blocks 4 to 7 out does better than jumping over them", lambda: pardon("0-3 8-11") > pardon("0-3 mat(4>8) 8-11")),
    (2, "Over many sentences the jump costs about half of what leaving out costs.", lambda: 0.4 < loss("0-3 mat(4>8) 8-11") / loss("0-3 8-11") < 0.6),
    (3, "From layer 4 to layer 12, taking the numbers as they are is worse than always saying the mean", lambda: r2("id", 4, 12) < 0),
    (3, "It does not, for any pair of `demo`.", lambda: all(r2("mat", s, t) > r2("id", s, t) for s in range(12) for t in range(s + 1, 13))),
    (3, "has an r² of 0.98 of the stream, but only 0.70 of the update", lambda: (round(r2("mat", 11, 12), 2), round(r2("mat", 11, 12, "update"), 2)) == (0.98, 0.7)),
    (3, "`id` predicts that nothing is added, so its r² of the update can't be above 0.", lambda: all(r2("id", s, t, "update") <= 0 for s in range(12) for t in range(s + 1, 13))),
    (3, "some twenty times as large, not thousands", lambda: 15 < max(abs(each.value) / each.median for each in stats().massive) < 30),
    (3, "*without position 0* above the squares changes little here", lambda: all(abs(r2("mat", s, 12) - r2("mat", s, 12, "inner")) < 0.03 for s in range(12))),
    (3, "at layer 6, `mat` explains about four fifths of layer 12", lambda: 0.78 < r2("mat", 6, 12) < 0.83),
    (3, "explains nearly half of layer 12, and <code>id</code> less than nothing.", lambda: 0.4 < r2("mat", 0, 12) < 0.5 and r2("id", 0, 12) < 0),
    (3, "`mat`, at about a third.", lambda: 0.25 < precision("mat", 0) < 0.4 and precision("id", 0) == 0),
    (4, "At 1.1 the threshold is about 1.", lambda: exit_threshold(1.1, 20, 10).item() > 0.98),
    (4, "so that nearly all leave at layer 1", lambda: np.median(exit_threshold(-0.1, np.arange(9), 5)) < 0),
    (4, "even layer 11, the best that a fixed exit can choose short of the end, keeps fewer than 95 %", lambda: float(exits().fixed.value[:, 11].max()) < 0.95 and saved("mat", "fixed", 0.95) == 0),
    (4, "at the same agreement tokens can leave earlier", lambda: all(saved("mat", "dynamic", a) > saved("id", "dynamic", a) for a in (0.95, 0.8))),
    (5, "`␣head` is still the favourite after `␣her`, though less likely than before", lambda: under("0-3 8-11")[0] == "␣head"),
    (5, "`0 2-11` is all but block 1, and does little harm.", lambda: under("0 2-11")[0] == "␣head" and under("0 2-11")[1] < 0.2),
    (5, "Then try `1-11`, without block 0. Nothing sensible comes out.", lambda: under("1-11")[1] > 3),
    (5, "It multiplies the length of their stream many times over", lambda: grown() > 20),
    (5, "leaving out one of them changes the loss by a few hundredths of a nat; leaving out four changes it by three to four tenths, more than four times one.", lambda: 0.01 < loss("0-4 6-11") < 0.06 and 0.3 < loss("0-3 8-11") < 0.4),
    (5, "`␣head` stays the favourite after `␣her`, and over many sentences the loss grows much less than without these blocks.", lambda: under("0-3 7-4 8-11")[0] == "␣head" and loss("0-3 7-4 8-11") < loss("0-3 8-11") / 3),
    (5, "small beside the stream itself (about a fifth of its length)", lambda: all(0.15 < each < 0.25 for each in stats().update_ratio.value[4:8])),
    (5, "Try `1-0 2-11`. It is not.", lambda: under("1-0 2-11")[1] > 3),
    (5, "It costs more than the wrong order, though.", lambda: loss("0-3 [4-7] 8-11") > loss("0-3 7-4 8-11")),
    (5, "with the sum of the updates the blocks still do not see each other, and the loss grows much less", lambda: loss("0-3 [4|5|6|7]+ 8-11") < loss("0-3 [4-7] 8-11") / 2 and under("0-3 [4|5|6|7]+ 8-11")[1] < under("0-3 [4-7] 8-11")[1]),
    (5, "Three rounds come closer to the full model than one.", lambda: loss("0-3 [4-7]x3 8-11") < loss("0-3 [4-7] 8-11")),
    (5, "At one block only skip and looped parallel differ from the full model: looped parallel runs that block three times.", lambda: [recipe(name, 12, n=5).applications for name in PAINTERS] == [11, 12, 12, 12, 12, 14]),
    (5, "Not with four blocks: leaving them out is worse.", lambda: loss("0-3 6x4 8-11") < loss("0-3 8-11")),
    (6, "the layers in the middle are alike in all four. Layer 0 is unlike all others", lambda: min(map(least_alike, ("flattened", "token", "inner", "centred"))) > 0.55),
    (6, "the two rank the blocks differently", lambda: stats().rank_correlation < 0.8),
    (6, "`0-3 [4-7]x3 8-11` loses less than `0-3 7-4 8-11`", lambda: loss("0-3 [4-7]x3 8-11") < loss("0-3 7-4 8-11")),
    (6, "It runs twenty blocks, the other twelve. And its *depth*, the number of blocks one after the other, is 11", lambda: (lens.Plan.parse("0-3 [4-7]x3 8-11").applications, lens.Plan.parse("0-3 [4-7]x3 8-11").depth) == (20, 11)),
    (6, "`0-3 [4|5|6|7]+ 8-11` has depth 9, as has `0-3 [4-7] 8-11`; two pairs, `0-3 [4|5]+ [6|7]+ 8-11`, have depth 10", lambda: [lens.Plan.parse(plan).depth for plan in ("0-3 [4|5|6|7]+ 8-11", "0-3 [4-7] 8-11", "0-3 [4|5]+ [6|7]+ 8-11")] == [9, 9, 10]),
    (6, "there a plan *can* beat the full model, and for single tokens it does", lambda: bool((lens.compare_plan(lens.load("demo"), HEAD, "0-3 8-11").change[:-1] < 0).any()) and loss("0-3 8-11") > 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("lesson", "words", "holds"), CLAIMS, ids=[f"{lesson}-{words[:40]}" for lesson, words, _ in CLAIMS]
)
def test_it_is_so(lesson: int, words: str, holds: Callable[[], bool]) -> None:
    cells = json.loads(lesson_notebooks()[lesson].read_text(encoding="utf-8"))["cells"]
    assert words in "\n".join("".join(cell["source"]) for cell in cells)
    assert holds()
