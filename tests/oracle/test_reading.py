"""Readings against plain hooks on the real model, with numpy and torch only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

import lens

TEXTS = {
    "demo": "The old man sat by the fire and looked at the",
    "demo-bert": "The old man sat by the [MASK] and slept.",
}


def folder(name: str) -> Path:
    return Path(lens.__file__).parent / "models" / "embedded" / name


def blocks(hf: Any) -> Any:
    return hf.transformer.h if hasattr(hf, "transformer") else hf.bert.encoder.layer


def head(hf: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    return (lambda x: hf.lm_head(hf.transformer.ln_f(x))) if hasattr(hf, "transformer") else hf.cls


@pytest.fixture(scope="module", params=["demo", "demo-bert"])
def plain(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The model by transformers alone: inputs, the stream at each boundary by plain hooks, logits, maps by numpy."""
    name = request.param
    kind = AutoModelForCausalLM if name == "demo" else AutoModelForMaskedLM
    hf = kind.from_pretrained(folder(name), dtype=torch.float32).eval()
    inputs = AutoTokenizer.from_pretrained(folder(name))(TEXTS[name], return_tensors="pt")
    streams: list[torch.Tensor] = []
    hooks = [b.register_forward_pre_hook(lambda _, args: streams.append(args[0])) for b in blocks(hf)]
    last = blocks(hf)[-1].register_forward_hook(
        lambda _, __, out: streams.append(out if torch.is_tensor(out) else out[0])
    )
    with torch.no_grad():
        logits = hf(**inputs).logits[0]
    for hook in [*hooks, last]:
        hook.remove()
    maps = load_file(folder(name) / "maps" / "maps.safetensors")
    return {"name": name, "hf": hf, "inputs": inputs, "streams": streams, "logits": logits, "maps": maps}


def expected(plain: dict[str, Any], cast: str, source: int, target: int) -> np.ndarray:
    """Log-probabilities (positions, vocabulary) by replacing the stream at `target` inside the real forward."""
    hf = plain["hf"]
    stream = plain["streams"][source]
    if cast == "mat" and source < target:
        matrix = plain["maps"][f"mat.{source}.{target}.matrix"].astype(np.float32)
        stream = torch.from_numpy(stream.numpy() @ matrix.T)
    with torch.no_grad():
        if target == len(blocks(hf)):
            logits = head(hf)(stream)[0]
        else:
            replace = blocks(hf)[target].register_forward_pre_hook(lambda _, args: (stream, *args[1:]))
            logits = hf(**plain["inputs"]).logits[0]
            replace.remove()
    return torch.log_softmax(logits.double(), -1).numpy()


@pytest.mark.parametrize("target", [None, 5, 0])
def test_every_number_of_a_reading(plain: dict[str, Any], target: int | None) -> None:
    reading = lens.read(lens.load(plain["name"]), TEXTS[plain["name"]], target=target, k=5)
    last = len(blocks(plain["hf"])) if target is None else target
    assert reading.sources == tuple(range(last + 1))
    own = torch.log_softmax(plain["logits"].double(), -1).numpy()
    for c, cast in enumerate(reading.casts):
        for source in reading.sources:
            log_p = expected(plain, cast, source, last)
            at = c, source
            ids = np.argsort(-log_p, axis=1, kind="stable")[:, :5]
            np.testing.assert_allclose(
                np.take_along_axis(log_p, reading.token_ids[at], 1), np.take_along_axis(log_p, ids, 1), atol=1e-5
            )
            np.testing.assert_allclose(
                np.log(reading.probabilities[at]), np.take_along_axis(log_p, reading.token_ids[at], 1), atol=2e-4
            )
            np.testing.assert_allclose(reading.entropy[at], -(np.exp(log_p) * log_p).sum(1), atol=1e-4)
            np.testing.assert_allclose(reading.kl[at], (np.exp(own) * (own - log_p)).sum(1), atol=1e-4)
            top = reading.token_ids[at][:, 0]
            np.testing.assert_allclose(reading.surprisal[at], -own[np.arange(len(own)), top], atol=1e-4)
            ahead = log_p > np.take_along_axis(log_p, own.argmax(1)[:, None], 1) + 1e-6
            assert np.abs(reading.rank[at] - ahead.sum(1)).max() <= 1


