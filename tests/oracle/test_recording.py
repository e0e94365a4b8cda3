"""A real pretrained model, read by plain hooks and its own modules alone, against what is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lens.models
from lens.models import Model

TEXT = "Once upon a time, there was a little girl named Lily. She loved to play in the park"


@pytest.fixture(scope="module")
def stories(shared_data: Path) -> Model:
    return lens.models.load(shared_data / "models" / "stories260K")


@pytest.fixture(scope="module")
def plain(shared_data: Path) -> dict[str, Any]:
    """By transformers and plain hooks: the ids, the output of each block, and the logits."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = shared_data / "models" / "stories260K"
    hf = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    inputs = AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt")
    outputs: list[Tensor] = []
    for block in hf.model.layers:
        block.register_forward_hook(lambda _module, _args, out: outputs.append(out))
    with torch.no_grad():
        logits = hf(**inputs).logits
    return {"hf": hf, "ids": inputs.input_ids, "outputs": outputs, "logits": logits}


def test_tokens_are_the_tokenizers(stories: Model, plain: dict[str, Any]) -> None:
    assert list(stories.encode(TEXT).ids) == plain["ids"][0].tolist()


def test_streams_are_the_embedding_and_the_outputs_of_the_blocks(stories: Model, plain: dict[str, Any]) -> None:
    streams = stories.record(stories.encode(TEXT)).streams
    embedded = plain["hf"].model.embed_tokens(plain["ids"])
    for mine, seen in zip(streams, [embedded, *plain["outputs"]], strict=True):
        torch.testing.assert_close(mine, seen, rtol=0, atol=0)


def test_unembedding_any_boundary_is_the_final_norm_and_the_head(stories: Model, plain: dict[str, Any]) -> None:
    streams = stories.record(stories.encode(TEXT)).streams
    for mine, seen in zip(streams[1:], plain["outputs"], strict=True):
        with torch.no_grad():
            expected = plain["hf"].lm_head(plain["hf"].model.norm(seen))
        torch.testing.assert_close(stories.unembed(mine), expected, rtol=0, atol=0)


def test_the_last_boundary_gives_the_models_own_output(stories: Model, plain: dict[str, Any]) -> None:
    recording = stories.record(stories.encode(TEXT))
    torch.testing.assert_close(recording.logits, plain["logits"], rtol=0, atol=0)
    torch.testing.assert_close(stories.unembed(recording.streams[-1]), plain["logits"], rtol=0, atol=0)


def test_it_tells_a_story(stories: Model) -> None:
    """The recording is of a model that knows English: a random one would pay log 512 = 6.2 nats a token."""
    recording = stories.record(stories.encode(TEXT))
    loss = torch.nn.functional.cross_entropy(recording.logits[0, :-1], recording.ids[0, 1:])
    assert loss.item() < 1.5
