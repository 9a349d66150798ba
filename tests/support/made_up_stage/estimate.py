"""Cost of `tally`."""

from tasks.tally.config import TallyConfig

from tasks.dataset.config import DatasetConfig
from tasks.shared.costs.machine import Machine, StageEstimate


def tally(machine: Machine, tally: TallyConfig, dataset: DatasetConfig) -> StageEstimate:
    """Cost of writing one number for each variant."""
    return machine.table(1e9 * tally.share * dataset.variants)
