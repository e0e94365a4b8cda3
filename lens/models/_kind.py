"""Whether a model predicts the next token or a masked one, told by its config before anything is loaded."""

from __future__ import annotations

from typing import Any

from lens.errors import ModelError
from lens.models._family import Kind, families

__all__ = ["kind_of"]

NO_TOKENS = ("Classification", "QuestionAnswering", "MultipleChoice", "Regression", "Detection")
CAUSAL = ("CausalLM", "LMHead", "ConditionalGeneration")


def kind_of(config: Any, class_name: str = "") -> Kind:
    """`causal` or `masked`; raises ModelError for a model that is neither or that has two stacks of blocks.

    `class_name` is that of a model in memory; otherwise the config's `architectures` tell.
    """
    named = class_name or " ".join(map(str, config.architectures or ()))
    if config.is_encoder_decoder:
        raise ModelError(
            f"{named or config.model_type} is an encoder-decoder: two stacks of blocks, where the second also looks at "
            "the first. Models with one stack can be read: causal and masked language models."
        )
    if any(word in named for word in NO_TOKENS) or (class_name and not _predicts(named)):
        raise ModelError(
            f"{named} predicts no tokens, so its layers have nothing to say in words. Choose the causal or masked "
            "language model that it was made from."
        )
    return _kind(named, config)


def _kind(named: str, config: Any) -> Kind:
    family = families()[0].get(config.model_type)
    causal = any(word in named for word in CAUSAL)
    if family is None:
        return "masked" if "MaskedLM" in named and not causal else "causal"
    if family.kind == "masked" and (causal or getattr(config, "is_decoder", False)):
        raise ModelError(
            f"{named or config.model_type} is a masked model rebuilt as a decoder, which is not read here. "
            "Choose the masked language model, or another causal one."
        )
    return family.kind


def _predicts(named: str) -> bool:
    return any(word in named for word in (*CAUSAL, "MaskedLM"))
