"""What writing on costs beside Hugging Face's own `generate`: `python -m benchmarks.generate`.

Greedy, with a cache, on the same weights: the model's `generate`, `lens.generate` under the identity plan, and the
identity plan as a Hugging Face model (`lens.as_model`). All three write the same tokens, which is checked. The cost of
one more token is the slope between a short and a long answer.
"""

from __future__ import annotations

import torch

import lens
from benchmarks._measure import gpt2, interleaved, machine, options, say, size, spread, table, text_of, written

SHORT, LONG = 8, 40


def main() -> None:
    asked = options(__doc__)
    model = gpt2(**size(asked.tiny), device=asked.device)
    model.hf.generation_config.eos_token_id = None  # random weights stop anywhere
    text = text_of(model, 16)
    ids = torch.tensor([model.encode(text).ids], device=model.device)
    planned = lens.as_model(model, lens.Plan.full(model.n_blocks))
    more = {"do_sample": False, "use_cache": True, "pad_token_id": 0}

    def written_by(hf: torch.nn.Module, count: int) -> list[int]:
        done = hf.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, min_new_tokens=count, **more)
        return done[0, ids.shape[1] :].tolist()

    ways = {
        "transformers, generate": lambda count: written_by(model.hf, count),
        "lens.as_model, identity plan, generate": lambda count: written_by(planned, count),
        "lens.generate, identity plan": lambda count: list(lens.generate(model, text, max_new_tokens=count).ids),
    }
    own = ways["transformers, generate"](LONG)
    for name, way in ways.items():
        assert way(LONG) == own, f"{name} writes other tokens"
    counts = {name: {count: (lambda w=way, c=count: w(c)) for count in (SHORT, LONG)} for name, way in ways.items()}
    flat = {f"{name}, {count} tokens": work for name, works in counts.items() for count, work in works.items()}
    spent = interleaved(flat, asked.rounds, asked.clock)
    say(f"GPT-2 small with random weights, 16 tokens read. n = {asked.rounds}. {machine(clock=asked.clock)}.\n")
    bare = spent[f"transformers, generate, {LONG} tokens"]
    rows, slopes = [], {}
    for name in ways:
        short, long = (spent[f"{name}, {count} tokens"].seconds for count in (SHORT, LONG))
        slopes[name] = [(b - a) / (LONG - SHORT) for a, b in zip(short, long, strict=True)]
        middle, low, high = spread([1e3 * slope for slope in slopes[name]])
        each = spent[f"{name}, {LONG} tokens"]
        rows.append([name, each, written(each.ratio(bare)), f"{middle:.1f} ({low:.1f}–{high:.1f})"])
    say(table(["way", f"ms for {LONG} tokens, median (quartiles)", "× transformers", "ms for one more token"], rows))
    got = spent[f"lens.generate, identity plan, {LONG} tokens"].ratio(bare)
    say(
        table(
            ["goal", "at most", "measured", ""],
            [["cached generation, × transformers", 1.1, written(got), verdict(got[0] <= 1.1)]],
        )
    )


def verdict(held: bool) -> str:
    return "met" if held else "**not met**"


if __name__ == "__main__":
    main()
