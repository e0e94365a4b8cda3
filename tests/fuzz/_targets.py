"""What reads bytes that others may have written: each takes any bytes, and may raise LensError and nothing else."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any
from zipfile import ZipFile

import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from lens._source import resolve
from lens.casts import Card, Maps, cast_named
from lens.casts.imports import convert
from lens.models import load
from lens.models._config import check_raw
from lens.panels._link import from_link
from lens.panels._session import Session
from lens.plans import Plan

__all__ = ["TARGETS", "Target"]

CARD = json.dumps(
    {"model": "tiny", "revision": None, "fingerprint": "f", "n_blocks": 3, "width": 4, "corpus": "c"}
    | {"corpus_sha256": "0", "positions": "all", "sentences": 2, "tokens": 20, "heldout_corpus": "h", "seed": 0}
    | {"heldout_sentences": 1, "heldout_tokens": 9, "version": "0", "options": {"ridge": 1.0}, "rank": {"0": 4}}
    | {"condition": {"0": 2.5}, "boundary": "b"}
    | {"scores": {"mat": {"0>3": {"stream": [0.5, 0.1]}}, "~ln": {"0.0": {"stream": [0.5, None]}}}}
)
MODEL: dict[str, Any] = {"name": "tiny", "fingerprint": "f", "n_blocks": 3, "width": 4}


@dataclass(frozen=True)
class Target:
    """A reader, inputs to begin with, and words that it knows."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    words: Sequence[bytes] = ()


def _plan(data: bytes) -> None:
    plan = Plan.parse(data.decode("utf-8", "replace"))
    assert Plan.parse(str(plan)) == plan
    assert Plan.parse(str(plan.compact)).flat == plan.flat


def _plan_json(data: bytes) -> None:
    plan = Plan.from_json(data.decode("utf-8", "replace"))
    assert Plan.from_json(plan.to_json()) == plan


def _link(data: bytes) -> None:
    found, left_out = from_link(data.decode("utf-8", "surrogateescape"))
    session = Session(**found)
    assert all(getattr(session, name) == value for name, value in found.items())
    assert all(len(said) < 500 for said in left_out)


def _card(data: bytes) -> None:
    card = Card.from_json(data.decode("utf-8", "replace"))
    assert Card.from_json(card.to_json()) == card
    card.r2().frame()


def _written(name: str, data: bytes) -> Path:
    folder = _folder(name)
    (folder / name).write_bytes(data)
    return folder


_folders: dict[str, Path] = {}


def _folder(name: str) -> Path:
    if name not in _folders:
        _folders[name] = Path(mkdtemp(prefix="lens-fuzz-"))
        (_folders[name] / "card.json").write_text(CARD)
    return _folders[name]


def _tensors(data: bytes) -> None:
    maps = Maps.load(_written("maps.safetensors", data))
    for cast, pairs in maps.pairs.items():
        for pair in pairs:
            out = cast_named(cast).apply(torch.ones(2, 4), **maps.tensors(cast, *pair))
            assert out.shape == (2, 4)
    for part, blocks in maps.parts.items():
        for block in blocks:
            assert all(matrix.shape == (4, 4) for matrix in maps.part(part, block))


def _pickle(data: bytes) -> None:
    convert(_written("0_3.pickle", data), **MODEL)


def _tuned(data: bytes) -> None:
    folder = _written("params.pt", data)
    (folder / "config.json").write_text('{"num_hidden_layers": 3}')
    convert(folder, **MODEL)


def _state(data: bytes) -> None:
    """The pickle inside of params.pt: changed bytes of the whole file are caught by its checksums first."""
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        for name, content in (_entries(_saved(_STATE)) | {"archive/data.pkl": data}).items():
            archive.writestr(name, content)
    _tuned(file.getvalue())


def _config(data: bytes) -> None:
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        return
    check_raw("tiny", raw)


def _name(data: bytes) -> None:
    resolve(data.decode("utf-8", "surrogateescape"))


def _tokenizer(data: bytes, file: str = "tokenizer.json") -> None:
    model = load(_changed(file, data), device="cpu")
    tokens = model.encode("The old man — naïve 👩‍🚀")
    assert len(tokens.labels) == len(tokens.ids)
    assert all(tokens.labels)


def _model(data: bytes, file: str = "config.json") -> None:
    model = load(_changed(file, data), device="cpu")
    recording = model.record(model.encode("old"))
    assert recording.logits is not None
    assert recording.logits.shape[-1] >= 1


def _changed(file: str, data: bytes) -> Path:
    """A whole folder of a model, but for one file."""
    if file not in _folders:
        _folders[file] = Path(mkdtemp(prefix="lens-fuzz-"))
        for name, content in MODEL_FILES.items():
            (_folders[file] / name).write_bytes(content)
    (_folders[file] / file).write_bytes(data)
    return _folders[file]


