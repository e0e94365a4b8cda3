"""Plans scored on benchmarks by lm-evaluation-harness, normalised as in "Layers as Painters"."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lens.errors import LensError

__all__ = ["Score", "bench", "normalised", "table"]

BOOTSTRAP = 2000
SIGMAS = 2  # how far above chance the full model must be for a task to say anything


@dataclass(frozen=True, eq=False)
class Score:
    """How each document of a task was answered; D documents."""

    task: str
    right: NDArray[np.float64]  # (D,) 1 where right
    chance: float

    @property
    def mean(self) -> float:
        """Accuracy."""
        return float(self.right.mean())

    @property
    def error(self) -> float:
        """Its standard error."""
        return float(self.right.std(ddof=1) / np.sqrt(len(self.right))) if len(self.right) > 1 else float("nan")

    @property
    def above_chance(self) -> bool:
        """Whether the accuracy is above chance by more than SIGMAS standard errors."""
        return self.mean - SIGMAS * self.error > self.chance


def bench(
    model: Any, plans: Sequence[str], tasks: Sequence[str], *, limit: int | None = None, batch: int = 8
) -> dict[str, list[Score]]:
    """Scores of the full model ("full") and of each plan on each task.

    A task is a name of lm-evaluation-harness, which fetches its data, or a file of JSON lines with `context` and
    `continuation` (LAMBADA: the last word by greedy choice), `query`, `choices` and `gold`, or `context_options`,
    `continuation` and `gold` (WinoGrande). LensError where the harness is not installed, a file is of no such kind, or
    the model does not predict the next token.
    """
    import lens

    if model.kind != "causal":
        raise LensError(f"{model.name} fills in masks; these benchmarks are for models that predict the next token.")
    evaluate, wrapper, make = _harness()
    made = [_local(Path(task), make) if task.endswith(".jsonl") else task for task in tasks]
    full = f"0-{model.n_blocks - 1}" if model.n_blocks > 1 else "0"
    planned = {"full": lens.as_model(model, full)}
    planned |= {plan: lens.as_model(model, plan) for plan in plans}  # all are checked before the first one runs
    found = {}
    for name, hf in planned.items():
        harness = wrapper(
            pretrained=hf, tokenizer=model.tokenizer, backend="causal", batch_size=batch, max_length=model.context
        )
        results = evaluate(model=harness, tasks=made, limit=limit, bootstrap_iters=0, log_samples=True)
        found[name] = [_score(task, samples) for task, samples in results["samples"].items()]
    return found


def normalised(score: Sequence[Score], full: Sequence[Score], seed: int = 0) -> tuple[float, float, float]:
    """The median over tasks of (accuracy − chance) / (that of the full model), 0 is chance and 1 the full model, with
    its 95 % interval from resampling documents, the same ones for both. Tasks at which the full model is not above
    chance say nothing and are left out; NaN where none is left.
    """
    pairs = [(mine, whole) for mine, whole in zip(score, full, strict=True) if whole.above_chance]
    if not pairs:
        return float("nan"), float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    draws = [generator.integers(0, len(whole.right), (BOOTSTRAP, len(whole.right))) for _, whole in pairs]

    def median(rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.asarray(np.median(np.stack(rows), 0))

    point = median([_share(m.right.mean(keepdims=True), w.right.mean(keepdims=True), w.chance) for m, w in pairs])
    again = median(
        [_share(m.right[d].mean(1), w.right[d].mean(1), w.chance) for (m, w), d in zip(pairs, draws, strict=True)]
    )
    low, high = np.percentile(again, [2.5, 97.5])
    return float(point[0]), float(low), float(high)


def _share(mine: NDArray[np.float64], full: NDArray[np.float64], chance: float) -> NDArray[np.float64]:
    return (mine - chance) / np.maximum(full - chance, 1e-9)


def _harness() -> tuple[Any, Any, Any]:
    try:
        from lm_eval import simple_evaluate
        from lm_eval.api.task import ConfigurableTask
        from lm_eval.models.huggingface import HFLM
    except ImportError as error:
        raise LensError(
            f"Benchmarks need lm-evaluation-harness ({error}). Install it: pip install 'layer-lens[eval]'."
        ) from None
    return simple_evaluate, HFLM, ConfigurableTask


def _local(path: Path, make: Any) -> Any:
    """A file of documents as a task of the harness; its keys say which kind it is."""
    if not path.is_file():
        raise LensError(f"There is no file {path}. Give a .jsonl file, or a name that lm-eval knows.")
    with path.open(encoding="utf-8") as lines:
        try:
            keys = set(json.loads(lines.readline() or "{}"))
        except json.JSONDecodeError as error:
            raise LensError(f"{path.name} is not JSON lines: {error}.") from None
    shared = {
        "task": path.stem,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test",
    }
    if {"context", "continuation"} <= keys:
        accuracy = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
        return make(
            config=shared
            | {
                "output_type": "loglikelihood",
                "doc_to_text": "{{context}}",
                "doc_to_target": "{{' ' + continuation.strip()}}",
                "target_delimiter": "",
                "metric_list": accuracy,
            }
        )
    if {"context_options", "continuation", "gold"} <= keys:
        choice = {
            "doc_to_text": _gold,
            "doc_to_choice": _options,
            "doc_to_target": _continuation,
            "metric_list": _metrics("acc"),
        }
        return make(config=shared | {"output_type": "multiple_choice"} | choice)
    if {"query", "choices", "gold"} <= keys:
        choice = {"doc_to_text": "{{query}}", "doc_to_choice": _choices, "doc_to_target": _gold}
        return make(
            config=shared | {"output_type": "multiple_choice", "metric_list": _metrics("acc", "acc_norm")} | choice
        )
    raise LensError(
        f"{path.name} holds {', '.join(sorted(keys)) or 'nothing'}. Its lines need context and continuation, or query, "
        "choices and gold, or context_options, continuation and gold."
    )


def _metrics(*names: str) -> list[dict[str, Any]]:
    return [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in names]


def _gold(document: dict[str, Any]) -> int:
    return int(document["gold"])


def _choices(document: dict[str, Any]) -> list[str]:
    return list(document["choices"])


def _options(document: dict[str, Any]) -> list[str]:
    return list(document["context_options"])


def _continuation(document: dict[str, Any]) -> str:
    return str(document["continuation"])


def _score(task: str, samples: Sequence[dict[str, Any]]) -> Score:
    """Accuracy by length-normalised likelihood where the task has it, as the harness's own default is."""
    metric = "acc_norm" if "acc_norm" in samples[0] else "acc" if "acc" in samples[0] else ""
    if not metric:
        raise LensError(f"{task} has no accuracy; tasks with one are needed.")
    right = np.array([float(sample[metric]) for sample in samples])
    answers = [len(sample["arguments"]) for sample in samples]
    return Score(task, right, 0.0 if max(answers) == 1 else float(np.mean([1 / count for count in answers])))


def table(name: str, found: dict[str, list[Score]]) -> str:
    """The scores as a table of Markdown."""
    full = found["full"]
    heads = [f"{each.task} (chance {each.chance:.0%}, n = {len(each.right):,})" for each in full]
    lines = [
        "| " + " | ".join([f"{name}: plan", *heads, "normalised median"]) + " |",
        "|" + "---|" * (len(heads) + 2),
    ]
    for plan, scores in found.items():
        middle, low, high = normalised(scores, full)
        median = "—" if np.isnan(middle) else f"{middle:.2f} [{low:.2f}, {high:.2f}]"
        lines.append("| " + " | ".join([plan, *(f"{s.mean:.1%} ± {s.error:.1%}" for s in scores), median]) + " |")
    silent = [each.task for each in full if not each.above_chance]
    if silent:
        lines.append(f"\nNot above chance, so left out of the median: {', '.join(silent)}.")
    return "\n".join(lines)
