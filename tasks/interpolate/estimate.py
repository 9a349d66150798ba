"""Cost of `interpolate`: two models are read, one is written."""

from tasks.interpolate.config import InterpolateConfig
from tasks.shared.costs.machine import HASHED_PER_S, Machine, StageEstimate


def interpolate(machine: Machine, interpolate: InterpolateConfig) -> StageEstimate:
    """Cost of the bytes that are moved."""
    size = float(machine.facts.stored_bytes)
    return machine.made(3 * size / HASHED_PER_S, disk_bytes=size)
