"""What a GPU does in a reading, and what parallel stages gain there: `python -m benchmarks.device --device cuda`.

For models from GPT-2's small size to that of Llama 3.1 8B, with random weights in bfloat16: the time by the clock on
the wall, the time in which the GPU computes at all, what its kernels are, how often anything is copied to or from it,
and the most memory it holds. Then a plan whose middle blocks run in parallel, in turn and as one batched call, and a
fit.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from functools import partial

import torch

import lens
from benchmarks._measure import (
    SIZES,
    card,
    interleaved,
    machine,
    made_maps,
    of_size,
    options,
    say,
    table,
    text_of,
    until_done,
    written,
)
from lens.analyses._texts import batches
from lens.casts import Maps
from lens.models import Model

# what a kernel is called, and what that is; the first that fits counts
KINDS = {
    "matrix products": ("gemm", "gemv", "cutlass", "nvjet", "splitk", "flash", "fmha", "attention"),
    "top-k and sorting": ("topk", "sort", "radix", "scan", "gather", "scatter", "index"),
    "softmax and sums": ("softmax", "reduce", "norm"),
    "copies within": ("copy", "cat", "memcpy dtod", "memset", "direct_copy"),
    "element by element": ("elementwise", "vectorized"),
}


def main() -> None:
    asked = options(
        __doc__,
        sizes={"nargs": "+", "choices": list(SIZES), "default": list(SIZES)},
        tokens={"type": int, "default": 64},
    )
    say(f"n = {asked.rounds}, bfloat16, {asked.tokens} tokens. {card(asked.device)}; {machine()}.\n")
    rows, stages, fits = [], [], []
    for size in ["tiny"] if asked.tiny else asked.sizes:
        model = of_size(size, asked.device)
        maps, text = made_maps(model, [(source, model.n_blocks) for source in range(model.n_blocks)]), ""
        text = text_of(model, asked.tokens)
        rows += readings(size, model, maps, text, asked)
        stages += parallel(size, model, asked)
        fits += fitting(size, model, asked)
        del model, maps
        if asked.device.startswith("cuda"):
            torch.cuda.empty_cache()
    say(table(["model", "what", "ms, median (quartiles)", "× forward", "the GPU computes", *KINDS, "other",
               "kernels", "copies to the GPU", "copies from it", "most memory, × weights"], rows))  # fmt: skip
    say(table(["model", "tokens", "the full model, ms", "plan", "blocks in a row", "in turn, × full", "batched, × full",
               "largest difference"], stages))  # fmt: skip
    say(table(["model", "sentences", "maps", "forwards without a head, s", "lens.fit, s", "× those forwards"], fits))


def readings(size: str, model: Model, maps: Maps, text: str, asked: argparse.Namespace) -> list[list[object]]:
    """A forward, and readings of all positions and one; every reading anew, with its own forward."""
    ids = torch.tensor([model.encode(text).ids], device=model.device)
    weights = sum(parameter.nbytes for parameter in model.hf.parameters())

    waited = partial(until_done, model)
    measures = {
        "a forward": waited(lambda: model.hf(ids)),
        "lens.read, id, one position": waited(lambda: lens.read(model, text, casts=("id",), position=-1)),
        "lens.read, id and mat, one position": waited(lambda: lens.read(model, text, maps=maps, position=-1)),
        "lens.read, id and mat, all positions": waited(lambda: lens.read(model, text, maps=maps)),
    }
    spent = interleaved(measures, asked.rounds)
    found = []
    for name, work in measures.items():
        seen, most = profiled(work, asked.device)
        busy = sum(seen.times.values())
        share = [f"{seen.times[kind] / busy:.0%}" if busy else "" for kind in (*KINDS, "other")]
        ratio = written(spent[name].ratio(spent["a forward"]))
        part = f"{busy / (1e6 * spent[name].median):.0%} of the time"
        counts = [seen.counts[what] for what in ("kernels", "to", "from")]
        found.append([size, name, spent[name], ratio, part, *share, *counts, f"{most / weights:.2f}"])
    return found


class Seen:
    """What the profiler saw: microseconds of the GPU by kind, and how many kernels and copies there were."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def add(self, name: str, microseconds: float) -> None:
        name = name.lower()
        if "memcpy htod" in name or "memcpy dtoh" in name:
            self.counts["to" if "htod" in name else "from"] += 1
            self.times["other"] += microseconds
            return
        self.counts["kernels"] += 1
        kind = next((kind for kind, words in KINDS.items() if any(word in name for word in words)), "other")
        self.times[kind] += microseconds


def profiled(work: Callable[[], object], device: str) -> tuple[Seen, int]:
    """What the GPU does in `work`, and the most bytes that it holds meanwhile; nothing on a CPU."""
    seen = Seen()
    if not device.startswith("cuda"):
        return seen, 0
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.reset_peak_memory_stats()
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiler:
        work()
    for event in profiler.events():
        if event.device_type == torch.autograd.DeviceType.CUDA and not event.is_user_annotation:
            seen.add(event.name, event.device_time)
    return seen, torch.cuda.max_memory_allocated()


def parallel(size: str, model: Model, asked: argparse.Namespace) -> list[list[object]]:
    """Latencies of `parallel` on a short and a long text."""
    plan = lens.plans.recipe("parallel", model.n_blocks)
    found = []
    for tokens in (16, 256):
        seen = lens.latency(model, text_of(model, tokens), plan, rounds=max(2, asked.rounds))
        batched = f"{seen.batched!r}" if seen.batched else "not batched"
        difference = f"{seen.difference:.1e}" if seen.difference is not None else ""
        found.append(
            [size, tokens, f"{1e3 * seen.full:.2f}", seen.plan, f"{seen.depth} of {model.n_blocks}", f"{seen.turn!r}",
             batched, difference]
        )  # fmt: skip
    return found


def fitting(size: str, model: Model, asked: argparse.Namespace) -> list[list[object]]:
    """`lens.fit` of all maps to the last layer, scored on a tenth, beside the forwards that it runs."""
    texts = lens.analyses.sample_sentences()[: 40 if asked.tiny else 2000]

    def forwards() -> None:
        for batch in batches(model, texts, "one", 0):
            model.record(batch.tokens, head=False)
        model.wait()

    def fit() -> None:
        lens.fit(model, texts, pairs="final")
        model.wait()

    spent = interleaved({"forwards": forwards, "fit": fit}, min(3, asked.rounds))
    seconds = [f"{spent[name].median:.2f}" for name in ("forwards", "fit")]
    return [[size, f"{len(texts):,}", model.n_blocks, *seconds, written(spent["fit"].ratio(spent["forwards"]))]]


if __name__ == "__main__":
    main()
