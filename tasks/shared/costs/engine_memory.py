"""Memory of a vLLM engine, and what is left of its share for keys and values."""

from tasks.shared.costs.devices import GIB, Device
from tasks.shared.models.facts import ModelFacts

GRAPHS = 1.5 * GIB
"""Graphs and buffers of a vLLM engine, asleep or awake (ours)."""
VLLM_SEQUENCES = 256
"""Sequences that vLLM runs at once."""
VLLM_BATCH_TOKENS = 8192
"""Tokens that vLLM reads in one step; TRL sets 4,096 for rollouts."""


def cache_tokens(facts: ModelFacts, device: Device, share: float, batch_tokens: int = VLLM_BATCH_TOKENS) -> float:
    """Tokens whose keys and values a vLLM engine can hold when it takes `share` of the device; 0 at the least."""
    pool = share * device.memory_bytes - sum(engine_parts(facts, batch_tokens).values())
    return max(0.0, pool / facts.cache_bytes)


def engine_parts(facts: ModelFacts, batch_tokens: int, gpus: int = 1) -> dict[str, float]:
    """Bytes of a vLLM engine on each of the GPUs that it spans, without its cache."""
    return {
        "weights": facts.stored_bytes / gpus,
        "activations": batch_tokens * (8 * facts.hidden_size + 4 * facts.intermediate_size) * 2.0,
        "logits": 3.0 * VLLM_SEQUENCES * facts.vocab_size * 4,
        "graphs": GRAPHS,
    }
