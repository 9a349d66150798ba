"""What a stage uses of its machine (CPU, memory, disk, network, GPUs) as curves of its MLflow run.

MLflow's own monitor, a sample every ten seconds: a shorter stage has none. `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false`
turns it off.
"""

import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

SWITCH = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"


@dataclass
class SystemMetrics:
    """The monitors of the stages that are being built."""

    address: str
    """Where MLflow's data are."""
    _monitors: dict[str, "SystemMetricsMonitor"] = field(default_factory=dict)

    def start(self, run_id: str) -> None:
        """Follow the machine for a run."""
        if os.environ.get(SWITCH, "true").lower() == "false":
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        # That it begins and ends is said by the stage.
        logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
        self._monitors[run_id] = SystemMetricsMonitor(run_id, tracking_uri=self.address)
        self._monitors[run_id].start()

    def finish(self, run_id: str) -> None:
        """No longer."""
        if monitor := self._monitors.pop(run_id, None):
            monitor.finish()
