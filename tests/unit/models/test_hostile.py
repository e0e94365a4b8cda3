"""Model folders made by somebody who means harm: refused in words and at once, and nothing of theirs is run."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lens.models
from lens.errors import LensError, ModelError
from lens.models import _load, resolve
from lens.models._room import needed


@pytest.fixture
def folder(tmp_path: Path, build: Callable[..., Any], byte_level: Any) -> Path:
    hf = build("gpt2")
    hf.resize_token_embeddings(len(byte_level), mean_resizing=False)
    hf.save_pretrained(tmp_path / "mine")
    byte_level.save_pretrained(tmp_path / "mine")
    return tmp_path / "mine"


def changed(folder: Path, **options: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **options}))
    return folder


CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"n_layer": 3_000}, "n_layer = 3000; at most 512 are read"),  # took minutes
    ({"num_labels": 3_000_000}, "num_labels = 3000000; at most 100,000"),  # took minutes and gigabytes
    ({"num_local_experts": 10**6}, "at most 4,096"),
    ({"vocab_size": 2**50}, "at most 1,099,511,627,776"),
    ({"text_config": {"num_hidden_layers": 10**9}}, "num_hidden_layers = 1000000000"),
    ({"num_hidden_layers": "x"}, "num_hidden_layers = 'x': a whole number from 1 is needed"),
    ({"num_hidden_layers": [1]}, "a whole number from 1 is needed"),
    ({"hidden_size": None}, "hidden_size = None: a whole number from 1 is needed"),
    ({"vocab_size": 0}, "vocab_size = 0"),
    ({"vocab_size": "many"}, r"could not be read|vocab_size = 'many'"),
    ({"max_position_embeddings": "12"}, "'12' positions: a whole number is needed"),
]


@pytest.mark.parametrize(("options", "said"), CONFIGS)
def test_a_config_that_asks_for_too_much_is_refused_before_anything_is_built(
    folder: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        lens.models.load(changed(folder, **options)).n_blocks  # noqa: B018


def test_architectures_may_be_anything(folder: Path) -> None:
    """Some releases of transformers read them, others refuse."""
    try:
        assert lens.models.load(changed(folder, architectures=[1, None])).kind == "causal"
    except ModelError as error:
        assert "could not be read" in str(error)  # noqa: PT017 - either is right


def test_a_config_as_large_as_a_film_is_not_read(folder: Path) -> None:
    with (folder / "config.json").open("ab") as file:
        file.truncate(2**40)
    with pytest.raises(ModelError, match="is larger than 16 MB: it is no config"):
        lens.models.load(folder).n_blocks  # noqa: B018


def test_an_attention_from_the_hub_is_not_asked_for(folder: Path) -> None:
    """`attn_implementation` of a config may name a repository, whose program transformers would fetch."""
    model = lens.models.load(changed(folder, attn_implementation="somebody/kernel"))
    assert model.config._attn_implementation is None
    assert model.hf.config._attn_implementation in ("eager", "sdpa")


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.what = function, arguments

    def __reduce__(self) -> Any:
        return self.what


def test_weights_that_are_a_program_are_not_run(folder: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (folder / "model.safetensors").unlink()
    evil = {"transformer.wte.weight": Call(os.system, f"touch {ran}")}
    torch.save(evil, folder / "pytorch_model.bin")
    with pytest.raises(LensError, match="could not be read"):
        lens.models.load(folder, device="cpu").hf  # noqa: B018
    assert not ran.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)  # the same bytes do run where nobody looks
    assert ran.exists()


@pytest.mark.parametrize("hidden", [False, True])
def test_visitors_get_no_pickled_weights_and_the_host_is_told_how_to_convert(
    folder: Path, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(dict(lens.models.load(folder).config.to_dict()), folder / "pytorch_model.bin")
    if hidden:
        (folder / "pytorch_model.bin").rename(folder / "adapter_model.bin")
        changed(folder, transformers_weights="adapter_model.bin")
    monkeypatch.setenv("LENS_MODELS", str(folder))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
    with pytest.raises(ModelError, match=r"no weights as safetensors.*Convert them once.*save_pretrained\(folder\)"):
        lens.models.load(folder, device="cpu").hf  # noqa: B018


def sharded(folder: Path, *shards: Any, index: str = "model.safetensors.index.json") -> Path:
    """The folder, its weights in the files that an index names, in turn."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    named = {name: shards[at % len(shards)] for at, name in enumerate(sorted(tensors))}
    (folder / index).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": named}))
    for shard in {shard for shard in shards if isinstance(shard, str)}:
        mine = {name: tensor for name, tensor in tensors.items() if named[name] == shard}
        path = folder / shard
        path.parent.mkdir(exist_ok=True)
        save_file(mine, path, {"format": "pt"}) if path.suffix == ".safetensors" else torch.save(mine, path)
    return folder


