"""Train one of the two embedded models, for a given time.

    python training/train.py demo --text FOLDER --work FOLDER --minutes 90

The learning rate follows the share of the time that is used up, so a run always ends annealed, on any machine. Started
again with the same work folder it goes on from its last checkpoint. Same seed, same batches.
"""

import argparse
import csv
import ctypes
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from evaluate import evaluate
from muon import Muon
from tokens import CONTEXT, Tokens, Vocabulary, prepare
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

WIDTH, HEADS = 192, 6
LOGGED_WINDOWS = {"demo": 64, "demo-bert": 160}  # a few seconds of evaluation


@dataclass
class Settings:
    """Everything that shapes a run besides its length."""

    seed: int = 1
    tokens_per_step: int = 4096
    muon_lr: float = 6e-3
    muon_weight_decay: float = 0.02
    adam_lr: float = 4e-3
    warmup: float = 0.02  # shares of the whole time
    decay_from: float = 0.2
    clip: float = 1.0
    mask_share: float = 0.2
    sentence_share: float = 0.3  # BERT steps on single sentences


# BERT normalizes after each sum, not before each block, and did not get past token frequencies with steps as large.
SETTINGS = {"demo": Settings(), "demo-bert": Settings(muon_lr=2e-3, adam_lr=3e-3)}


def build_model(kind: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """An untrained model, an ordinary Hugging Face one."""
    if kind == "demo":
        end = tokenizer.eos_token_id
        config = GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=CONTEXT,
            n_embd=WIDTH,
            n_layer=12,
            n_head=HEADS,
            activation_function="gelu_pytorch_tanh",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
        )
        model = GPT2LMHeadModel(config)
    else:
        config = BertConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=CONTEXT,
            hidden_size=WIDTH,
            num_hidden_layers=10,
            num_attention_heads=HEADS,
            intermediate_size=4 * WIDTH,
            hidden_act="gelu",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
        )
        model = BertForMaskedLM(config)
    return model


def wave_frequencies(width: int) -> Tensor:
    """From one radian a token down to ten thousand times slower, one for each pair of dimensions."""
    return 10000 ** (-torch.arange(0, width, 2) / width)


@torch.no_grad()
def start_positions_as_waves(weight: Tensor, scale: float) -> None:
    """Sines and cosines: 'the token before' is then a rotation, found long before it would be from random vectors."""
    n, width = weight.shape
    angle = torch.arange(n)[:, None] * wave_frequencies(width)
    weight.copy_(torch.stack([angle.sin(), angle.cos()], 2).flatten(1) * scale * 2**0.5)


@torch.no_grad()
def start_heads_at_neighbours(bert: BertModel, sharpness: float = 3.0) -> None:
    """Each head of the first block starts out handing on one neighbour, found by turning the position waves."""
    size = WIDTH // HEADS
    bert.embeddings.word_embeddings.weight[:, :size] = 0  # what these heads look for is the position alone, for now
    attention = bert.encoder.layer[0].attention
    keep = sharpness * torch.eye(size, WIDTH)
    for head, offset in enumerate((-2, -1, -1, 1, 1, 2)):
        rows = slice(head * size, (head + 1) * size)
        angle = offset * wave_frequencies(WIDTH)[: size // 2]
        turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], 1).view(-1, 2, 2)
        attention.self.key.weight[rows] = keep
        attention.self.query.weight[rows] = torch.block_diag(*turn) @ keep
    torch.nn.init.orthogonal_(attention.self.value.weight)
    torch.nn.init.orthogonal_(attention.output.dense.weight)


@torch.no_grad()
def head_start(kind: str, model: PreTrainedModel, data: Tokens) -> None:
    """Begin with what needs no training: where tokens are and, for BERT, their neighbours and how frequent they are.

    From ordinary random weights BERT still guessed by frequency alone after 700,000 tokens, a tenth of so short a
    training. All of it stays trainable.
    """
    if kind == "demo":
        start_positions_as_waves(model.transformer.wpe.weight, model.config.initializer_range)
        return
    start_positions_as_waves(model.bert.embeddings.position_embeddings.weight, model.config.initializer_range)
    start_heads_at_neighbours(model.bert)
    counts = torch.from_numpy(np.bincount(data.ids, minlength=model.config.vocab_size) + 1.0)
    model.cls.predictions.bias.copy_((counts / counts.sum()).log())