def _saved(thing: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(thing, file, **options)
    return file.getvalue()


def _entries(archive: bytes) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def _model_files() -> dict[str, bytes]:
    """GPT-2 of one block, and a tokenizer that spells."""
    spelling = Tokenizer(BPE(vocab={sign: at for at, sign in enumerate(ByteLevel.alphabet())}, merges=[]))
    spelling.pre_tokenizer = ByteLevel(add_prefix_space=False)
    sizes = {"n_layer": 1, "n_embd": 4, "n_head": 2, "n_positions": 64, "vocab_size": 256}
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).save_pretrained(folder)
        PreTrainedTokenizerFast(tokenizer_object=spelling, eos_token="!").save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


MODEL_FILES = _model_files()
_STATE = torch.nn.ModuleList([torch.nn.Linear(4, 4) for _ in range(3)]).state_dict()
_MAPS = {"mat.0.3.matrix": torch.eye(4), "affine.1.3.matrix": torch.eye(4), "affine.1.3.bias": torch.ones(4)} | {
    "lowrank.0.2.down": torch.ones(2, 4),
    "lowrank.0.2.up": torch.ones(2, 4),
    "~ln.1.0.matrix": torch.eye(4),
}
_PLAN = b"0 9 12 4-7 ( ) [ ] | x2 x3 + *1.5 ~attn ~ffn ~ln mat(0>3) id( > 4096 999999999 \xe2\x86\x92".split()
_JSON = [b'"', b"{", b"}", b"[", b"]", b":", b",", b"null", b"true", b"1e999", b"NaN", b"-1", b"9" * 20, b"\\ud800"]
_LINK = [b"%ED%A0%80", b"%00", b"+", b"%", b"#", *(f"&{name}=".encode() for name in Session().trait_names())]
_STEPS = [b"\x80\x04", b"\x94", b"\x85", b"\x86", b"h\x00", b"h\x01", b"R", b"b", b"s", b"}", b"(", b")", b".", b"\x93"]
_STEPS += [
    b"cos\nsystem\n",
    b"cbuiltins\neval\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
]
_DTYPES = [b"F16", b"F8_E4M3", b"BOOL", b"I64", b"C64", b"[4,4]", b"[0,4]", b"F4"]
_TOKENIZER = b'"BPE" "WordPiece" "Unigram" "WordLevel" "Metaspace" "Precompiled" "Split" "Regex" "(a*)*b"'.split()
_KINDS = b'"kind" "blocks" "group" "parallel" "times" "stages" "scale" "jump" "cast"'.split()

TARGETS: dict[str, Target] = {
    "plan": Target(_plan, (b"0-3 8-11", b"(4-7)x2 [4|6 5]+ mat(4>12)", b"[0-3]*1.5x3 9~attn 6x4"), _PLAN),
    "plan-json": Target(
        _plan_json, (Plan.parse("0-3 (4 5)x2 [4|6]+ mat(4>12) 9~attn").to_json().encode(),), [*_JSON, *_KINDS]
    ),
    "link": Target(_link, (b"?model=demo&text=The+old+man&source=4&k=8&exit=0.5&panel=jump",), _LINK),
    "card": Target(_card, (CARD.encode(),), [*_JSON, b'"0>3"', b'"scores"', b'"~attn"', b'"1.0"']),
    "safetensors": Target(_tensors, (save(_MAPS, {"fingerprint": "f"}),), [*_JSON, *_DTYPES]),
    "pickle": Target(
        _pickle,
        (pickle.dumps(torch.eye(4)), pickle.dumps(torch.ones(8, 8).half()[::2, ::2]), pickle.dumps({"a": (1, 2)}, 2)),
        _STEPS,
    ),
    "tuned-lens": Target(
        _tuned, (_saved(_STATE), _saved({"a": 1}), _saved(_STATE, _use_new_zipfile_serialization=False)), _STEPS
    ),
    "tuned-lens-state": Target(_state, (_entries(_saved(_STATE))["archive/data.pkl"],), _STEPS),
    "config": Target(_config, (b'{"n_layer": 12, "vocab_size": 4096, "rope_scaling": {"factor": 2.0}}',), _JSON),
    "tokenizer": Target(_tokenizer, (MODEL_FILES["tokenizer.json"],), [*_JSON, *_TOKENIZER]),
    "tokenizer-config": Target(
        partial(_tokenizer, file="tokenizer_config.json"),
        (MODEL_FILES["tokenizer_config.json"],),
        [*_JSON, *_TOKENIZER],
    ),
    "model-config": Target(_model, (MODEL_FILES["config.json"],), [*_JSON, b'"bert"', b'"llama"', b'"float16"']),
    "model-weights": Target(
        partial(_model, file="model.safetensors"), (MODEL_FILES["model.safetensors"],), [*_JSON, *_DTYPES]
    ),
    "name": Target(
        _name, (b"demo", b"owner/name", b"./folder/model", b"~/x"), [b"/", b"..", b"~", b"\0", b"@", b"\xff"]
    ),
}
