"""The product over the vocabulary, piece by piece, is the model's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

import lens

VOCABULARY = 5000  # more than two pieces


@pytest.fixture(scope="module")
def model() -> lens.Model:
    torch.manual_seed(0)
    return lens.load(GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=VOCABULARY)))


@pytest.mark.parametrize("rows", [1, 7, 8, 40])
def test_it_gives_the_logits_of_the_models_own_head(model: lens.Model, rows: int) -> None:
    stream = torch.randn(2, rows, 32)
    own = model.hf.lm_head(model.hf.transformer.ln_f(stream))
    torch.testing.assert_close(model.unembed(stream), own, rtol=0, atol=1e-6)


def test_without_onednn_it_gives_the_same(model: lens.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    stream = torch.randn(2, 20, 32)
    own = model.hf.lm_head(model.hf.transformer.ln_f(stream))
    torch.testing.assert_close(model.unembed(stream), own, rtol=0, atol=1e-6)


def test_a_bias_is_added(model: lens.Model) -> None:
    head, stream = nn.Linear(32, VOCABULARY), torch.randn(20, 32)
    own, model.anatomy.head[-1].bias = head(stream), head.bias
    try:
        bare = model.unembed(stream)
    finally:
        model.anatomy.head[-1].bias = None
    torch.testing.assert_close(bare - model.unembed(stream), (own - stream @ head.weight.T).detach())


def test_a_head_with_a_hook_is_called_as_it_is(model: lens.Model) -> None:
    def doubled(_module: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return 2 * output

    stream = torch.randn(20, 32)
    plain = model.unembed(stream)
    hook = model.hf.lm_head.register_forward_hook(doubled)
    try:
        assert torch.equal(model.unembed(stream), 2 * plain)
    finally:
        hook.remove()
