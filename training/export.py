"""Write a trained model as a Hugging Face folder in float16, with its model card.

    python training/export.py demo --text FOLDER --work FOLDER --to lens/models/embedded/demo

Every number and sample in the card comes from the folder as written, loaded again in float32.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from evaluate import MASK_SHARE, evaluate
from text import HELD_OUT
from tokens import CONTEXT, prepare
from train import build_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

AUTO = {"demo": AutoModelForCausalLM, "demo-bert": AutoModelForMaskedLM}
BEGINNINGS = (
    "The old man sat by the",
    "She opened the door and",
    "It was a dark and stormy night;",
    '"I do not know,"',
)
GAPS = (
    "The old [MASK] sat by the fire.",
    "She took his [MASK] and looked into his eyes.",
    "He put on his [MASK] and went out into the street.",
    "They had been [MASK] for many years.",
    '"I do not [MASK] you," said the doctor.',
    "the [MASK] house",
)
TEMPERATURE, NEW_TOKENS = 0.7, 50
ROUNDING_MAY_COST = 1e-3  # nats

CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: {pipeline}
---

# {kind}

{what}

It exists so that the package works, and its tests run, without a network: small enough to travel inside it, and deep
enough that its layers differ.

## Data

Ninety-four English novels published between 1839 and 1927, out of copyright in the United States, from
[computationalstylistics/100_english_novels](https://github.com/computationalstylistics/100_english_novels) at commit
`143e6018`: {n_train:,} tokens. Two more are held out, and were seen neither by the model nor by its vocabulary:
{held_out}.

The text was cleaned: line breaks inside paragraphs and words broken at line ends were undone, quotes and dashes brought
to one spelling, headings and notes left out.

## Architecture

| | |
| --- | --- |
| class | `{architecture}` |
| blocks | {layers} |
| width | {width} |
| heads | {heads} |
| context | {context} tokens |
| vocabulary | {vocabulary:,}, byte-level BPE, digits one by one |
| parameters | {parameters:,}{tied} |
| stored as | float16 |

## Training

| | |
| --- | --- |
| steps | {steps:,} |
| tokens seen | about {millions:.1f} million ({epochs:.2f} of the data) |
| time | {minutes:.0f} minutes, {hardware} |
| seed | {seed} |
| rows | {rows} |
| optimizer | Muon for the matrices of the blocks (peak {muon_lr:g}, momentum 0.95, decay {muon_weight_decay:g}), |
| | AdamW for the rest (peak {adam_lr:g}, betas 0.9 and 0.95, no weight decay) |
| learning rate | {warmup:.0%} of the time up, level to {decay_from:.0%}, then straight down to zero |
| gradient clipping | {clip:g} |
{extra}
`training/` in the repository of the package has the scripts.

## Held-out numbers

{numbers}

{measured} Rounding the weights to float16 changed the loss by {rounding:+.5f}.{preliminary}

## {samples_title}

{samples}

## Linear shortcuts

<!-- shortcuts -->

## What it cannot do

{cannot}

## Licence

The weights are under Apache-2.0.
"""


