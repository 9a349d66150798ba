"""Joint work of the processes of one training; with one process nothing here changes anything.

Sharded models (FSDP, DeepSpeed) gather weights in every forward and backward pass, so all processes must run equally
many of them, in the same order.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import DistributedType, PartialState
from accelerate.utils import FullyShardedDataParallelPlugin, broadcast_object_list
from torch.distributed.fsdp import MixedPrecisionPolicy
from transformers import Trainer

from tasks.errors import Permanent
from tasks.shared.training.config import TrainJob
from tasks.spine.stage.worker import is_main_process

T = TypeVar("T")
_PATIENCE = timedelta(hours=2)
"""How long processes wait for one another: the first reads and checks prompts alone, engines start beside it."""


def world_size() -> int:
    """Number of processes of this training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def sharding() -> str:
    """Sharding of the model over the processes: `fsdp1`, `fsdp2`, `deepspeed`, or nothing where each holds all."""
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true":
        return "deepspeed"
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        return f"fsdp{os.environ.get('FSDP_VERSION', '1')}"
    return ""


def join(job: TrainJob) -> None:
    """Meet the other processes; to be called before anything else that trains.

    Raises:
        Permanent: fewer GPUs than processes, more than one for a process that has no launcher, or sharding where
            accelerate does none.
    """
    on_cpu = job.device == "cpu" or not torch.cuda.is_available()
    check_sharding(on_cpu)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if not on_cpu and local > torch.cuda.device_count():
        raise Permanent(
            f"runtime.num_processes puts {local} processes on this machine, but torch sees "
            f"{torch.cuda.device_count()} CUDA devices; set it to that, or runtime.device=cpu"
        )
    if not on_cpu and "LOCAL_RANK" not in os.environ and torch.cuda.device_count() > 1:
        raise Permanent(
            f"a training in one process sees {torch.cuda.device_count()} CUDA devices, over which transformers would "
            "spread it by nn.DataParallel, which no trainer here takes; set CUDA_VISIBLE_DEVICES to one of them, or "
            "runtime.num_processes to the number that it is to use"
        )
    if world_size() > 1:
        PartialState(cpu=on_cpu, timeout=_PATIENCE)


def check_sharding(on_cpu: bool) -> None:
    """Refuse to shard a model on a CPU, where accelerate 1.15 would quietly train whole copies of it.

    Raises:
        Permanent: the launcher was told to.
    """
    if on_cpu and sharding():
        raise Permanent(
            f"accelerate shards a model ({sharding()}) on accelerators only, and there is none; on a CPU set "
            "runtime.distribution=ddp"
        )


def agreed(make: Callable[[], T]) -> T:
    """The main process's result of `make`, in all of them: for results that could differ between processes."""
    if world_size() == 1:
        return make()
    return broadcast_object_list([make() if is_main_process() else None])[0]


def largest_of_all(counts: Sequence[int], device: torch.device) -> list[int]:
    """The largest value of each count over all processes, which must have equally many."""
    if world_size() == 1:
        return list(counts)
    most = torch.tensor(counts, device=device)
    torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
    return most.tolist()


def equally_many(passes: Sequence[T], blank: T, device: torch.device) -> list[tuple[T, bool]]:
    """The forward passes of this process, filled up with `blank` ones to as many as any other has.

    Returns:
        Each pass, and whether it counts.
    """
    [count] = largest_of_all([len(passes)], device)
    return [*((own, True) for own in passes), *[(blank, False)] * (count - len(passes))]


def checkpoint_folder(job: TrainJob) -> Path:
    """Folder for checkpoints that these processes can read.

    Whole copies can be read by any number of processes, shards only by the library that wrote them, and DeepSpeed's
    only by as many.
    """
    kind = sharding()
    if not kind:
        return job.checkpoints
    return job.checkpoints / (f"{kind}-{world_size()}" if kind == "deepspeed" else kind)


def whole_weights(trainer: Trainer) -> Iterable[tuple[str, torch.Tensor]] | None:
    """The weights by name, gathered from all processes, in the main one; None where the model is whole in each.

    Every process has to call it.
    """
    if not sharding():
        return None
    if sharding() != "fsdp2":
        return (trainer.accelerator.get_state_dict(trainer.model_wrapped) or {}).items()
    # One at a time, and tied weights once: accelerate leaves the second name of a tied weight sharded.
    weights = {}
    for name, weight in trainer.model.named_parameters():
        whole = weight.full_tensor()
        if is_main_process():
            weights[name] = whole.detach().cpu()
    return weights.items()


class JointTrainer(Trainer):
    """A trainer of several processes: exact sums of gradients, whole checkpoints, and restarts from them."""

    def _build_accelerator_args(self, **kwargs: Any) -> dict[str, Any]:
        arguments = super()._build_accelerator_args(**kwargs)
        if sharding() == "fsdp2" and self.args.bf16:
            # Accelerate's own policy would sum gradients in bfloat16, and round log-probabilities and losses to it.
            policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
            arguments["fsdp_plugin"] = FullyShardedDataParallelPlugin(mixed_precision_policy=policy)
        return arguments

    @contextlib.contextmanager
    def _part_of_step(self, model: Any, last: bool) -> Iterator[None]:
        """Context of one of several backward passes: gradients meet, and DeepSpeed steps, after the last only."""
        state = self.accelerator.gradient_state
        before = state.sync_gradients
        state._set_sync_gradients(last)
        # Sharded gradients are small as long as every pass reduces them.
        apart = self.accelerator.distributed_type in (DistributedType.MULTI_GPU, DistributedType.MULTI_CPU)
        with self.accelerator.no_sync(model) if apart and not last else contextlib.nullcontext():
            yield
        state._set_sync_gradients(before)

    def _backward(self, loss: torch.Tensor) -> None:
        """One backward pass, as the trainer makes it of a micro-batch."""
        deepspeed = self.accelerator.distributed_type == DistributedType.DEEPSPEED
        self.accelerator.backward(loss, **({"scale_wrt_gas": False} if deepspeed else {}))

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if self.args.device.type == "cpu":
            # Accelerate numbers the CPU by process ("cpu:1"), and torch loads nothing to such a device.
            self.args.__dict__["_setup_devices"] = torch.device("cpu")
        super()._load_optimizer_and_scheduler(checkpoint)


def reduced(trainer: Trainer, *values: float) -> list[float]:
    """Sum of each value over all processes."""
    total = torch.tensor(values, device=trainer.accelerator.device, dtype=torch.float64)
    return trainer.accelerator.reduce(total).tolist()


def check_share(count: int, what: str) -> None:
    """Refuse a batch of `count` that does not fall into equal parts; `what` names the setting.

    Raises:
        Permanent: it is no multiple of the number of processes.
    """
    if count % world_size():
        raise Permanent(
            f"{what}={count} cannot be shared by {world_size()} processes, since a group of rollouts stays in one of "
            f"them; set {what} to a multiple of runtime.num_processes={world_size()}, or that to a divisor of it"
        )


def arguments() -> dict[str, Any]:
    """The fields of `TrainingArguments` that say how processes work together."""
    # Every pass reaches every weight, and no buffer of a language model changes in training.
    return {"ddp_find_unused_parameters": False, "ddp_broadcast_buffers": False, "average_tokens_across_devices": True}
