"""What lens holds in memory, each figure from a process of its own: `python -m benchmarks.memory`.

The peak of loading a model and reading with it against its weights; what a thousand readings of different sentences
leave; and maps of 48 layers of width 1,600 (a sparse file of that size), used one pair after another.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks._measure import gpt2, machine, made_maps, options, say, size, table, text_of

LAYERS, WIDTH = 48, 1600
PROCESSES = 9  # of which each says a peak
SERIES = 3  # processes that read sentence after sentence
EVERY, WARM = 10, 50  # readings between two looks, and before the first


def main() -> None:
    asked = options(
        __doc__,
        job={"choices": list(JOBS), "help": "what a process of its own does; left out, each job has its process"},
        folder={"type": Path},
        readings={"type": int, "default": 1000},
    )
    if asked.job:
        return print(json.dumps(JOBS[asked.job](asked.folder, asked.readings)))
    say(f"{machine()}.\n")
    with tempfile.TemporaryDirectory() as made:
        model = gpt2(**size(asked.tiny))
        model.hf.save_pretrained(made)
        model.tokenizer.save_pretrained(made)
        made_maps(model).save(Path(made) / "maps")
        weights = sum(parameter.nbytes for parameter in model.hf.parameters())
        del model
        _sparse_maps(Path(made) / "large", *((4, 32) if asked.tiny else (LAYERS, WIDTH)))
        count = 60 if asked.tiny else asked.readings
        maps = _apart("maps", Path(made), 0)
        series = [_apart("readings", Path(made), count)["seen"] for _ in range(1 if asked.tiny else SERIES)]
        tries = [_apart("peak", Path(made), 0) for _ in range(1 if asked.tiny else PROCESSES)]
    peaks = sorted((each["peak"] - each["before"]) / weights for each in tries)
    peak = median(peaks)
    grown = [_grown(seen) for seen in series]
    left = max((each[0] for each in grown), key=abs)
    rows = [
        [
            "peak of load and read, × the weights",
            f"{weights / 2**20:,.0f} MB",
            1.2,
            f"{peak:.2f} (each: {' · '.join(f'{one:.2f}' for one in peaks)})",
            peak <= 1.2,
        ],
        [
            f"memory in the last tenth of {count:,} readings, against the first",
            f"{median(series[0]) / 2**20:,.0f} MB",
            "±3 %",
            " · ".join(f"{change:+.1%}" for change, _, _ in grown),
            abs(left) <= 0.03,
        ],
        [
            f"maps, one pair after another, {maps['pairs']:,} pairs, {maps['bytes'] / 2**30:.1f} GB",
            "",
            "100 MB",
            f"{maps['grown'] / 2**20:.0f} MB",
            maps["grown"] < 100 * 2**20,
        ],
    ]
    say(
        table(
            ["goal", "of", "at most", "measured", ""],
            [[*row[:-1], "met" if row[-1] else "**not met**"] for row in rows],
        )
    )
    slopes = " · ".join(f"{slope:+.2f} ± {error:.2f}" for _, slope, error in grown)
    ranges = " · ".join(f"{min(seen) / 2**20:.0f}–{max(seen) / 2**20:.0f}" for seen in series)
    say(f"Readings, looked at every {EVERY}: a slope of {slopes} % per thousand (standard error), within {ranges} MB.")
    return None


def _grown(seen: Sequence[int]) -> tuple[float, float, float]:
    """By how much the last tenth is above the first (medians), and the line through all, in % per 1,000 readings."""
    tenth = max(1, len(seen) // 10)
    first, last = median(seen[:tenth]), median(seen[-tenth:])
    (slope, _), covariance = np.polyfit(np.arange(len(seen)) * EVERY / 1000, 100 * np.array(seen) / first, 1, cov=True)
    return last / first - 1, float(slope), float(covariance[0, 0] ** 0.5)


def _apart(job: str, folder: Path, readings: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.memory", "--job", job, "--folder", folder]
    done = subprocess.run([*command, "--readings", str(readings)], capture_output=True, text=True, check=True)  # noqa: S603
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _peak(folder: Path, _readings: int) -> dict[str, int]:
    import torch  # noqa: F401 - what is imported is not the model's
    from transformers import AutoTokenizer, GPT2LMHeadModel  # noqa: F401

    import lens

    lens.read(lens.load("demo"), "The old man")
    before = _own()
    model = lens.load(folder)
    lens.read(model, text_of(model, 16))
    return {"before": before, "peak": _highest()}


def _readings(_folder: Path, readings: int) -> dict[str, list[int]]:
    import lens

    model = lens.load("demo")
    words = model.encode("The old man sat by the fire and looked at the window of his house").labels
    seen = []
    for turn in range(WARM + readings):
        if turn >= WARM and turn % EVERY == 0:
            seen.append(_own())
        lens.read(model, f"{turn} {words[turn % len(words)]} the old man sat by the fire " + "and on " * (turn % 7))
    return {"seen": seen}


def _maps(folder: Path, _readings: int) -> dict[str, int]:
    import lens

    maps = lens.Maps.load(folder / "large")
    pairs = sorted(maps.pairs["mat"])
    maps.tensors("mat", *pairs[0])
    before = _own()
    for pair in pairs[:: max(1, len(pairs) // 200)]:
        maps.tensors("mat", *pair)
    grown = _highest() - before
    return {"grown": grown, "pairs": len(pairs), "bytes": (folder / "large" / "maps.safetensors").stat().st_size}


JOBS: dict[str, Callable[[Path, int], Any]] = {"peak": _peak, "readings": _readings, "maps": _maps}


def _own() -> int:
    """Resident bytes: this process's own, and the pages of files that it has mapped and touched."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def _highest() -> int:
    """The most bytes that this process has held; what `getrusage` says on Linux may be its parent's."""
    with suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _sparse_maps(folder: Path, layers: int, width: int) -> None:
    """Maps of every pair in bfloat16, whose file takes no room on the disk: all zeros."""
    card = made_maps(gpt2(1, 64, 4200)).card
    from dataclasses import replace

    pairs = [(source, target) for source in range(layers) for target in range(source + 1, layers + 1)]
    one = 2 * width * width
    header: dict[str, object] = {"__metadata__": {"format": "pt", "fingerprint": card.fingerprint}}
    for place, (source, target) in enumerate(pairs):
        offsets = [place * one, (place + 1) * one]
        header[f"mat.{source}.{target}.matrix"] = {"dtype": "BF16", "shape": [width, width], "data_offsets": offsets}
    folder.mkdir()
    (folder / "card.json").write_text(replace(card, n_blocks=layers, width=width).to_json(), encoding="utf-8")
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "maps.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + one * len(pairs))


if __name__ == "__main__":
    main()
