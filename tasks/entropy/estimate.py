"""Cost of `entropy`."""

from tasks.shared.costs.machine import Machine, StageEstimate
from tasks.texts.config import TextsConfig
from tasks.texts.estimate import all_tokens


def entropy(machine: Machine, texts: TextsConfig) -> StageEstimate:
    """Cost of one forward pass over all documents."""
    return machine.read(all_tokens(texts), "read")
