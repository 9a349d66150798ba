"""The shape of a model, from its config.json or from `known.yaml`, and what follows from it: weights, bytes."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.shared.models.config import ModelConfig
from tasks.shared.models.resolve import SHIPPED

KNOWN = Path(__file__).parent / "known.yaml"
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


class FactsUnknown(ValueError):
    """A model's shape is neither on this machine nor in `known.yaml`, or is one that the formulas do not cover."""


class ModelFacts(BaseModel):
    """Shape of a dense decoder-only model; names are those of its config.json, whose other keys are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_type: Literal["llama", "mistral", "qwen2", "qwen3"]
    hidden_size: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    num_hidden_layers: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    num_key_value_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    vocab_size: int = Field(ge=1)
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    max_position_embeddings: int = Field(ge=1)
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill in fields that older configs leave out or name otherwise."""
        filled = {key: value for key, value in values.items() if value is not None}
        filled.setdefault("dtype", filled.get("torch_dtype", "bfloat16"))
        heads = filled.get("num_attention_heads", 1)
        filled.setdefault("num_key_value_heads", heads)
        filled.setdefault("head_dim", filled.get("hidden_size", 0) // heads)
        return filled

    @property
    def embedding(self) -> int:
        """Number of weights of the embedding, or of the output layer."""
        return self.vocab_size * self.hidden_size

    @property
    def parameters(self) -> int:
        """Number of all weights."""
        queries, keys = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        layer = sum(inputs * outputs for inputs, outputs in self.linear_layers.values()) + 2 * self.hidden_size
        if self.attention_bias or self.model_type == "qwen2":
            layer += queries + 2 * keys
        if self.attention_bias:
            layer += self.hidden_size
        if self.model_type == "qwen3":
            layer += 2 * self.head_dim
        embeddings = self.embedding * (1 if self.tie_word_embeddings else 2)
        return embeddings + self.num_hidden_layers * layer + self.hidden_size

    @property
    def linear_layers(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each linear layer of a decoder layer, by its name."""
        hidden, inner = self.hidden_size, self.intermediate_size
        queries, keys = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        return {
            "q_proj": (hidden, queries),
            "k_proj": (hidden, keys),
            "v_proj": (hidden, keys),
            "o_proj": (queries, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        }

    @property
    def active(self) -> int:
        """Number of weights that a token is multiplied with: all but an embedding that is looked up alone."""
        return self.parameters - (0 if self.tie_word_embeddings else self.embedding)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the weights on disk, and in an engine that follows the model's precision."""
        return self.parameters * BYTES[self.dtype]

    @property
    def cache_bytes(self) -> int:
        """Bytes of one token's keys and values over all layers, in the model's precision."""
        return 2 * self.num_hidden_layers * self.num_key_value_heads * self.head_dim * BYTES[self.dtype]


@cache
def known() -> dict[str, dict[str, Any]]:
    """Shapes in `known.yaml` by model id."""
    return yaml.safe_load(KNOWN.read_text())


def model_facts(config: ModelConfig) -> ModelFacts:
    """The shape of a model; nothing is downloaded.

    Raises:
        FactsUnknown: it is not to be had, or is not a dense model of a known kind.
    """
    config_file = _local_config(config)
    values = json.loads(config_file.read_text()) if config_file else known().get(config.source)
    if values is None:
        raise FactsUnknown(
            f"model.source={config.source!r}: its shape is not known before it is downloaded; give a local folder, or "
            f"one of {', '.join(sorted(known()))}"
        )
    try:
        return ModelFacts.model_validate(values)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, item["loc"])) for item in error.errors())
        raise FactsUnknown(
            f"model.source={config.source!r}: no estimate for such a model (fields: {fields})"
        ) from error


def _local_config(config: ModelConfig) -> Path | None:
    """The model's config.json where it is on this machine, in a folder or in the hub's cache."""
    folder = SHIPPED.get(config.source) or Path(config.source).expanduser()
    if (folder / "config.json").is_file():
        return folder / "config.json"
    if config.source.count("/") != 1 or "://" in config.source or config.source.startswith("model/"):
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(config.source, "config.json", revision=config.revision or None)
    return Path(cached) if isinstance(cached, str) else None
