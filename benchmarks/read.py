"""What a reading costs beside the model's own forward, in one run: `python benchmarks/read.py [MODEL]`.

Each figure is a median over rounds in which every measure takes its turn, so that a busy machine slows all alike.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from statistics import median, quantiles

import torch

import lens
from lens.analyses import read_recording
from lens.execution import maps_for

TEXT = "The old man sat by the fire and looked at the window of his house while the rain fell."
ROUNDS = 60


def main() -> None:
    model = lens.load(sys.argv[1] if len(sys.argv) > 1 else "demo")
    text = TEXT.replace("window", model.mask_token) if model.mask_token else TEXT
    tokens, maps = model.encode(text), maps_for(model)
    ids, recording = torch.tensor([tokens.ids]), model.record(tokens)
    casts = ("id", "mat") if maps else ("id",)

    def forward() -> None:
        with torch.no_grad():
            model.hf(ids)

    def reread(**options: int) -> Callable[[], object]:
        return lambda: read_recording(recording, tokens, casts=casts, maps=maps, **options)

    measures: dict[str, Callable[[], object]] = {
        "bare forward": forward,
        "record (one forward, all boundaries kept)": lambda: model.record(tokens),
        "lens.read, whole": lambda: lens.read(model, text, casts=casts, maps=maps),
        "read of a recording: all positions": reread(),
        "read of a recording: one position": reread(position=-1),
        "read of a recording: another target": reread(target=model.n_blocks // 2),
    }
    spent = timed(measures)
    bare = median(spent["bare forward"])
    print(f"{model.name}: {model.n_blocks} blocks of width {model.width}, {len(tokens)} tokens, casts {casts}")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, n = {ROUNDS}\n")
    print("| what | median, ms | middle half, ms | × bare forward |\n|---|---|---|---|")
    for name, times in spent.items():
        low, _, high = quantiles(times, n=4)
        print(f"| {name} | {1e3 * median(times):.1f} | {1e3 * low:.1f}–{1e3 * high:.1f} | {median(times) / bare:.2f} |")


def timed(measures: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each measure in each round, after one round that is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(ROUNDS + 1):
        for name, measure in measures.items():
            begin = time.perf_counter()
            measure()
            if turn:
                spent[name].append(time.perf_counter() - begin)
    return spent


if __name__ == "__main__":
    main()
