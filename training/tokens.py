"""The two byte-level BPE vocabularies, and the novels as token arrays."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from text import split_novels
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 4096
CONTEXT = 256
Novel = list[list[str]]


def train_tokenizer(kind: str, sentences: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE as GPT-2 has it, with single digits; for BERT with [CLS] ... [SEP] and a [MASK].

    [MASK] swallows the space before it, so that in 'the [MASK] house' it stands for the token ' old'.
    """
    end = "<|endoftext|>"
    mask = AddedToken("[MASK]", lstrip=True, special=True, normalized=False)
    special = [end] if kind == "demo" else ["[PAD]", "[UNK]", "[CLS]", "[SEP]", mask]
    tokenizer = Tokenizer(models.BPE(unk_token=None if kind == "demo" else "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(sentences, trainer)
    if kind == "demo":
        names = {"bos_token": end, "eos_token": end, "pad_token": end}
    else:
        ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
        )
        names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")} | {"mask_token": mask}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=CONTEXT, clean_up_tokenization_spaces=False, **names
    )


@dataclass
class Tokens:
    """A text as one array of token ids, and where its sentences start."""

    ids: np.ndarray
    starts: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each sentence."""
        return np.diff(self.starts, append=len(self.ids))


def pieces(novel: Novel, separator: str) -> Iterator[str]:
    """The sentences of one novel as they follow each other, each with the white space before it."""
    space = ""
    for paragraph in novel:
        for sentence in paragraph:
            yield space + sentence
            space = " "
        space = separator


def encode(kind: str, tokenizer: PreTrainedTokenizerFast, novels: list[Novel]) -> Tokens:
    """All novels one after the other. Paragraphs are kept apart by a line break for the generator, a space for BERT."""
    separator = "\n" if kind == "demo" else " "
    blocks, starts, position = [], [], 0
    for novel in novels:
        sentences = list(pieces(novel, separator))
        for encoding in tokenizer.backend_tokenizer.encode_batch(sentences, add_special_tokens=False):
            ids = encoding.ids
            newline = separator == "\n" and encoding.tokens[0] == "Ċ"
            starts.append(position + newline)  # a line break belongs to the paragraph before it
            blocks.append(np.array(ids, np.uint16))
            position += len(ids)
        end = tokenizer.eos_token_id if kind == "demo" else tokenizer.sep_token_id
        blocks.append(np.array([end], np.uint16))
        position += 1
    return Tokens(np.concatenate(blocks), np.array(starts))


@dataclass
class Vocabulary:
    """What the trainer has to know about each token id."""

    unspaced: np.ndarray  # id of the same token without its leading space, itself if it has none, -1 if there is none
    begins_word: np.ndarray
    n_bytes: np.ndarray
    special: np.ndarray

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast) -> "Vocabulary":
        """Read it off the spelling of the tokens; byte-level spelling has one character per byte, 'Ġ' for a space."""
        names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        ids = {name: i for i, name in enumerate(names)}
        special = np.isin(np.arange(len(names)), tokenizer.all_special_ids)
        return cls(
            unspaced=np.array([ids.get(name[1:], -1) if name[0] == "Ġ" else ids[name] for name in names]),
            begins_word=np.array([not name[0].isalpha() or name[0] == "Ġ" for name in names]) | special,
            n_bytes=np.where(special, 0, [len(name) for name in names]),
            special=special,
        )


def prepare(kind: str, text: Path, work: Path) -> tuple[PreTrainedTokenizerFast, Tokens, Tokens]:
    """Tokenizer, training tokens and held-out tokens; made once and kept in the work folder."""
    folder = work / kind
    cache = folder / "tokens.npz"
    if not cache.exists():
        train, held_out = split_novels(text)
        sentences = (piece for novel in train for piece in pieces(novel, " "))
        tokenizer = train_tokenizer(kind, sentences)
        tokenizer.save_pretrained(folder / "tokenizer")
        a, b = encode(kind, tokenizer, train), encode(kind, tokenizer, held_out)
        np.savez(cache, train=a.ids, train_starts=a.starts, held_out=b.ids, held_out_starts=b.starts)
        print(json.dumps({"training tokens": len(a.ids), "held-out tokens": len(b.ids)}), flush=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
    with np.load(cache) as data:
        return (
            tokenizer,
            Tokens(data["train"], data["train_starts"]),
            Tokens(data["held_out"], data["held_out_starts"]),
        )
