"""vLLM as an engine: continuous batching with prefix caching; the default on a GPU, and for larger models on a CPU."""

import itertools
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tasks.shared.engines.protocol import (
    Completion,
    FinishReason,
    Request,
    RequestsFailed,
    Sampling,
    read_finish_reason,
)
from tasks.shared.engines.tokens import check_room, context_length, encode_prompts, load_tokenizer
from tasks.shared.models.causal_lm import check_architecture
from tasks.shared.models.weights import own_weights_alone

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput, SamplingParams

log = logging.getLogger(__name__)

ROOM_STEP = 512
"""Context lengths are rounded up to this many tokens, so that sets of like length share one engine start."""
IN_FLIGHT = 4_096
"""Requests inside the engine at once: more than it can schedule, few enough to hold in memory."""
MAX_ATTEMPTS = 3
"""Times that a request is made which vLLM aborts or ends with an error. Ours."""
CPU_SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
"""Settings on a CPU: 1 GiB of key-value cache, and the engine in this process. A process of its own would compete for
the same cores (1.8 times slower on two of them) and outlive a killed worker."""
CPU_STEP_TOKENS = 4_096
"""Tokens that one step on a CPU reads at most, or one prompt that is longer; vLLM's own number there."""


class VllmEngine:
    """Feeds vLLM's engine loop and hands completions on in the step in which they finish."""

    name = "vllm"

    def __init__(
        self,
        model_path: Path,
        *,
        device: str,
        dtype: str,
        gpu_memory_utilization: float = 0.85,
        tensor_parallel_size: int = 1,
        trust_remote_code: bool = False,
        adds_prefix: bool = True,
        longest: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Load the tokenizer; the engine itself starts with the first stream, when the lengths are known.

        `longest` are prompts of later streams, each with the tokens that may follow it: what it has room for at once.
        """
        if device == "cpu":
            for name, value in CPU_SETTINGS.items():
                os.environ.setdefault(name, value)
        self._model_path = model_path
        self._device = device
        self._settings: dict[str, Any] = {
            "dtype": dtype,
            "load_format": "safetensors",
            "enforce_eager": device == "cpu",
            "enable_prefix_caching": True,
            "tensor_parallel_size": tensor_parallel_size,
            "trust_remote_code": trust_remote_code,
            # The model's own sampling defaults (repetition penalty, top-k) must not mix with ours.
            "generation_config": "vllm",
        }
        if device == "cuda":
            self._settings["gpu_memory_utilization"] = gpu_memory_utilization
        self._tokenizer = load_tokenizer(model_path, trust_remote_code=trust_remote_code)
        self._adds_prefix = adds_prefix
        self._context = context_length(model_path, trust_remote_code=trust_remote_code)
        self._llm: LLM | None = None
        ids = encode_prompts(self._tokenizer, [prompt for prompt, _ in longest], adds_prefix=adds_prefix)
        self._foreseen = max((len(row) + most for row, (_, most) in zip(ids, longest, strict=True)), default=0)
        self._room = 0
        self._numbers = itertools.count()

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """Yield completions; after the last one, raise `RequestsFailed` if vLLM ended some in no usable way.

        Requests go in as others finish, in their order, so that samples of one prompt share its prefill. Each draws
        from its own seed (a fifth to a third of the throughput on a CPU), so that it owes nothing to those beside it.
        """
        if not requests:
            return
        prompts = [request.prompt for request in requests]
        ids = encode_prompts(self._tokenizer, prompts, adds_prefix=self._adds_prefix)
        check_room(requests, ids, sampling, self._context)
        engine = self._started(max(map(len, ids)) + sampling.max_new_tokens).llm_engine
        from vllm.inputs.engine import tokens_input

        upcoming = deque((row, 1) for row in range(len(requests)))
        waiting: dict[str, tuple[int, int]] = {}
        failures: dict[str, str] = {}
        try:
            while upcoming or waiting:
                while upcoming and len(waiting) < IN_FLIGHT:
                    number = str(next(self._numbers))
                    row, attempt = upcoming.popleft()
                    waiting[number] = (row, attempt)
                    engine.add_request(number, tokens_input(ids[row]), _params(sampling, requests[row].seed))
                for output in engine.step():
                    if not output.finished:
                        continue
                    row, attempt = waiting.pop(output.request_id)
                    ended = output.outputs[0].finish_reason
                    if reason := read_finish_reason(ended):
                        yield _completion(requests[row], output, reason)
                    elif attempt < MAX_ATTEMPTS:
                        upcoming.append((row, attempt + 1))
                    else:
                        failures[requests[row].key] = f"finish reason {ended!r} ({attempt} attempts)"
        finally:
            engine.abort_request(list(waiting))
        if failures:
            raise RequestsFailed(failures)

    def close(self) -> None:
        """End the engine's processes and give its memory back."""
        self._stop()

    def _started(self, room: int) -> "LLM":
        """The engine, with a context of at least `room` tokens; a longer one than it was started with restarts it."""
        if self._llm is None or room > self._room:
            self._stop()
            # vLLM has a loader of its own, which passes over weights that it has no place for.
            check_architecture(self._model_path, trust_remote_code=self._settings["trust_remote_code"])
            from vllm import LLM

            room = -(-max(room, self._foreseen) // ROOM_STEP) * ROOM_STEP
            self._room = min(room, self._context) if self._context else room
            if self._device == "cpu":
                # A prompt that is read in two steps ends the engine on a CPU where requests have seeds (vLLM 0.31):
                # it takes back the draw of the unfinished half, which a generator there cannot do.
                step_tokens = max(CPU_STEP_TOKENS, self._room)
                self._settings |= {"enable_chunked_prefill": False, "max_num_batched_tokens": step_tokens}
            with TemporaryDirectory() as links:
                folder = own_weights_alone(self._model_path, Path(links))
                self._llm = LLM(model=str(folder), **self._settings, max_model_len=self._room)
        return self._llm

    def _stop(self) -> None:
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
            self._llm = None


def _params(sampling: Sampling, seed: int) -> "SamplingParams":
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=1.0 if sampling.greedy else sampling.top_p,
        top_k=0 if sampling.greedy else sampling.top_k,
        seed=None if sampling.greedy else seed,
        max_tokens=sampling.max_new_tokens,
        stop=list(sampling.stop) or None,
        skip_special_tokens=False,
        spaces_between_special_tokens=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _completion(request: Request, output: "RequestOutput", reason: FinishReason) -> Completion:
    text = output.outputs[0]
    return Completion(
        key=request.key,
        text=text.text,
        finish_reason=reason,
        prompt_tokens=len(output.prompt_token_ids or ()),
        completion_tokens=len(text.token_ids),
    )