def write_folder(kind: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Weights in float16, configuration and tokenizer, all that `from_pretrained` needs offline."""
    model.to(torch.float16).save_pretrained(folder)
    if kind == "demo":
        end = tokenizer.eos_token_id
        GenerationConfig(bos_token_id=end, eos_token_id=end, pad_token_id=end).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    for key in ("is_local", "local_files_only"):  # say where it was read from here, nothing about the tokenizer
        settings.pop(key, None)
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", "utf-8")


@torch.no_grad()
def continuations(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> str:
    """What the generator makes of a few beginnings, one draw each, as it came."""
    lines = [f"Temperature {TEMPERATURE}, nothing cut off, {NEW_TOKENS} new tokens; as they came.\n"]
    for seed, text in enumerate(BEGINNINGS):
        torch.manual_seed(seed)
        ids = tokenizer(text, return_tensors="pt")
        out = model.generate(**ids, do_sample=True, temperature=TEMPERATURE, top_k=0, max_new_tokens=NEW_TOKENS)
        new = tokenizer.decode(out[0, ids["input_ids"].shape[1] :]).replace("\n", " / ")
        lines.append(f"- seed {seed}: **{text}**{new}")
    return "\n".join(lines)


@torch.no_grad()
def fillings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> str:
    """The five likeliest tokens for a few gaps."""
    lines = ["| sentence | five likeliest |", "| --- | --- |"]
    for text in GAPS:
        ids = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        at = (ids["input_ids"][0] == tokenizer.mask_token_id).nonzero().item()
        top = model(**ids).logits[0, at].softmax(0).topk(5)
        guesses = (
            f"{tokenizer.decode(i).strip()} {p:.2f}" for p, i in zip(top.values.tolist(), top.indices, strict=True)
        )
        lines.append(f"| {text} | {', '.join(guesses)} |")
    return "\n".join(lines)


def demo_words(model: PreTrainedModel, numbers: dict[str, float]) -> dict[str, str]:
    """What only the generator's card says."""
    return {
        "pipeline": "text-generation",
        "what": f"A GPT-2 of {model.config.num_hidden_layers} narrow blocks that continues English prose in the manner "
        "of the nineteenth-century novel.",
        "tied": ", input and output embedding tied",
        "rows": "every row begins with a sentence; steps of 128 and of 256 tokens a row alternate",
        "extra": "| start | position embeddings begin as sines and cosines, all else random |\n",
        "numbers": "| loss (nats per token) | bits per byte | top-1 accuracy | tokens predicted |\n"
        "| --- | --- | --- | --- |\n"
        f"| {numbers['loss']:.4f} | {numbers['bits_per_byte']:.4f} | {numbers['accuracy']:.2%} | {numbers['n']:,} |",
        "measured": f"Back-to-back windows of {CONTEXT} tokens over the two held-out novels, the first token of each "
        "window given.",
        "samples_title": "Samples",
        "cannot": "It has the grammar and the furniture of these novels, not their sense: it loses the thread after a "
        f"sentence or two, knows next to nothing about the world after 1928, cannot count, follow instructions, write "
        f"code or any language but English, and sees no more than {CONTEXT} tokens. The novels' views on women, race, "
        "class and empire are those of their time, and it repeats them. It is for looking inside, not for use.",
    }


def bert_words(model: PreTrainedModel, numbers: dict[str, float], settings: dict) -> dict[str, str]:
    """What only the gap filler's card says."""
    return {
        "pipeline": "fill-mask",
        "what": f"A BERT of {model.config.num_hidden_layers} narrow blocks that fills gaps (`[MASK]`, one token each) "
        "in English prose in the manner of the nineteenth-century novel.",
        "tied": ", input and output embedding tied",
        "rows": f"{settings['sentence_share']:.0%} of the steps on whole single sentences of 5 to 40 tokens, the "
        "others on rows of 128 (a few of 256) that begin with a sentence",
        "extra": "| start | position embeddings begin as sines and cosines, the heads of the first block look at the "
        "neighbours, the output bias is the log frequency; all else random, and all of it trained |\n"
        f"| masking | {settings['mask_share']:.0%}, in half of the rows by whole words; of these 80 % [MASK], "
        "10 % any token, 10 % as they are |\n",
        "numbers": "| loss (nats per masked token) | top-1 accuracy | tokens masked |\n"
        "| --- | --- | --- |\n"
        f"| {numbers['loss']:.4f} | {numbers['accuracy']:.2%} | {numbers['n']:,} |",
        "measured": f"Back-to-back windows of 126 tokens over the two held-out novels; {MASK_SHARE:.0%} of the tokens, "
        "chosen one by one with a fixed seed, all replaced by [MASK].",
        "samples_title": "Gaps",
        "cannot": "It has the grammar and the furniture of these novels, not their sense: it knows next to nothing "
        "about the world after 1928, cannot count, was never taught whether two sentences belong together (the second "
        f"token type is untrained), reads no language but English, and sees at most {CONTEXT} tokens. A gap is one "
        "token; longer words need several. The novels' views on women, race, class and empire are those of their time, "
        "and it repeats them. It is for looking inside, not for use.",
    }


def model_card(
    kind: str, folder: Path, state: dict, n_train: int, numbers: dict[str, float], rounding: float, hardware: str
) -> str:
    """The card; what the model says in it, it says as read from the folder."""
    model = AUTO[kind].from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    settings, config = state["settings"], model.config
    words = demo_words(model, numbers) if kind == "demo" else bert_words(model, numbers, settings)
    samples = continuations(model, tokenizer) if kind == "demo" else fillings(model, tokenizer)
    done = state["seconds"] >= 60 * state["minutes"]
    early = f" **Preliminary: taken after {state['seconds'] / 60:.0f} of {state['minutes']:.0f} minutes.**"
    return CARD.format(
        kind=kind,
        n_train=n_train,
        held_out=" and ".join(f"`{name}`" for name in HELD_OUT),
        architecture=config.architectures[0],
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        context=CONTEXT,
        vocabulary=len(tokenizer),
        parameters=model.num_parameters(),
        steps=state["step"],
        millions=state["tokens"] / 1e6,
        epochs=state["tokens"] / n_train,
        minutes=state["seconds"] / 60,
        hardware=hardware,
        rounding=rounding,
        preliminary="" if done else early,
        samples=samples,
        **words,
        **{k: settings[k] for k in ("seed", "muon_lr", "muon_weight_decay", "adam_lr", "warmup", "decay_from", "clip")},
    )


def export(kind: str, text: Path, work: Path, to: Path, limit: int | None, hardware: str) -> None:
    """Write beside the target, then move file by file, so that readers meet no half-written file."""
    tokenizer, data, held_out = prepare(kind, text, work)
    state = torch.load(work / kind / "checkpoint.pt", map_location="cpu", weights_only=True)
    model = build_model(kind, tokenizer)
    model.load_state_dict(state["model"])
    exact = evaluate(kind, model, tokenizer, held_out, limit)["loss"]
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent) as name:
        folder = Path(name)
        write_folder(kind, model, tokenizer, folder)
        stored = AUTO[kind].from_pretrained(folder, dtype=torch.float32)
        numbers = evaluate(kind, stored, AutoTokenizer.from_pretrained(folder), held_out, limit)
        rounding = numbers["loss"] - exact
        print(json.dumps(numbers | {"rounding": rounding}), flush=True)
        if abs(rounding) > ROUNDING_MAY_COST:
            raise SystemExit(f"float16 changes the held-out loss by {rounding:+.5f}")
        card = model_card(kind, folder, state, len(data.ids), numbers, rounding, hardware)
        (folder / "README.md").write_text(card, "utf-8")
        for path in sorted(folder.iterdir()):
            path.chmod(0o644)
            path.replace(to / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a trained model as a Hugging Face folder in float16.")
    parser.add_argument("kind", choices=list(AUTO))
    parser.add_argument("--text", type=Path, required=True, help="folder of novels, one .txt each")
    parser.add_argument("--work", type=Path, required=True, help="work folder of the training")
    parser.add_argument("--to", type=Path, required=True, help="where the finished folder goes")
    parser.add_argument("--limit", type=int, help="measure on this many windows only")
    parser.add_argument("--hardware", default="one CPU thread", help="what it was trained on, for the card")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    export(args.kind, args.text, args.work, args.to, args.limit, args.hardware)


if __name__ == "__main__":
    main()
