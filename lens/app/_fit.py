"""`lens fit` and `lens convert-maps`: maps from the command line."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from lens.app._texts import read_texts

__all__ = ["add_convert", "add_fit"]

GIGABYTE = 10**9


def add_fit(commands: Any) -> None:
    """Add the command `fit`."""
    parser = commands.add_parser("fit", help="fit maps between the layers of a model")
    parser.set_defaults(command=_fit)
    parser.add_argument("fitted", metavar="MODEL", help="an embedded name, a folder, or a Hugging Face name")
    parser.add_argument("--text", type=Path, nargs="+", required=True, metavar="FILE", help="sentences, one a line")
    parser.add_argument("--heldout", type=Path, nargs="+", metavar="FILE", help="sentences to score on")
    parser.add_argument("--holdout", type=float, default=0.1, help="else the share of the text to score on (0.1)")
    parser.add_argument("--out", type=Path, help="folder for the maps (default: where lens looks for them)")
    parser.add_argument("--sentences", type=int, metavar="N", help="use the first N sentences")
    parser.add_argument("--kind", nargs="+", default=["mat"], help="mat, affine, ridge, lowrank, or several (mat)")
    parser.add_argument("--pairs", choices=("all", "final"), default="all", help="pairs of layers (all)")
    parser.add_argument("--parts", nargs="+", default=[], help="attn, ffn, ln: linear parts of blocks too")
    parser.add_argument("--positions", choices=("one", "all"), default="one", help="tokens of a sentence (one)")
    parser.add_argument("--ridge", type=float, default=0.0, help="for the kind ridge: scikit-learn's alpha")
    parser.add_argument("--rank", type=int, help="for the kind lowrank")
    parser.add_argument("--memory", type=float, metavar="GB", help="memory to use (default: half of what is free)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--half",
        action="store_true",
        help="store the maps in half precision: enough for one jump at a time",
    )
    parser.add_argument(
        "--cluster",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="read the text on the Ray cluster there, or on the one that this machine is part of",
    )
    parser.add_argument("--shard", type=int, default=1024, metavar="N", help="sentences of a cluster's task (1024)")
    parser.add_argument("--cpus", type=float, default=1, metavar="N", help="for each worker of a cluster (1)")
    parser.add_argument("--gpus", type=float, metavar="N", help="likewise (1 where the cluster has any)")
    parser.add_argument("--corpus", help="what the text is called on the card (default: the names of the files)")


def add_convert(commands: Any) -> None:
    """Add the command `convert-maps`."""
    parser = commands.add_parser("convert-maps", help="turn published maps into lens's own, running nothing in them")
    parser.set_defaults(command=_convert)
    parser.add_argument("folder", type=Path, help="of <source>_<target>.pickle files, or of a tuned-lens checkpoint")
    parser.add_argument("--for", dest="fitted", required=True, metavar="MODEL", help="the model they were made for")
    parser.add_argument("--out", type=Path, required=True, help="folder for the maps")


def _fit(chosen: argparse.Namespace) -> None:
    import torch

    import lens
    from lens.casts import store_folder

    texts = read_texts(chosen.text, chosen.sentences)
    heldout = read_texts(chosen.heldout) if chosen.heldout else chosen.holdout
    model = lens.load(chosen.fitted)
    out = chosen.out or store_folder(model.fingerprint)
    kept = out / ".fit"
    workers = _workers(chosen)
    with _Shown(workers is not None) as shown:
        maps = lens.fit(
            model,
            texts,
            kind=chosen.kind,
            pairs=chosen.pairs,
            parts=chosen.parts,
            positions=chosen.positions,
            ridge=chosen.ridge,
            rank=chosen.rank,
            holdout=heldout,
            memory=None if chosen.memory is None else int(chosen.memory * GIGABYTE),
            seed=chosen.seed,
            corpus=chosen.corpus or ", ".join(path.name for path in chosen.text),
            heldout_corpus=", ".join(path.name for path in chosen.heldout) if chosen.heldout else None,
            checkpoint=kept,
            workers=workers,
            progress=shown,
        )
    maps.save(out, torch.float16 if chosen.half else None)
    shutil.rmtree(kept, ignore_errors=True)
    print(_summary(maps, out))


def _workers(chosen: argparse.Namespace) -> Any:
    """Who reads the text instead of this process; None where nobody does."""
    if chosen.cluster is None:
        return None
    from lens.cluster import Workers

    return Workers(chosen.cluster or None, shard=chosen.shard, cpus=chosen.cpus, gpus=chosen.gpus)


class _Shown:
    """A bar for each stage of a fit, on the error stream."""

    def __init__(self, workers: bool = False) -> None:
        self._workers = workers
        self._bar: Any = None
        self._stage: tuple[str, int] | None = None

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, step: Any) -> None:
        """Show a `Progress`."""
        from tqdm import tqdm

        if self._stage is None:
            passes = "one pass" if step.steps == 1 else f"{step.steps} passes"
            where = "beside the model, here and in each worker" if self._workers else "beside the model"
            print(f"This fit needs {step.memory / GIGABYTE:.2f} GB {where}, in {passes} over the text.")
        if (step.stage, step.step) != self._stage:
            self.__exit__()
            self._stage = step.stage, step.step
            name = f"{step.stage} {step.step}/{step.steps}" if step.steps > 1 else step.stage
            self._bar = tqdm(total=step.total, initial=step.resumed, desc=name, unit=" sentences")
        self._bar.update(step.sentences - self._bar.n)
        rate = step.tokens / step.seconds if step.seconds and not step.resumed else 0
        self._bar.set_postfix_str(f"{step.tokens:,} vectors" + (f", {rate:,.0f}/s" if rate else ""))


def _summary(maps: Any, out: Path) -> str:
    card = maps.card
    lines = [f"{maps!r} in {out}"]
    for source, rank in card.rank.items():
        if rank < card.width:
            few = "its vectors vary in no more" if rank < card.tokens else "there were no more vectors"
            lines.append(
                f"layer {source}: determined in {rank} of {card.width} directions ({few}); the rest is least norm"
            )
    worst = max(card.condition.values(), default=1.0)
    lines.append(f"condition of the scaled second moments: at most {worst:.1e}")
    last = card.n_blocks
    for cast, pairs in card.scores.items():
        row = [pairs[key]["stream"][0] for key in (f"{source}>{last}" for source in range(last)) if key in pairs]
        if row:
            lines.append(f"{cast:>8} r² to layer {last}: " + " ".join("—" if v is None else f"{v:.3f}" for v in row))
    return "\n".join(lines)


def _convert(chosen: argparse.Namespace) -> None:
    import lens
    from lens.casts.imports import convert

    model = lens.load(chosen.fitted)
    maps = convert(
        chosen.folder,
        name=model.name,
        revision=model.revision,
        fingerprint=model.fingerprint,
        n_blocks=model.n_blocks,
        width=model.width,
    )
    print(f"{maps!r} in {maps.save(chosen.out)}")
