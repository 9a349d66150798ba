"""Sizes and operations of a training, of all weights or of low-rank adapters on frozen ones."""

from tasks.shared.models.facts import BYTES, ModelFacts
from tasks.shared.training.config import ALL_LINEAR, LoRA, Optimization


def adapter_layers(facts: ModelFacts, lora: LoRA) -> list[tuple[int, int]]:
    """Inputs and outputs of the layers with adapters in one decoder layer.

    Raises:
        ValueError: a target is no linear layer of such a model.
    """
    layers = facts.linear_layers
    targets = layers if lora.targets == ALL_LINEAR else lora.targets
    if unknown := sorted(set(targets) - layers.keys()):
        raise ValueError(
            f"lora.targets: a {facts.model_type} model has no linear layer {', '.join(map(repr, unknown))}; there are: "
            f"{', '.join(layers)}"
        )
    return [layers[name] for name in targets]


def adapter_weights(facts: ModelFacts, lora: LoRA) -> int:
    """Number of weights of all adapters."""
    return facts.num_hidden_layers * lora.rank * sum(map(sum, adapter_layers(facts, lora)))


def trained_weights(facts: ModelFacts, config: Optimization) -> int:
    """Number of weights with gradients and moments."""
    return facts.parameters if config.lora is None else adapter_weights(facts, config.lora)


def state_bytes(facts: ModelFacts, config: Optimization) -> dict[str, float]:
    """Bytes of weights, gradients, moments, and of bfloat16 copies under autocast.

    What trains is float32, a frozen model as it is stored where passes are bfloat16; a frozen weight needs no copy that
    outlives its use.
    """
    trained = trained_weights(facts, config)
    frozen = 0 if config.lora is None else facts.parameters
    width = BYTES[facts.dtype] if config.holds_as_stored else 4
    return {
        **({"frozen weights": float(width * frozen)} if frozen else {}),
        "weights": 4.0 * trained,
        "gradients": 4.0 * trained,
        "AdamW": 8.0 * trained,
        "bfloat16 copies": 2.0 * trained if config.dtype == "bfloat16" else 0.0,
    }


def training_operations(facts: ModelFacts, config: Optimization, tokens: float) -> float:
    """Operations to train on `tokens`: 6 a weight and token, of which a frozen weight spares the 2 of its gradient."""
    if config.lora is None:
        return 6 * facts.active * tokens
    return (4 * facts.active + 6 * adapter_weights(facts, config.lora)) * tokens
