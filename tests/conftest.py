"""Small seeded models from configs, and tokenizers trained on the spot: no downloads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

settings.register_profile("lens", deadline=None)  # a busy machine is no fault of the text
settings.load_profile("lens")

WIDTH, BLOCKS, HEADS, VOCABULARY, CONTEXT = 32, 4, 4, 96, 64
COMMON = {
    "hidden_size": WIDTH,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "vocab_size": VOCABULARY,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
BOUNDED = {**COMMON, "intermediate_size": 48, "max_position_embeddings": CONTEXT}
GROUPED = {**BOUNDED, "num_key_value_heads": 2, "head_dim": 8}
WINDOW = 4  # shorter than the texts of the tests
ALTERNATING = ["sliding_attention", "full_attention"] * (BLOCKS // 2)

# name of the case: (model type, options of its config, predicts masked tokens)
TINY: dict[str, tuple[str, dict[str, Any], bool]] = {
    "gpt2": ("gpt2", {**COMMON, "n_positions": CONTEXT}, False),
    "gpt_bigcode": ("gpt_bigcode", {**COMMON, "n_positions": CONTEXT, "multi_query": True}, False),
    "gptj": ("gptj", {**COMMON, "n_positions": CONTEXT, "rotary_dim": 4}, False),
    "codegen": ("codegen", {**COMMON, "n_positions": CONTEXT, "rotary_dim": 4}, False),
    "gpt_neo": (
        "gpt_neo",
        {
            **COMMON,
            "num_heads": HEADS,
            "attention_types": [[["global", "local"], BLOCKS // 2]],
            "window_size": WINDOW,
            "max_position_embeddings": CONTEXT,
        },
        False,
    ),
    "gpt_neox": ("gpt_neox", BOUNDED, False),
    "gpt_neox-serial": ("gpt_neox", {**BOUNDED, "use_parallel_residual": False}, False),
    "llama": ("llama", GROUPED, False),
    "mistral": ("mistral", {**GROUPED, "sliding_window": WINDOW}, False),
    "qwen2": (
        "qwen2",
        {**BOUNDED, "num_key_value_heads": 2, "layer_types": ALTERNATING, "sliding_window": WINDOW}
        | {"use_sliding_window": True},
        False,
    ),
    "qwen3": (
        "qwen3",
        {**GROUPED, "layer_types": ALTERNATING, "sliding_window": WINDOW, "use_sliding_window": True},
        False,
    ),
    "gemma": ("gemma", GROUPED, False),
    "gemma2": ("gemma2", {**GROUPED, "sliding_window": WINDOW, "final_logit_softcapping": 3.0}, False),
    "gemma3_text": ("gemma3_text", {**GROUPED, "sliding_window": WINDOW, "layer_types": ALTERNATING}, False),
    "gemma3": (
        "gemma3",
        {
            "text_config": {**GROUPED, "sliding_window": WINDOW, "layer_types": ALTERNATING},
            "vision_config": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28}
            | {"intermediate_size": 16},
        },
        False,
    ),
    "cohere": ("cohere", {**BOUNDED, "num_key_value_heads": 2}, False),
    "cohere2": ("cohere2", {**GROUPED, "sliding_window": WINDOW}, False),
    "granite": ("granite", {**GROUPED, "logits_scaling": 3.0, "residual_multiplier": 0.5}, False),
    "granitemoe": ("granitemoe", {**BOUNDED, "num_local_experts": 2, "logits_scaling": 3.0}, False),
    "olmo": ("olmo", BOUNDED, False),
    "olmo2": ("olmo2", BOUNDED, False),
    "opt": ("opt", {**COMMON, "ffn_dim": 48, "max_position_embeddings": CONTEXT, "word_embed_proj_dim": WIDTH}, False),
    "opt-projected": (
        "opt",
        {**COMMON, "ffn_dim": 48, "max_position_embeddings": CONTEXT, "word_embed_proj_dim": 16}
        | {"do_layer_norm_before": False},
        False,
    ),
    "bloom": ("bloom", COMMON, False),
    "phi": ("phi", BOUNDED, False),
    "persimmon": ("persimmon", BOUNDED, False),
    "falcon": ("falcon", {**COMMON, "max_position_embeddings": CONTEXT}, False),
    "falcon-alibi": ("falcon", {**COMMON, "alibi": True, "parallel_attn": False, "multi_query": False}, False),
    "falcon-new": ("falcon", {**COMMON, "new_decoder_architecture": True, "num_kv_heads": 2}, False),
    "bert": ("bert", BOUNDED, True),
    "roberta": ("roberta", {**BOUNDED, "pad_token_id": 1, "bos_token_id": 0}, True),
    "xlm-roberta": ("xlm-roberta", {**BOUNDED, "pad_token_id": 1, "bos_token_id": 0}, True),
    "camembert": ("camembert", {**BOUNDED, "pad_token_id": 1, "bos_token_id": 0}, True),
    "distilbert": ("distilbert", {**COMMON, "hidden_dim": 48, "max_position_embeddings": CONTEXT}, True),
    "electra": ("electra", {**BOUNDED, "embedding_size": 16}, True),
    "modernbert": (
        "modernbert",
        {**BOUNDED, "local_attention": 2 * WINDOW, "global_attn_every_n_layers": 2, "cls_token_id": 1}
        | {"sep_token_id": 2},
        True,
    ),
    "albert": ("albert", {**BOUNDED, "embedding_size": 16}, True),
    "albert-grouped": ("albert", {**BOUNDED, "embedding_size": 16, "num_hidden_groups": 2, "inner_group_num": 2}, True),
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny products gain nothing from threads, and wait for each other on a busy machine."""
    torch.set_num_threads(1)


