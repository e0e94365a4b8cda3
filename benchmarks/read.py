"""What a reading costs beside the model's own forward and beside other logit lenses: `python -m benchmarks.read`.

By default a GPT-2 of the small size with random weights, 16 tokens, id and mat from every layer. `--peers` reads the
same weights with TransformerLens, nnsight and tuned-lens too, in environments made under `.peers_cache` at first use,
and checks that all list the same tokens. Measures take turns, so that a busy machine slows all alike.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

import lens
from benchmarks._measure import (
    Spent,
    card,
    gpt2,
    interleaved,
    machine,
    made_maps,
    options,
    say,
    size,
    spread,
    table,
    text_of,
    until_done,
    written,
)
from benchmarks._peers import PEERS, Peer, running
from lens.analyses import read_recording
from lens.casts import Maps
from lens.execution import maps_for
from lens.models import Model
from lens.numerics import Reading

CLOSE = 1e-5  # of two probabilities, relative: places may be exchanged


def main() -> None:
    asked = options(
        __doc__,
        model={"help": "a model of lens, instead of one with random weights"},
        tokens={"type": int, "default": 16},
        peers={"nargs": "*", "choices": list(PEERS), "default": [], "help": "which peers to read with as well"},
    )
    model = (
        lens.load(asked.model)
        if asked.model
        else gpt2(**size(asked.tiny), device=asked.device, exact=bool(asked.peers))
    )
    maps = maps_for(model) or made_maps(model)
    text = text_of(model, asked.tokens)
    say(f"{model.name}: {model.n_blocks} blocks of width {model.width}, vocabulary {model.vocab_size:,}, ")
    say(f"{str(model.dtype).removeprefix('torch.')} on {card(asked.device)}, {asked.tokens} tokens,")
    say(f"n = {asked.rounds} rounds in turns. {machine(clock=asked.clock)}.\n")
    with tempfile.TemporaryDirectory() as made:
        folder = given(model, text, maps, Path(made)) if asked.peers else Path(made)
        spent, alike = measured(model, text, maps, folder, asked)
    bare, whole = spent["bare forward"], spent["lens.read, all positions"]
    rows = [[name, each, written(each.ratio(bare)), written(each.ratio(whole))] for name, each in spent.items()]
    say(table(["what", "ms, median (quartiles)", "× bare forward", "× lens.read"], rows))
    for name, said in alike.items():
        say(f"- {name} {PEERS[name]}: {said}")
    goals(spent, alike)


def measured(
    model: Model, text: str, maps: Maps, folder: Path, asked: argparse.Namespace
) -> tuple[dict[str, Spent], dict[str, str]]:
    """The seconds of each measure, and what each peer agrees to."""
    with running(asked.peers, folder, asked.clock, asked.device) as peers:
        own = lens.read(model, text, maps=maps)
        alike = {name: agreement(own, peer) for name, peer in peers.items()}
        return interleaved({**ours(model, text, maps), **peers}, asked.rounds, asked.clock), alike


def ours(model: Model, text: str, maps: Maps) -> dict[str, Callable[[], object]]:
    """What is measured of lens, and the model's own forward and product."""
    tokens, casts = model.encode(text), ("id", "mat")
    ids, recording = torch.tensor([tokens.ids], device=model.device), model.record(tokens)
    rows = torch.cat([*recording.streams[:-1], *recording.streams[:-1]])[:, : len(tokens)].flatten(0, 1)

    waited = partial(until_done, model)

    def reread(**more: int) -> Callable[[], object]:
        return waited(lambda: read_recording(recording, tokens, casts=casts, maps=maps, **more))

    head = model.hf.get_output_embeddings()
    return {
        "bare forward": waited(lambda: model.hf(ids)),
        "record (a forward, all boundaries kept)": waited(lambda: model.record(tokens)),
        "lens.read, all positions": waited(lambda: lens.read(model, text, casts=casts, maps=maps)),
        "lens.read, one position": waited(lambda: lens.read(model, text, casts=casts, maps=maps, position=-1)),
        "read of a recording: all positions": reread(),
        "read of a recording: one position": reread(position=-1),
        "read of a recording: one position, another target": reread(position=-1, target=model.n_blocks // 2),
        f"the product with the vocabulary alone, {len(rows)} rows": waited(lambda: head(rows)),
        f"unembedding, {len(rows)} rows": waited(lambda: model.unembed(rows)),
    }


def given(model: Model, text: str, maps: Maps, folder: Path) -> Path:
    """The folder that the peers read: the same weights, tokens and maps."""
    model.hf.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    torch.save(torch.tensor([model.encode(text).ids]), folder / "ids.pt")
    last = model.n_blocks
    save_file(
        {f"mat.{s}.matrix": maps.tensors("mat", s, last)["matrix"] for s in range(last)}, folder / "maps.safetensors"
    )
    return folder


def agreement(own: Reading, peer: Peer) -> str:
    """That a peer lists the same tokens, in words; AssertionError where it does not."""
    theirs = {name: values.numpy() for name, values in peer.answer().items()}
    same = own.token_ids == theirs["ids"]
    close = np.isclose(own.probabilities, theirs["probabilities"], rtol=CLOSE, atol=0)
    assert own.token_ids.shape == theirs["ids"].shape
    assert (same | close).all(), "a peer lists other tokens"
    worst = max(float(np.abs(getattr(own, name) - theirs[name]).max()) for name in ("entropy", "kl", "surprisal"))
    return (
        f"the same top-{own.k} in {same.mean():.4%} of {same.size:,} places (elsewhere equal to {CLOSE:g}), the same "
        f"rank in {(own.rank == theirs['rank']).mean():.2%}; entropy, KL, surprisal differ by at most {worst:.1e} nats"
    )


def goals(spent: dict[str, Spent], alike: dict[str, str]) -> None:
    """Each goal of a reading, with what was measured."""
    bare, whole, one = (spent[name] for name in ("bare forward", "lens.read, all positions", "lens.read, one position"))
    product = next(each for name, each in spent.items() if name.startswith("the product"))
    head = next(each for name, each in spent.items() if name.startswith("unembedding"))
    found = [
        ("one position, × bare forward", one.ratio(bare), 2.0),
        ("unembedding, × its product", head.ratio(product), 1.3),
    ]
    if alike:
        fastest = [min(each) for each in zip(*(spent[name].seconds for name in alike), strict=True)]
        found.append(
            (
                "whole reading, × the fastest peer of each round",
                spread([a / b for a, b in zip(whole.seconds, fastest, strict=True)]),
                0.5,
            )
        )
    say()
    say(
        table(
            ["goal", "at most", "measured", ""],
            [[what, most, written(got), "met" if got[0] <= most else "**not met**"] for what, got, most in found],
        )
    )


if __name__ == "__main__":
    main()
