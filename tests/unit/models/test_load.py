"""Loading from folders: lazily, quietly, and with every refusal in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lens.models
from lens import _source
from lens.errors import ModelError, TextError
from lens.models import Model, _load, _model

Build = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, build: Build, byte_level: Any) -> Path:
    """A tiny GPT-2 in half precision, as `save_pretrained` writes it."""
    hf = build("gpt2")
    hf.resize_token_embeddings(len(byte_level), mean_resizing=False)
    hf.half().save_pretrained(tmp_path / "mine")
    byte_level.save_pretrained(tmp_path / "mine")
    return tmp_path / "mine"


def changed(folder: Path, **options: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **options}))
    return folder


def test_the_config_answers_without_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    model = lens.models.load(folder)
    assert (model.n_blocks, model.width, model.vocab_size, model.kind, model.context) == (4, 32, 400, "causal", 64)
    assert not model.loaded
    assert repr(model).endswith("not loaded)")
    with pytest.raises(ModelError, match="could not be read"):
        model.hf  # noqa: B018
    assert not model.loaded


def test_it_loads_as_float32_on_the_cpu_frozen_and_in_eval_mode(folder: Path) -> None:
    model = lens.models.load(str(folder), device="cpu")
    recording = model.record(model.encode("The old man"))
    assert model.loaded
    assert (model.device, model.dtype, model.folder) == (torch.device("cpu"), torch.float32, folder)
    assert not model.hf.training
    assert not any(parameter.requires_grad for parameter in model.hf.parameters())
    assert recording.logits.dtype == torch.float32


def test_a_dtype_may_be_asked_for_and_leaves_the_fingerprint(folder: Path) -> None:
    half = lens.models.load(folder, device="cpu", dtype="bfloat16")
    assert half.dtype == torch.bfloat16
    assert half.fingerprint == lens.models.load(folder, device="cpu").fingerprint


def test_two_threads_load_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    read = _model.read_weights
    monkeypatch.setattr(_model, "read_weights", lambda *args: reads.append(1) or read(*args))
    model = lens.models.load(folder, device="cpu")
    threads = [threading.Thread(target=lambda: model.hf) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1


def test_what_lies_on_this_machine_is_loaded_quietly(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In a notebook a progress bar would stay under the workbench for good."""
    from transformers import AutoModel
    from transformers.utils import logging

    capfd.readouterr()  # what saving it has said
    lens.models.load(folder, device="cpu").hf  # noqa: B018
    assert "Loading" not in "".join(capfd.readouterr())
    assert logging.is_progress_bar_enabled()
    AutoModel.from_pretrained(folder)
    assert "Loading" in "".join(capfd.readouterr())  # so the silence above is not the terminal's


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "float8"}, "There is no dtype 'float8'; choose one of auto, float32, bfloat16, float16, int8, int4"),
        ({"device": "abacus"}, "There is no device 'abacus' here; choose one of auto,"),
        ({"device": "cpu", "dtype": "int8"}, "needs an NVIDIA GPU and the packages bitsandbytes and accelerate"),
    ],
)
def test_options_that_cannot_be_had_are_refused_at_once(options: dict[str, str], said: str, folder: Path) -> None:
    with pytest.raises(ModelError, match=said):
        lens.models.load(folder, **options)


def test_without_the_hub(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(_load, "_reachable", lambda: False)
    monkeypatch.setattr(_source, "FOLDER", folder.parent)
    with pytest.raises(ModelError, match=r"hub can't be reached.*there are: mine;.*Did you mean 'mine'\?"):
        lens.models.load("minne").n_blocks  # noqa: B018


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"architectures": ["GPT2ForSequenceClassification"]}, "predicts no tokens"),
        ({"is_encoder_decoder": True}, "is an encoder-decoder"),
        ({"model_type": "never-heard-of"}, "could not be read"),
        ({"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}, "program code of its own"),
    ],
)
def test_models_of_another_kind_are_refused(folder: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        lens.models.load(changed(folder, **options)).n_blocks  # noqa: B018


def test_a_masked_model_as_decoder_is_refused(tmp_path: Path, build: Build) -> None:
    build("bert").config.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="rebuilt as a decoder"):
        lens.models.load(changed(tmp_path, architectures=["BertLMHeadModel"])).kind  # noqa: B018


def test_a_model_without_its_head_is_refused(tmp_path: Path, build: Build, word_pieces: Any) -> None:
    build("bert").bert.save_pretrained(tmp_path)
    word_pieces.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"comes without cls\.predictions.* so that it predicts no tokens"):
        lens.models.load(tmp_path, device="cpu").hf  # noqa: B018


def test_broken_weights_are_refused_in_words(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="could not be read"):
        lens.models.load(folder, device="cpu").hf  # noqa: B018


def test_a_model_in_memory(build: Build, byte_level: Any) -> None:
    hf = build("gpt2").train()
    model = lens.models.load(hf)
    assert model.loaded
    assert model.hf is hf
    assert not hf.training
    assert (model.name, model.folder, model.revision) == ("GPT2LMHeadModel", None, None)


def test_a_model_in_memory_takes_no_options(build: Build) -> None:
    with pytest.raises(ModelError, match="takes no revision, device or dtype"):
        lens.models.load(build("gpt2"), dtype="float32")


def test_modules_that_predict_nothing_are_refused(build: Build) -> None:
    with pytest.raises(ModelError, match="GPT2Model predicts no tokens"):
        lens.models.load(build("gpt2").transformer)
    with pytest.raises(ModelError, match="A PreTrainedModel of transformers is needed, not Linear"):
        lens.models.load(torch.nn.Linear(2, 2))


CONTEXTS = {"gpt2": 64, "bloom": None, "roberta": 62, "bert": 64, "opt": 64, "distilbert": 64}


@pytest.mark.parametrize("case", CONTEXTS)
def test_contexts(case: str, tiny: Callable[..., Model]) -> None:
    assert tiny(case).context == CONTEXTS[case]


def test_roberta_reads_as_many_tokens_as_it_says(tiny: Callable[..., Model]) -> None:
    from lens.models import Tokens

    model = tiny("roberta")
    full = Tokens("", tuple([5] * 62), (), (), (), (), 62)
    assert model.record(full).logits.shape[1] == 62
    with pytest.raises(TextError, match="at most 62"):
        model.record(Tokens("", tuple([5] * 63), (), (), (), (), 63))
    with pytest.raises((IndexError, RuntimeError)):  # and it can't take more
        model.hf(torch.full((1, 63), 5))
