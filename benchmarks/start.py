"""What starting costs, each time in a new process: `python -m benchmarks.start`.

`import lens` beside an empty Python, and from there to the first reading of `demo` beside what any tool on transformers
must do: import torch and the model's class, read weights and tokenizer, run a forward. Files are in the system's cache,
as one round is not counted.
"""

from __future__ import annotations

import resource
import subprocess
import sys

from benchmarks._measure import interleaved, machine, options, say, table, written

WAYS = {
    "an empty Python": "pass",
    "import lens": "import lens",
    "import torch and GPT2LMHeadModel": "import torch; from transformers import GPT2LMHeadModel, AutoTokenizer",
    "the same, demo's weights and tokenizer, a forward": (
        "import torch, lens; from transformers import AutoModelForCausalLM, AutoTokenizer; from pathlib import Path;"
        "folder = Path(lens.__file__).parent / 'models' / 'embedded' / 'demo';"
        "hf = AutoModelForCausalLM.from_pretrained(folder);"
        "hf(**AutoTokenizer.from_pretrained(folder)('The old man', return_tensors='pt'))"
    ),
    "lens.load('demo') to its first reading": "import lens; lens.read(lens.load('demo'), 'The old man')",
}


def main() -> None:
    asked = options(__doc__)
    ways = dict(list(WAYS.items())[:2]) if asked.tiny else WAYS

    def started(code: str) -> float | None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True)  # noqa: S603
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return spent if asked.clock == "cpu" else None

    spent = interleaved({name: lambda c=code: started(c) for name, code in ways.items()}, asked.rounds, asked.clock)
    say(f"n = {asked.rounds} new processes each, in turns. {machine(clock=asked.clock)}.\n")
    bare = spent["an empty Python"]
    rows = [[name, each, written(each.ratio(bare))] for name, each in spent.items()]
    say(table(["what", "ms, median (quartiles)", "× an empty Python"], rows))
    if not asked.tiny:
        least = spent["the same, demo's weights and tokenizer, a forward"]
        got = spent["lens.load('demo') to its first reading"].ratio(least)
        say(f"To the first reading: {written(got)} × what transformers takes to its first forward of the same model.\n")


if __name__ == "__main__":
    main()
