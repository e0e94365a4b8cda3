"""The fingerprint tells weights apart, and not the precision they were loaded in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import lens.models
from lens.models._fingerprint import fingerprint

Build = Callable[..., Any]


def test_it_is_a_sha256_and_the_same_each_time(build: Build) -> None:
    first = fingerprint(build("gpt2"))
    assert len(bytes.fromhex(first)) == 32
    assert fingerprint(build("gpt2")) == first
    assert lens.models.load(build("gpt2")).fingerprint == first


def test_precision_does_not_matter(build: Build) -> None:
    half = build("llama").to(torch.bfloat16)
    assert fingerprint(build("llama")) == fingerprint(half) == fingerprint(half.float())


def test_any_changed_weight_matters(build: Build) -> None:
    first = fingerprint(build("gpt2"))
    for name in dict(build("gpt2").named_parameters()):
        hf = build("gpt2")
        with torch.no_grad():
            hf.get_parameter(name).view(-1)[-2].mul_(1.02)
        assert fingerprint(hf) != first, name


def test_order_matters(build: Build) -> None:
    hf = build("gpt2")
    with torch.no_grad():
        bias = hf.transformer.h[0].mlp.c_fc.bias
        bias.copy_(bias.flip(0))
    assert fingerprint(hf) != fingerprint(build("gpt2"))


def test_names_and_shapes_matter(build: Build) -> None:
    marks = {fingerprint(build(case)) for case in ("falcon", "falcon-new", "llama", "mistral", "olmo")}
    assert len(marks) == 4  # llama and mistral differ in a window alone, which is no weight
