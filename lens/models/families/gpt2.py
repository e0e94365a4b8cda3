"""GPT-2 and the decoders that kept its names."""

from __future__ import annotations

from lens.models._family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    types=("gpt2", "gptj", "gpt_neo", "gpt_bigcode", "falcon", "codegen"),
    blocks="transformer.h",
    unembed=("transformer.ln_f", "lm_head"),
)
