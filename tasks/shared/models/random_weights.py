"""A model of any size with random weights, for runs that measure speed and memory and need no skill."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from tasks.shared.models.facts import ModelFacts

SPREAD = 0.02
"""Standard deviation of the weights; that with which `transformers` begins a Llama."""


def write_random_llama(folder: Path, like: Path, shape: Mapping[str, Any]) -> ModelFacts:
    """Write a Llama with tied embeddings in float32 to `folder` and return its shape.

    Args:
        like: folder of a Llama whose tokenizer and configuration it has.
        shape: fields of that configuration that differ.
    """
    shutil.copytree(like, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.md"))
    config = {**json.loads((like / "config.json").read_text()), **shape, "dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    facts = ModelFacts.model_validate(config)
    random = np.random.default_rng(0)
    tensors = {name: _drawn(random, size) for name, size in _sizes(facts)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return facts


def _drawn(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Ones for a norm, normal numbers for a matrix."""
    if len(size) == 1:
        return np.ones(size, np.float32)
    return random.standard_normal(size, np.float32) * np.float32(SPREAD)


def _sizes(facts: ModelFacts) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and sizes of a Llama's tensors; a matrix is stored by rows of outputs."""
    yield "model.embed_tokens.weight", (facts.vocab_size, facts.hidden_size)
    for number in range(facts.num_hidden_layers):
        layer = f"model.layers.{number}"
        for name, (inputs, outputs) in facts.linear_layers.items():
            block = "self_attn" if name in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
            yield f"{layer}.{block}.{name}.weight", (outputs, inputs)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}.{norm}.weight", (facts.hidden_size,)
    yield "model.norm.weight", (facts.hidden_size,)