def test_the_last_boundary_is_the_models_own_output(plain: dict[str, Any]) -> None:
    reading = lens.read(lens.load(plain["name"]), TEXTS[plain["name"]])
    own = torch.softmax(plain["logits"], -1)
    for c in range(2):
        assert (reading.kl[c, -1] == 0).all()
        assert (reading.rank[c, -1] == 0).all()
        np.testing.assert_array_equal(reading.token_ids[c, -1], reading.model_token_ids)
    np.testing.assert_array_equal(reading.model_token_ids[:, 0], own.argmax(-1).numpy())
    np.testing.assert_allclose(reading.model_probabilities[:, 0], own.max(-1).values.numpy(), atol=1e-6)


def test_one_position_is_a_row_of_all(plain: dict[str, Any]) -> None:
    model, text = lens.load(plain["name"]), TEXTS[plain["name"]]
    whole, one = lens.read(model, text, target=4), lens.read(model, text, target=4, position=-2)
    assert one.positions == (len(whole.tokens) - 2,)
    np.testing.assert_array_equal(one.token_ids[:, :, 0], whole.token_ids[:, :, -2])
    np.testing.assert_allclose(one.kl[:, :, 0], whole.kl[:, :, -2], atol=1e-6)


def test_a_model_that_another_thread_loads_changes_no_number() -> None:
    """While transformers makes a model of half precision, that is what torch makes in every thread."""
    model, text = lens.load("demo"), TEXTS["demo"]
    before = lens.read(model, text)
    torch.set_default_dtype(torch.float16)
    try:
        meanwhile = lens.read(model, text)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(meanwhile.probabilities, before.probabilities)
    np.testing.assert_array_equal(meanwhile.kl, before.kl)


@pytest.mark.parametrize("name", ["demo", "demo-bert"])
def test_frames_are_tidy(name: str) -> None:
    reading = lens.read(lens.load(name), TEXTS[name], k=3)
    frame, scores = reading.frame(), reading.scores()
    assert list(frame) == ["cast", "source", "target", "position", "rank", "token_id", "token", "probability"]
    assert list(scores) == ["cast", "source", "target", "position", "entropy", "kl", "surprisal", "rank"]
    assert len(frame) == reading.token_ids.size
    assert len(scores) == reading.kl.size
    row = frame.query("cast == 'mat' and source == 2 and position == 3 and rank == 1").iloc[0]
    assert row.token_id == reading.token_ids[1, 2, 3, 1]
    assert row.probability == reading.probabilities[1, 2, 3, 1]
    assert row.token == lens.load(name).label(int(row.token_id))
    assert scores.query("cast == 'id' and source == 2 and position == 3").kl.item() == reading.kl[0, 2, 3]


def test_a_real_llama_read_as_it_is(shared_data: Path) -> None:
    path = shared_data / "models" / "stories260K"
    hf = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    text = "Once upon a time there was a little"
    inputs = AutoTokenizer.from_pretrained(path)(text, return_tensors="pt")
    outputs: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: outputs.append(out if torch.is_tensor(out) else out[0]))
        for layer in hf.model.layers
    ]
    with torch.no_grad():
        logits = hf(**inputs).logits[0]
        lenses = [hf.lm_head(hf.model.norm(stream))[0] for stream in outputs]
    for hook in hooks:
        hook.remove()
    reading = lens.read(lens.load(path), text, casts=["id"], k=8)
    for boundary, lensed in enumerate(lenses, start=1):
        log_p = torch.log_softmax(lensed.double(), -1)
        np.testing.assert_array_equal(reading.token_ids[0, boundary], log_p.topk(8).indices.numpy())
        np.testing.assert_allclose(reading.probabilities[0, boundary], log_p.topk(8).values.exp().numpy(), atol=1e-6)
    np.testing.assert_array_equal(reading.model_token_ids[:, 0], logits.argmax(-1).numpy())
    assert (reading.kl[0, -1] == 0).all()
