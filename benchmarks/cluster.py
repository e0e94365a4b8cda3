"""What a fit costs on Ray workers of this machine beside one process: `python benchmarks/cluster.py`.

Both get all processors: one process by its threads, the cluster by a worker for each. The model is `demo`; a first
round, in which each worker loads it, is not counted, and the cluster stays up.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import lens
from benchmarks._measure import interleaved, machine, options, say, table, written
from lens.analyses import heldout_sentences, sample_sentences
from lens.cluster import Workers


def main() -> None:
    """One table."""
    asked = options(__doc__, rounds=3, sentences={"type": int, "default": 512}, shard={"type": int, "default": 64})
    count, held = (16, 8) if asked.tiny else (asked.sentences, 64)
    model, texts = lens.load("demo"), sample_sentences()[:count]
    chosen: dict[str, Any] = {"pairs": "final", "holdout": heldout_sentences()[:held]}
    say(f"{machine('ray')}\n{count:,} sentences in shards of {asked.shard:,}; n = {asked.rounds}\n")
    with Workers(shard=asked.shard) as workers:
        spent = interleaved(
            {
                "one process": told("one process", lambda: lens.fit(model, texts, **chosen)),
                "workers": told("workers", lambda: lens.fit(model, texts, workers=workers, **chosen)),
            },
            rounds=asked.rounds,
        )
    ratio = spent["workers"].ratio(spent["one process"])
    rows = [(name, str(each)) for name, each in spent.items()]
    say("\n" + table(("", "ms (middle half)"), [*rows, ("workers / one process", written(ratio))]))


def told(name: str, fit: Callable[[], object]) -> Callable[[], object]:
    """The fit, and a line that says how long it took: a busy machine takes minutes."""

    def timed() -> float:
        begin = time.perf_counter()
        fit()
        took = time.perf_counter() - begin
        say(f"{name}: {took:.1f} s")
        return took

    return timed


if __name__ == "__main__":
    sys.exit(main())