EAGER_ONLY = {"gptj", "codegen", "gpt_neo", "gemma2", "bloom"}  # transformers has no sdpa for these


def _shaken(model: Any) -> Any:
    """Weights large enough that every part matters, norms and biases too."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
            else:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


def scaled_by_number() -> Any:
    """GPT-2 as Mistral trained it: a block divides attention by its number, which no weight holds."""
    from transformers import AutoConfig, AutoModelForCausalLM

    size = {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64, "vocab_size": 96}
    torch.manual_seed(0)
    config = AutoConfig.for_model("gpt2", **size, scale_attn_by_inverse_layer_idx=True)
    hf = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in hf.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return hf


def _built(case: str, attention: str | None = None) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    model_type, options, masked = TINY[case]
    config = AutoConfig.for_model(model_type, **options)
    torch.manual_seed(0)
    auto = AutoModelForMaskedLM if masked else AutoModelForCausalLM
    return _shaken(auto.from_config(config, attn_implementation=attention, dtype=torch.float32)).eval()


@pytest.fixture(
    params=[(case, how) for case in TINY for how in ("eager", "sdpa") if how == "eager" or case not in EAGER_ONLY]
)
def case_and_attention(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each tiny model in turn, with each way of attending that it has."""
    pair: tuple[str, str] = request.param
    return pair


@pytest.fixture(scope="session")
def tiny_types() -> dict[str, str]:
    """The model type of each tiny case."""
    return {case: model_type for case, (model_type, _, _) in TINY.items()}


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    """`build(case, attention=None)`: a new tiny Hugging Face model, the same each time."""
    return _built


@pytest.fixture(scope="session")
def shared_build() -> Callable[..., Any]:
    """As `build`, but made once; leave it as it is."""
    return cache(_built)


@pytest.fixture(scope="session")
def tiny(shared_build: Callable[..., Any]) -> Callable[..., Any]:
    """`tiny(case, attention=None)`: a tiny `lens.models.Model` without a tokenizer, made once."""
    from lens.models import load

    return cache(lambda case, attention=None: load(shared_build(case, attention)))


@pytest.fixture(params=list(TINY))
def case(request: pytest.FixtureRequest) -> str:
    """The name of each tiny model in turn."""
    name: str = request.param
    return name


TEXTS = [
    "The old man sat by the fire and looked at the sea; it was cold, and nobody else was awake.",
    "She said: “Don't wait for me.” He didn't answer\n\n\tfor a long while — 1,234 seconds at least.",
    "naïve café, 東京, Ελλάδα, 👩‍🚀 and a few more signs: ⟨␣⟩ ½ €",
]


@pytest.fixture(scope="session")
def byte_level() -> Any:
    """A GPT-2-like tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=sorted(alphabet), special_tokens=["<|endoftext|>"], show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")


@pytest.fixture(scope="session")
def word_pieces() -> Any:
    """A BERT-like tokenizer."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    named = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    named["mask_token"] = "[MASK]"
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=list(named.values()), show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


@pytest.fixture(scope="session")
def sentence_pieces() -> Any:
    """A Llama-like tokenizer, with bytes for what it has no pieces for."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", "<mask>"]
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS[:2], trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    pieces = {**learned["vocab"], **{f"<0x{byte:02X}>": len(learned["vocab"]) + byte for byte in range(256)}}
    merges = [tuple(pair) for pair in learned["merges"]]
    tokenizer.model = models.BPE(vocab=pieces, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", mask_token="<mask>"
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real models and tokenizers kept beside the repository, or wherever LENS_TEST_DATA says."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LENS_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip("there is no folder of real models and tokenizers (set LENS_TEST_DATA)")
    return folder


@cache
def _reasons() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("skips.txt").read_text(encoding="utf-8").splitlines())


def _held_to_reasons(report: Any) -> Any:
    """A skip for a reason that is not in skips.txt is a failure."""
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in _reasons():
            report.outcome, report.longrepr = "failed", f"skipped for a reason that is not in tests/skips.txt: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Of one test."""
    return _held_to_reasons((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Of a whole file."""
    return _held_to_reasons((yield))
