"""What a fit costs on Ray workers of this machine beside one process: `python benchmarks/cluster.py`.

Both get all processors: one process by its threads, the cluster by a worker for each. The model is `demo`; a first
round, in which it is loaded, is not counted, and the cluster stays up.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import lens
from benchmarks._measure import interleaved, machine, table, written
from lens.analyses import heldout_sentences, sample_sentences
from lens.cluster import Workers


def main() -> None:
    """One table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=2048)
    parser.add_argument("--shard", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model, texts = lens.load("demo"), sample_sentences()[: options.sentences]
    chosen: dict[str, Any] = {"pairs": "final", "holdout": heldout_sentences()[:64]}
    with Workers(shard=options.shard) as workers:
        spent = interleaved(
            {
                "one process": lambda: str(lens.fit(model, texts, **chosen)),
                "workers": lambda: str(lens.fit(model, texts, workers=workers, **chosen)),
            },
            rounds=options.rounds,
        )
    print(f"{machine('ray')}\n{len(texts):,} sentences in shards of {options.shard:,}; n = {options.rounds}\n")
    ratio = spent["workers"].ratio(spent["one process"])
    rows = [(name, str(each)) for name, each in spent.items()]
    print(table(("", "ms (middle half)"), [*rows, ("workers / one process", written(ratio))]))


if __name__ == "__main__":
    sys.exit(main())