def test_weights_in_several_files_are_read(folder: Path) -> None:
    whole = lens.models.load(folder, device="cpu").fingerprint
    shards = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    assert lens.models.load(sharded(folder, *shards), device="cpu").fingerprint == whole


@pytest.mark.parametrize("offered", [False, True])
@pytest.mark.parametrize(
    "shards", [("a.bin",), ("a.bin", "b.safetensors"), ("b.safetensors", "c.bin"), ("a.SAFETENSORS",)]
)
@pytest.mark.parametrize("index", ["model.safetensors.index.json", "own.safetensors.index.json"])
def test_an_index_of_safetensors_that_names_pickles_opens_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, shards: tuple[str, ...], index: str, offered: bool
) -> None:
    """transformers takes such a file for a pickle, also where it was told to read safetensors only."""
    sharded(folder, *shards, index=index)
    if index[:5] != "model":
        changed(folder, transformers_weights=index)
    if offered:
        monkeypatch.setenv("LENS_MODELS", str(folder))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
    with pytest.raises(ModelError, match=r"The index of .*'s weights names '[ac]\.(bin|SAFETENSORS)'; each must be a"):
        lens.models.load(folder, device="cpu").hf  # noqa: B018


@pytest.mark.parametrize(
    "shard", ["../b.safetensors", "deep/b.safetensors", "/b.safetensors", "gone.safetensors", 3, None]
)
def test_an_index_names_only_files_beside_it(folder: Path, shard: Any) -> None:
    sharded(folder, "a.safetensors")
    index = folder / "model.safetensors.index.json"
    named = json.loads(index.read_text())
    named["weight_map"]["lm_head.weight"] = shard
    index.write_text(json.dumps(named))
    with pytest.raises(ModelError, match=r"each must be a \.safetensors file beside it"):
        lens.models.load(folder, device="cpu").hf  # noqa: B018


def test_an_index_is_no_film_and_no_pipe_is_waited_for(folder: Path) -> None:
    sharded(folder, "a.safetensors")
    (folder / "a.safetensors").unlink()
    os.mkfifo(folder / "a.safetensors")
    with pytest.raises(ModelError, match=r"names 'a\.safetensors'; each must be"):
        lens.models.load(folder, device="cpu").hf  # noqa: B018
    with (folder / "model.safetensors.index.json").open("ab") as file:
        file.truncate(2**40)
    with pytest.raises(ModelError, match="is larger than 64 MB: it is no index"):
        lens.models.load(folder, device="cpu").hf  # noqa: B018


@pytest.mark.parametrize("file", ["tokenizer_config.json", "config.json"])
def test_program_code_in_a_folder_is_not_run(folder: Path, tmp_path: Path, file: str) -> None:
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')")
    kinds = {"AutoConfig": "own.Config", "AutoTokenizer": ["own.Tokenizer", None], "AutoModelForCausalLM": "own.Model"}
    given = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**given, "auto_map": kinds, "tokenizer_class": "Tokenizer"}))
    with pytest.raises(LensError):
        _ = (model := lens.models.load(changed(folder, model_type="own"))).config, model.tokenizer
    assert not ran.exists()


def test_tables_count_as_memory(folder: Path) -> None:
    """GPT-Neo keeps a mask of positions × positions, which a config makes as large as it likes."""
    layer = torch.nn.Linear(2, 2, bias=False)
    layer.register_buffer("mask", torch.zeros(8, 8))
    assert needed(layer, torch.float16) == 4 * 2 + 64 * 4


def test_a_folder_that_is_closed_to_us_is_said_to_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", closed)
    with pytest.raises(ModelError, match=r"can't be read \(Permission denied\)"):
        resolve(folder)


def test_a_pickle_of_a_tokenizer_is_no_way_in(folder: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for name in ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model"):
        (folder / name).write_bytes(pickle.dumps(Call(os.system, f"touch {ran}")))
    with pytest.raises(LensError):
        lens.models.load(folder).tokenizer  # noqa: B018
    assert not ran.exists()
    assert _load.LARGEST_CONFIG > 10**6


UNKNOWN = [{"SpecialToken": {"id": "x", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
PANICS: dict[str, Any] = {
    "pre_tokenizer": {"type": "FixedLength", "length": 0},
    "normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": "x"},
    "post_processor": {"type": "TemplateProcessing", "single": UNKNOWN, "pair": [], "special_tokens": {}},
}


@pytest.mark.parametrize("part", PANICS)
def test_a_panic_of_the_tokenizer_is_said(folder: Path, part: str) -> None:
    """The library's Rust code panics on these, with an exception that is no Exception."""
    written = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**written, part: PANICS[part]}))
    with pytest.raises(ModelError, match=r"The tokenizer of .* fails \(.*its files are damaged") as said:
        lens.models.load(folder).encode("The old man")
    assert not isinstance(said.value.__cause__, Exception)


def test_ctrl_c_is_no_fault_of_the_tokenizer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lens.models.load(folder)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(model.tokenizer), "__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        model.encode("The old man")
