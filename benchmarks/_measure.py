"""What all benchmarks share: taking turns, medians with their spread, the machine, a model of GPT-2's size."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch

import lens
from lens.casts import Card, Maps
from lens.models import Model

TEXT = "The old man sat by the fire and looked at the window of his house while the rain fell all day long"
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Spent:
    """Seconds of one measure in each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)

    def ratio(self, other: Spent) -> tuple[float, float, float]:
        """Median, lower and upper quartile of the rounds' own ratios: what slows a round slows both."""
        return spread([mine / theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True)])

    def __str__(self) -> str:
        middle, low, high = spread([1e3 * second for second in self.seconds])
        return f"{middle:,.1f} ({low:,.1f}–{high:,.1f})"


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median and quartiles."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return middle, low, high


def written(ratio: tuple[float, float, float]) -> str:
    return f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f})"


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}  # cpu: where others use the machine, with one thread


def interleaved(measures: Mapping[str, Callable[[], object]], rounds: int, clock: str = "wall") -> dict[str, Spent]:
    """Seconds of each measure in each round, after one that is not counted; every other round goes backwards.

    A measure that returns a float says itself how long it took.
    """
    now = CLOCKS[clock]
    found: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(rounds + 1):
        order = list(measures.items())
        for name, measure in order if turn % 2 else reversed(order):
            begin = now()
            said = measure()
            took = said if isinstance(said, float) else now() - begin
            if turn:
                found[name].append(took)
    return {name: Spent(tuple(times)) for name, times in found.items()}


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def machine(*packages: str, clock: str = "wall") -> str:
    """One line: processor, cores, threads, load, clock, versions."""
    names = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", *packages))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return (
        f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"load {load:.1f} when it began, {clock} time; "
        f"Python {platform.python_version()}, {names}"
    )


def card(device: str) -> str:
    """What computes."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "the CPU"


def processor() -> str:
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def options(description: str | None, *, rounds: int = 15, **more: dict[str, Any]) -> argparse.Namespace:
    """What every benchmark takes: rounds, tiny (for a test that it runs), device, clock, threads, and `more`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that the script runs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    for name, how in more.items():
        parser.add_argument(f"--{name}", **how)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    return asked


def gpt2(
    blocks: int = 12,
    width: int = 768,
    vocabulary: int = 50257,
    context: int = 1024,
    device: str = "cpu",
    seed: int = 0,
    exact: bool = False,
) -> Model:
    """A GPT-2 with random weights, of the small size if nothing is said, that reads as `demo` does.

    A GPU holds it in bfloat16, or `exact`, as peers read it, in float32.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    heads = max(1, width // 64)
    config = GPT2Config(
        bos_token_id=0,
        eos_token_id=0,
        n_layer=blocks,
        n_embd=width,
        n_head=heads,
        vocab_size=vocabulary,
        n_positions=context,
        initializer_range=0.05,
    )
    dtype = torch.float32 if device == "cpu" or exact else torch.bfloat16
    hf = GPT2LMHeadModel(config).to(device, dtype)
    tokenizer = lens.load("demo").tokenizer
    tokenizer.model_max_length = context  # its own model reads fewer tokens
    return lens.load(hf, tokenizer=tokenizer)


# name: (blocks, width, feed-forward, heads, heads of keys and values, vocabulary) of Llamas
LLAMAS = {
    "Llama 3.2 1B": (16, 2048, 8192, 32, 8, 128_256),
    "Llama 3.1 8B": (32, 4096, 14_336, 32, 8, 128_256),
}
SIZES = ("GPT-2 small", *LLAMAS)


def of_size(name: str, device: str) -> Model:
    """A model of that size with random weights, on the device; "tiny" only shows that a script runs."""
    return gpt2(**size(name == "tiny"), device=device) if name not in LLAMAS else llama(*LLAMAS[name], device=device)


def llama(blocks: int, width: int, inner: int, heads: int, groups: int, vocabulary: int, device: str) -> Model:
    """A Llama with random weights, made where it will lie, that reads as `demo` does."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        vocab_size=vocabulary,
        max_position_embeddings=8192,
        initializer_range=0.05,
    )
    torch.manual_seed(0)
    with torch.device(device):
        hf = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16)
    tokenizer = lens.load("demo").tokenizer
    tokenizer.model_max_length = config.max_position_embeddings
    return lens.load(hf, tokenizer=tokenizer)


def size(tiny: bool) -> dict[str, int]:
    return {"blocks": 2, "width": 64, "vocabulary": 5000} if tiny else {}


def made_maps(model: Model, pairs: Sequence[tuple[int, int]] | None = None) -> Maps:
    """Maps of the right size, near the identity, not fitted; by default from each layer to the middle and the last."""
    last, width = model.n_blocks, model.width
    if pairs is None:
        pairs = [(source, target) for target in (last // 2, last) for source in range(target)]
    torch.manual_seed(1)
    card = Card(
        model=model.name,
        revision=None,
        fingerprint=model.fingerprint,
        n_blocks=last,
        width=width,
        corpus="none",
        corpus_sha256="0" * 64,
        positions="one",
        sentences=1,
        tokens=1,
        heldout_corpus="none",
        heldout_sentences=1,
        heldout_tokens=1,
        seed=0,
        version="0",
    )
    made = {
        f"mat.{source}.{target}.matrix": torch.eye(width) + torch.randn(width, width) * (0.3 / width**0.5)
        for source, target in pairs
    }
    return Maps(card, made)


def until_done(model: Model, work: Callable[[], object]) -> Callable[[], object]:
    """The work without gradients, and the wait for what a GPU does of it behind the caller's back."""

    def done() -> None:
        with torch.no_grad():
            work()
        model.wait()

    return done


def text_of(model: Model, tokens: int) -> str:
    """A text of exactly so many tokens."""
    words = (TEXT + " ") * (1 + tokens // 10)
    text = words[: model.encode(words, limit=tokens).spans[-1][1]]
    assert len(model.encode(text)) == tokens, f"no text of {tokens} tokens was found"
    return text


def say(text: str = "") -> None:
    print(text, flush=True, file=sys.stdout)
