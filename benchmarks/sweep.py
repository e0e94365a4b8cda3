"""A whole figure of "Layers as Painters" as one sweep, against plain loops over the same plans; docs/surgery.md.

    python benchmarks/sweep.py [--texts 16]

All N × six recipes, ten seeds for `random`, on `demo` and on a GPT-2 small of random weights. The first loop is what
one writes: a forward of each plan for each text. The second has the sweep's own batches and scores, plans apart.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

import lens
from lens.analyses import PAINTERS, heldout_sentences
from lens.analyses._sweep import judging
from lens.analyses._texts import batches
from lens.execution import execute
from lens.plans import Plan, recipe


def figure(n_blocks: int) -> list[Plan]:
    plans = []
    for name in PAINTERS:
        for n in range((n_blocks - 2) // 2 + 1):
            for seed in range(10 if name == "random" else 1):
                more = {"seed": seed} if name == "random" else {}
                plans.append(recipe(name, n_blocks, n=n, **more))
    return plans


def written(model: lens.Model, texts: list[str], plans: list[Plan]) -> list[float]:
    """Loss of each plan; the full model runs once a text, each plan once a text."""
    sums, count = np.zeros(len(plans)), 0
    made = [lens.as_model(model, plan) for plan in plans]
    for text in texts:
        ids = torch.tensor([model.encode(text).ids])
        with torch.no_grad():
            own = model.hf(ids, use_cache=False).logits[0].log_softmax(-1)
            for place, planned in enumerate(made):
                log = planned(ids, use_cache=False).logits[0].log_softmax(-1)
                loss = -log[:-1].gather(-1, ids[0, 1:, None])
                kl = (own.exp() * (own - log)).sum(-1)
                kept = own.argmax(-1) == log.argmax(-1)
                sums[place] += float(loss.sum())
                _ = float(kl.sum()), float(kept.sum())
        count += ids.shape[1] - 1
    return (sums / count).tolist()


def batched(model: lens.Model, texts: list[str], plans: list[Plan]) -> list[float]:
    sums, count = np.zeros(len(plans)), 0
    size = max(1, 64 * 2**20 // (4 * model.vocab_size))
    for batch in batches(model, texts, "all", 0, size):
        recording = model.record(batch.tokens, head=False)
        judged = judging(model, batch, batch.take(recording.streams[-1]))
        for place, plan in enumerate(plans):
            sums[place] += judged(batch.take(execute(recording, plan)[-1]))[:, 0].sum()
        count += int((batch.answers >= 0).sum())
    return (sums / count).tolist()


def timed(work: Callable[[], list[float]]) -> tuple[float, list[float]]:
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    demo = lens.load("demo")
    small = lens.load(GPT2LMHeadModel(GPT2Config()), tokenizer=demo.tokenizer)
    texts = heldout_sentences()[: options.texts]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.texts} sentences\n")
    print("| model | plans | blocks run | way | seconds (median) | ratio | largest difference of a loss |")
    print("|---|---|---|---|---|---|---|")
    for name, model, rounds in (("demo", demo, options.rounds), ("GPT-2 small", small, 1)):
        plans = figure(model.n_blocks)
        ways = {
            "one sweep": lambda m=model, p=plans: lens.sweep(m, texts, p).loss.value[:, 0].tolist(),
            "loop, a text at a time": lambda m=model, p=plans: written(m, texts, p),
            "loop, batched alike": lambda m=model, p=plans: batched(m, texts, p),
        }
        found = {way: [timed(work) for _ in range(rounds)] for way, work in ways.items()}
        unique = list(dict.fromkeys(map(str, plans)))
        shared = lens.sweep(model, texts[:2], plans).shared
        base = statistics.median(seconds for seconds, _ in found["one sweep"])
        by_name = dict(zip(unique, found["one sweep"][0][1], strict=True))
        own = np.array([by_name[str(plan)] for plan in plans])
        for way, runs in found.items():
            seconds = statistics.median(each for each, _ in runs)
            losses = np.array(runs[0][1]) if way != "one sweep" else own
            difference = np.abs(losses - own).max()
            part = f"{shared:.0%}" if way == "one sweep" else "100%"
            row = [name, len(plans), part, way, f"{seconds:.1f}", f"{seconds / base:.2f} ×", f"{difference:.1e}"]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
