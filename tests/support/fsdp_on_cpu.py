"""A mid-training worker whose processes shard their model with FSDP2 on a CPU.

PyTorch's `fully_shard` runs there over gloo; accelerate takes it up for accelerators only and would leave whole copies.
This program tells accelerate to, and is the project's own in everything else.
"""

from typing import Any

from accelerate import DistributedType
from accelerate.state import AcceleratorState

from tasks.shared.training import distributed
from tasks.spine.stage.imports import offline
from tests.support.jobs_in_turn import main

_start = AcceleratorState.__init__


def start(self: AcceleratorState, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
    """As accelerate does for GPUs."""
    _start(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
    if fsdp_plugin is not None:
        self.distributed_type = DistributedType.FSDP
        if self._mixed_precision != "no":
            fsdp_plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin = fsdp_plugin


if __name__ == "__main__":
    offline()
    AcceleratorState.__init__ = start
    distributed.check_sharding = lambda *_: None
    main()
