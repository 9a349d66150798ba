"""Low-rank adapters (LoRA) on a frozen model, by way of peft: put on, merged, and written."""

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate.utils import is_peft_model
from torch import nn
from transformers import AutoConfig

from tasks.errors import Permanent
from tasks.shared.training.config import ALL_LINEAR, LoRA, Optimization, TrainJob
from tasks.shared.training.distributed import sharding

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel

FOLDER = "adapter"
"""Folder beside a trained model's weights that holds its adapters; loaders of the model look at none."""
_NAME = "default"
"""Name that peft gives to adapters which TRL puts on."""


def adapters(model: "PreTrainedModel", config: Optimization, job: TrainJob) -> "LoraConfig | None":
    """The adapters as TRL takes them, which puts them on `model`; None trains all weights.

    From here on the model is held as it is stored, where that loses nothing.

    Raises:
        Permanent: a target is no linear layer of the model, or the model is sharded.
    """
    if config.lora is None:
        return None
    if config.holds_as_stored:
        dtype = stored_dtype(job)
        # Its buffers (angles of positions) are float32 in every precision.
        for weight in model.parameters():
            weight.data = weight.data.to(dtype)
    return lora_config(model, config.lora)


def stored_dtype(job: TrainJob) -> torch.dtype:
    """Type of the starting model's weights in their files."""
    config = AutoConfig.from_pretrained(job.model, local_files_only=True, trust_remote_code=job.trust_remote_code)
    return config.dtype or torch.float32


def lora_config(model: "PreTrainedModel", lora: LoRA) -> "LoraConfig":
    """Adapters on the layers of `model` that are named.

    Raises:
        Permanent: as `adapters`.
    """
    if sharding():
        raise Permanent(
            f"adapters (lora) are trained on whole models, but {sharding()} shards this one; set "
            "runtime.distribution=ddp, or train all weights"
        )
    from peft import LoraConfig

    layers = _linear_layers(model)
    targets = layers if lora.targets == ALL_LINEAR else set(lora.targets)
    if unknown := sorted(targets - layers):
        raise Permanent(
            f"lora.targets: the model has no linear layer {', '.join(map(repr, unknown))} behind which an adapter "
            f"could go; there are: {', '.join(sorted(layers))}"
        )
    if not targets:
        raise Permanent(f"lora.targets={ALL_LINEAR}: the model has no linear layers; train all weights")
    return LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=sorted(targets), task_type="CAUSAL_LM")


def _linear_layers(model: "PreTrainedModel") -> set[str]:
    """Last parts of the names of all linear layers but the output layer, whose weight the loss reads by itself."""
    head = model.get_output_embeddings()
    linear = [name for name, part in model.named_modules() if isinstance(part, nn.Linear) and part is not head]
    return {name.rpartition(".")[2] for name in linear}


def base_model(model: "PreTrainedModel | PeftModel") -> "PreTrainedModel":
    """The model that wears the adapters, which go on working in its layers; a model without any is itself."""
    return model.get_base_model() if is_peft_model(model) else model


def merged_weights(model: "PeftModel") -> Iterator[tuple[str, torch.Tensor]]:
    """Weights of the model that base and adapters amount to, one at a time, by their names without adapters.

    Sums are float32 and the frozen weights stay as they are: peft's own merge adds in place and subtracts again, and
    in bfloat16 that leaves other weights behind.
    """
    base = model.get_base_model()
    for name, weight in base.named_parameters():
        layer, adapted, kind = name.rpartition(".base_layer.")
        if adapted and kind == "weight":
            yield f"{layer}.{kind}", _sum(base.get_submodule(layer), weight)
        elif model.prefix not in name:
            yield name.replace(".base_layer.", "."), weight.detach()


@torch.no_grad()
def _sum(layer: nn.Module, weight: torch.Tensor) -> torch.Tensor:
    return weight.float() + layer.get_delta_weight(_NAME).float()


def write_adapters(model: "PeftModel", base: str, folder: Path) -> None:
    """Write the adapters in peft's format; `base` names the model that they belong to.

    peft's own `save_pretrained` would name it by its path on this machine, and list the targets in any order.
    """
    from peft import get_peft_model_state_dict
    from peft.utils import SAFETENSORS_WEIGHTS_NAME
    from safetensors.torch import save_file

    config = copy(model.peft_config[_NAME])
    config.base_model_name_or_path, config.inference_mode = base, True
    config.target_modules = sorted(config.target_modules)
    config.save_pretrained(str(folder))
    weights = get_peft_model_state_dict(model, adapter_name=_NAME, save_embedding_layers=False)
    state = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    save_file(state, folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
