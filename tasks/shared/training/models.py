"""Loads a local model for training and writes the trained one."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase, Trainer
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import GENERATION_CONFIG_NAME as GENERATION_CONFIG

from tasks.errors import Permanent
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.models.causal_lm import load_causal_lm
from tasks.shared.models.finite import check_finite
from tasks.shared.models.folder import quantization
from tasks.shared.models.weights import own_weights_alone
from tasks.shared.training import distributed
from tasks.shared.training.adapters import FOLDER, base_model, merged_weights, stored_dtype, write_adapters
from tasks.shared.training.config import TrainJob
from tasks.spine.stage.worker import is_main_process


def load(job: TrainJob) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in float32 with scaled-dot-product attention, and its tokenizer.

    That attention takes the block-diagonal mask of packed rows on every device; `sdpa` is exact, where FlashAttention
    kernels would need a flat layout.

    Raises:
        Permanent: the folder holds no model, or the tokenizer has no end-of-sequence token.
    """
    if job.num_threads:
        torch.set_num_threads(job.num_threads)
    if not (job.model / "config.json").exists():
        raise Permanent(f"{job.model} has no config.json; give a folder with a model's config, weights and tokenizer")
    if method := quantization(job.model):
        raise Permanent(
            f"{job.model} is quantized ({method}), and no training starts from that; give its weights in 16 bits"
        )
    tokenizer = load_tokenizer(job.model, trust_remote_code=job.trust_remote_code)
    if tokenizer.eos_token_id is None:
        raise Permanent(
            f"the tokenizer in {job.model} has no end-of-sequence token, so a model trained with it would never "
            "learn to stop; set eos_token in tokenizer_config.json"
        )
    # TRL loads the folder again by itself: for a reference model, and into vLLM.
    folder = own_weights_alone(job.model, job.checkpoints.parent / "model")
    model = load_causal_lm(folder, dtype=torch.float32, attention="sdpa", trust_remote_code=job.trust_remote_code)
    # A training samples by its own settings, and with some that models ship transformers writes no checkpoint.
    ids = {name: getattr(model.generation_config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = GenerationConfig(**ids)
    if job.compile_backend:
        compile_layers(model, job.compile_backend)
    return model, tokenizer


def compile_layers(model: PreTrainedModel, backend: str) -> None:
    """Compile each layer by itself, in place: names of weights stay, and layers of one kind are compiled once.

    Lengths are symbolic, as every pass has its own.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise Permanent(
            f"runtime.compile_backend={backend!r}: a model of type {model.config.model_type!r} has no layers that "
            "transformers marks as such; set runtime.compile_backend=''"
        )
    for layer in layers:
        layer.compile(backend=backend, dynamic=True)


def check_context(model: PreTrainedModel, needed: int, what: str) -> None:
    """Refuse texts of `needed` tokens that the model's positions do not reach; `what` names them.

    Raises:
        Permanent: they are longer than the context in the model's config.
    """
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context is not None and needed > context:
        raise Permanent(f"{what} takes {needed} tokens, but the model's context is {context}; set a lower limit")


def check_can_be_written(trainer: Trainer, tokenizer: PreTrainedTokenizerBase, job: TrainJob) -> None:
    """Write the model as `save` does, but without weights, before any work: to its place, and away again.

    Raises:
        Permanent: something of it cannot be written there.
    """
    if not is_main_process():
        return
    try:
        job.out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=job.out.parent) as folder:
            _write(base_model(trainer.model), tokenizer, job, Path(folder), state_dict={})
    except Exception as error:  # libraries raise what they like for what they cannot write
        raise Permanent(
            f"the model in {job.model} could be trained but not written to {job.out.parent}: "
            f"{type(error).__name__}: {error}"
        ) from error


def save(trainer: Trainer, tokenizer: PreTrainedTokenizerBase, job: TrainJob) -> None:
    """Write weights (safetensors, in the type the starting model was stored in), tokenizer and generation config.

    Adapters are merged into the weights, and kept in a folder beside them. Every process of a training calls this, and
    the main one writes.

    Raises:
        Permanent: a value is no number any more.
    """
    model = base_model(trainer.model)
    adapted = model is not trainer.model
    weights = merged_weights(trainer.model) if adapted else distributed.whole_weights(trainer)
    if not is_main_process():
        return
    dtype = stored_dtype(job)
    model.config.use_cache = True
    if weights is None:
        _write(model.to(dtype), tokenizer, job, job.out)
    else:
        model.config.dtype = dtype
        _write(model, tokenizer, job, job.out, state_dict={name: weight.to("cpu", dtype) for name, weight in weights})
    if adapted:
        write_adapters(trainer.model, job.model_name, job.out / FOLDER)
    # The last step may have spoilt them, and so may the type in which they are stored.
    for file in sorted(job.out.rglob("*.safetensors")):
        check_finite(
            file,
            f"the training diverged, or its weights do not fit into {dtype}, in which the base model is stored; "
            "nothing is published: lower learning_rate, or store the base model in another type",
        )


def _write(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: TrainJob, folder: Path, **state: Any
) -> None:
    """A model folder; its generation config is the starting model's, as it was."""
    model.save_pretrained(folder, **state)
    tokenizer.save_pretrained(folder)
    if (job.model / GENERATION_CONFIG).exists():
        shutil.copyfile(job.model / GENERATION_CONFIG, folder / GENERATION_CONFIG)


def machine_arguments(job: TrainJob) -> dict[str, Any]:
    """The fields of `TrainingArguments` that say where and how a run goes, none of which changes its result."""
    on_cpu = job.device == "cpu" or not torch.cuda.is_available()
    if job.device == "cuda" and on_cpu:
        raise Permanent("runtime.device is 'cuda', but torch sees no CUDA device; use 'auto' or 'cpu'")
    return {
        **distributed.arguments(),
        "output_dir": str(distributed.checkpoint_folder(job)),
        "use_cpu": on_cpu,
        # Without fusion AdamW takes 4 bytes a weight more at each step, on a GPU.
        "optim": "adamw_torch" if on_cpu else "adamw_torch_fused",
        "gradient_checkpointing": not on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "dataloader_num_workers": 0,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": job.save_every_steps,
        "save_total_limit": 1,
        "remove_unused_columns": False,
        "num_train_epochs": 1,
        "data_seed": 0,
    }