def build_optimizers(model: PreTrainedModel, settings: Settings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings, norms, biases and the head."""
    inner = {id(p) for n, p in model.named_parameters() if p.ndim == 2 and (".h." in n or ".layer." in n)}
    matrices = [p for p in model.parameters() if id(p) in inner]
    rest = [p for p in model.parameters() if id(p) not in inner]
    adam = torch.optim.AdamW(rest, lr=settings.adam_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    optimizers = [Muon(matrices, settings.muon_lr, weight_decay=settings.muon_weight_decay), adam]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def lr_factor(share: float, settings: Settings) -> float:
    """Up, level, and in a straight line down to nothing at the end of the time."""
    up = min(1.0, share / settings.warmup)
    down = min(1.0, (1 - share) / (1 - settings.decay_from))
    return max(0.01, min(up, down)) if share < 0.5 else max(0.0, down)


class Batches:
    """Random rows that begin with a sentence; step k's depend on seed and k alone, so a resumed run repeats none."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, data: Tokens, settings: Settings):
        self.tokenizer, self.data, self.settings = tokenizer, data, settings
        self.vocabulary = Vocabulary.of(tokenizer)
        # A row begins as a visitor's text does: without a space before the first word.
        self.usable = self.vocabulary.unspaced[data.ids[data.starts]] >= 0
        self.usable &= data.starts + CONTEXT < len(data.ids)
        self.starts = data.starts[self.usable]
        self.lengths = data.lengths[self.usable]

    def rows(self, rng: np.random.Generator, length: int, starts: np.ndarray) -> np.ndarray:
        """Enough rows of one length for a step, beginning at some of the starts."""
        chosen = rng.choice(starts, self.settings.tokens_per_step // length)
        rows = self.data.ids[chosen[:, None] + np.arange(length)].astype(np.int64)
        rows[:, 0] = self.vocabulary.unspaced[rows[:, 0]]
        return rows

    def demo(self, step: int) -> Tensor:
        """Token ids to be predicted one from the other; every other step in short rows, for text just begun."""
        rng = np.random.default_rng([self.settings.seed, step])
        return torch.from_numpy(self.rows(rng, (CONTEXT // 2, CONTEXT)[step % 2], self.starts))

    def bert(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Corrupted ids, where to predict, and what. Some steps are whole single sentences, all of one length."""
        rng = np.random.default_rng([self.settings.seed, step])
        if rng.random() < self.settings.sentence_share:
            length = int(rng.integers(5, 41))
            rows = self.rows(rng, length, self.starts[self.lengths == length])
        else:
            rows = self.rows(rng, (CONTEXT if rng.random() < 0.15 else CONTEXT // 2) - 2, self.starts)
        chosen = self.choose(rng, rows)
        corrupted = np.where(chosen, self.corrupt(rng, rows), rows)
        edges = (self.tokenizer.cls_token_id, self.tokenizer.sep_token_id)
        corrupted = np.pad(corrupted, ((0, 0), (1, 1)), constant_values=((0, 0), edges))
        chosen = np.pad(chosen, ((0, 0), (1, 1)))
        return torch.from_numpy(corrupted), torch.from_numpy(chosen), torch.from_numpy(rows[chosen[:, 1:-1]])

    def choose(self, rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        """Positions to predict: single tokens in half of the rows, whole words in the others."""
        word = np.cumsum(self.vocabulary.begins_word[rows], 1)
        unit = np.where(rng.random((len(rows), 1)) < 0.5, word - word[:, :1], np.arange(rows.shape[1]))
        return np.take_along_axis(rng.random(rows.shape), unit, 1) < self.settings.mask_share

    def corrupt(self, rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        """Four in five become [MASK], one in ten any token, one in ten stays: the model cannot trust what it sees."""
        dice = rng.random(rows.shape)
        noise = rng.integers(len(self.vocabulary.special), size=rows.shape)
        return np.select([dice < 0.8, dice < 0.9], [self.tokenizer.mask_token_id, noise], rows)


def loss_of(kind: str, model: PreTrainedModel, batches: Batches, step: int, device: torch.device) -> Tensor:
    """Mean loss of one step in nats per predicted token."""
    if kind == "demo":
        ids = batches.demo(step).to(device)
        states = model.transformer(ids, use_cache=False).last_hidden_state[:, :-1]
        return cross_entropy(model.lm_head(states).flatten(0, 1).float(), ids[:, 1:].flatten())
    ids, chosen, targets = (t.to(device) for t in batches.bert(step))
    states = model.bert(ids).last_hidden_state[chosen]  # the wide output layer only where it is needed
    return cross_entropy(model.cls(states).float(), targets)


def keep_memory() -> None:
    """Let the C library reuse big freed blocks instead of handing them back at once: a tenth faster on Linux CPUs."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(-4, 0)  # M_MMAP_MAX
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def save_checkpoint(path: Path, state: dict) -> None:
    """Whole or not at all."""
    temporary = path.with_suffix(".new")
    torch.save(state, temporary)
    temporary.replace(path)


def append_row(path: Path, row: dict) -> None:
    """One more line of the log."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def train(kind: str, text: Path, work: Path, minutes: float, settings: Settings) -> None:
    """Train until the time is used up; checkpoint.pt and log.csv in work/kind say how far it is."""
    folder = work / kind
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer, data, held_out = prepare(kind, text, work)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(settings.seed)
    model = build_model(kind, tokenizer)
    head_start(kind, model, data)
    model = model.to(device).train()
    optimizers = build_optimizers(model, settings)
    batches = Batches(tokenizer, data, settings)
    step, tokens, seconds = 0, 0, 0.0
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step, tokens, seconds = state["step"], state["tokens"], state["seconds"]
        print(f"resumed at step {step}, {seconds / 60:.1f} minutes", flush=True)

    last_log = last_save = seconds
    recent: list[float] = []
    while seconds < 60 * minutes:
        began = time.monotonic()
        factor = lr_factor(seconds / (60 * minutes), settings)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(kind, model, batches, step, device)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        step, tokens = step + 1, tokens + settings.tokens_per_step
        recent.append(loss.item())
        seconds += time.monotonic() - began
        is_last = seconds >= 60 * minutes
        if seconds - last_log > 150 or is_last:
            began, last_log = time.monotonic(), seconds
            row = {"step": step, "tokens": tokens, "minutes": round(seconds / 60, 2), "lr": round(factor, 4)}
            row["train_loss"] = round(float(np.mean(recent)), 4)
            numbers = evaluate(kind, model, tokenizer, held_out, LOGGED_WINDOWS[kind])
            append_row(folder / "log.csv", row | {k: round(v, 4) for k, v in numbers.items()})
            recent = []
            seconds += time.monotonic() - began
        if seconds - last_save > 300 or is_last:
            last_save = seconds
            state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers]}
            state |= {"step": step, "tokens": tokens, "seconds": seconds, "minutes": minutes}
            save_checkpoint(checkpoint, state | {"settings": asdict(settings)})


def main() -> None:
    parser = argparse.ArgumentParser(description="Train one of the two embedded models, for a given time.")
    parser.add_argument("kind", choices=list(SETTINGS))
    parser.add_argument("--text", type=Path, required=True, help="folder of novels, one .txt each")
    parser.add_argument("--work", type=Path, required=True, help="folder for caches, checkpoints and logs")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), help="see Settings")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    keep_memory()
    given = {name: getattr(args, name) for name in asdict(Settings()) if getattr(args, name) is not None}
    train(args.kind, args.text, args.work, args.minutes, replace(SETTINGS[args.kind], **given))


if __name__ == "__main__":
    main()
