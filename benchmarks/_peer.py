"""A peer's logit lens, run by the peer's own Python: `_peer.py NAME FOLDER THREADS CLOCK DEVICE`, then a line a round.

FOLDER holds the model, `ids.pt` and `maps.safetensors`. Each round reads all boundaries under id and mat, at all
positions: top-10 with probabilities, entropy, KL to the model, surprisal and the rank of the model's own token. What
the peer gives is taken from it (streams, final norm, unembedding, its own lens); the rest is what its user would write.
Answers the seconds, and to `answer` saves the top-10 in `NAME.pt`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

K = 10
Lens = Callable[[Tensor, dict[int, Tensor]], tuple[Tensor, Tensor]]  # → logits (2, L + 1, T, V) and own (T, V)


def mapped(streams: list[Tensor], maps: dict[int, Tensor]) -> list[Tensor]:
    return [stream @ maps[layer].T if layer in maps else stream for layer, stream in enumerate(streams)]


def transformer_lens(hf: torch.nn.Module) -> Lens:
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(str(FOLDER), hf_model=hf, tokenizer=None, load_weights=True)

    def read(ids: Tensor, maps: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        last = len(maps)
        names = [f"blocks.{layer}.hook_resid_pre" for layer in range(last)] + [f"blocks.{last - 1}.hook_resid_post"]
        own, cache = bridge.run_with_cache(ids, names_filter=lambda name: name in names)
        streams = [cache[name] for name in names]
        stack = torch.stack([*streams, *mapped(streams, maps)])
        return bridge.unembed(bridge.ln_final(stack)).unflatten(0, (2, -1))[:, :, 0], own[0]

    return read


def nnsight(hf: torch.nn.Module) -> Lens:
    from nnsight import NNsight, save

    model = NNsight(hf)

    def read(ids: Tensor, maps: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        with model.trace(ids):
            streams = save([model.transformer.drop.output])
            for block in model.transformer.h:
                output = block.output
                streams.append(output[0] if isinstance(output, tuple) else output)
            own = save(model.lm_head.output)
        stack = torch.stack([*streams, *mapped(streams, maps)])
        logits = hf.lm_head(hf.transformer.ln_f(stack))
        return logits.unflatten(0, (2, -1))[:, :, 0], own[0]

    return read


def tuned_lens(hf: torch.nn.Module) -> Lens:
    from tuned_lens.nn.lenses import LogitLens

    lens = LogitLens.from_model(hf)

    def read(ids: Tensor, maps: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        output = hf(ids, output_hidden_states=True)  # the last is after the final norm, so the lens leaves it out
        streams = list(output.hidden_states[:-1])
        own = output.logits
        rows = [lens(stream, layer) for layer, stream in enumerate(streams)] + [own]
        rows += [lens(stream, layer) for layer, stream in enumerate(mapped(streams, maps))] + [own]
        return torch.stack(rows).unflatten(0, (2, -1))[:, :, 0], own[0]

    return read


def metrics(logits: Tensor, own: Tensor) -> dict[str, Tensor]:
    log_p, log_q = logits.log_softmax(-1), own.log_softmax(-1)
    probabilities, ids = log_p.topk(K)
    answer = own.argmax(-1)
    theirs = log_p.gather(-1, answer.expand(logits.shape[:-1])[..., None])
    return {
        "ids": ids,
        "probabilities": probabilities.exp(),
        "entropy": -(log_p.exp() * log_p).sum(-1),
        "kl": (log_q.exp() * (log_q - log_p)).sum(-1),
        "surprisal": -log_q.expand_as(log_p).gather(-1, ids[..., :1])[..., 0],
        "rank": (log_p > theirs).sum(-1),
    }


if __name__ == "__main__":
    NAME, FOLDER = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]))
    now = {"wall": time.perf_counter, "cpu": time.process_time}[sys.argv[4]]
    device = torch.device(sys.argv[5])
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval().requires_grad_(False).to(device)
    tokens = torch.load(FOLDER / "ids.pt").to(device)
    files = load_file(FOLDER / "maps.safetensors", device=str(device))
    fitted = {int(name.split(".")[1]): matrix for name, matrix in files.items()}
    peer = {"transformer-lens": transformer_lens, "nnsight": nnsight, "tuned-lens": tuned_lens}[NAME](model)
    print("ready", flush=True)
    for line in sys.stdin:
        begin = now()
        with torch.no_grad():
            found = metrics(*peer(tokens, fitted))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        print(now() - begin, flush=True)
        if line.strip() == "answer":
            torch.save({name: values.cpu() for name, values in found.items()}, FOLDER / f"{NAME}.pt")
            print("saved", flush=True)
