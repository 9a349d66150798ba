"""Transformers as an engine: the default for small models where there is no GPU, and the reference for the others."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers.generation.stopping_criteria import StopStringCriteria

from tasks.shared.engines.decoding.loop import decode
from tasks.shared.engines.decoding.token_choice import Decoded, SeededDraws, StopRule
from tasks.shared.engines.protocol import Completion, Request, Sampling
from tasks.shared.engines.tokens import (
    check_inside,
    check_room,
    cut_at_stop,
    decode_completion,
    encode_prompts,
    load_tokenizer,
)
from tasks.shared.models.causal_lm import end_token_ids, load_causal_lm

log = logging.getLogger(__name__)


class TransformersEngine:
    """Decodes at most `batch_size` prompts together; each completion is out as soon as its row ends."""

    name = "transformers"

    def __init__(
        self,
        model_path: Path,
        *,
        device: str,
        dtype: str,
        batch_size: int,
        trust_remote_code: bool = False,
        adds_prefix: bool = True,
    ) -> None:
        """`dtype` is a torch name or `auto` (the precision of the weights); `batch_size` is a ceiling; `adds_prefix` is
        that of the prompts' form."""
        self._tokenizer = load_tokenizer(model_path, trust_remote_code=trust_remote_code)
        self._model = load_causal_lm(model_path, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
        self._batch_size, self._adds_prefix = batch_size, adds_prefix
        self._device = device
        self._end_ids = end_token_ids(self._model.generation_config, self._tokenizer.eos_token_id)
        self._context = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """Yield completions as their rows end, longest prompts first, so that what is too large for memory fails at
        once."""
        prompts = [request.prompt for request in requests]
        ids = encode_prompts(self._tokenizer, prompts, adds_prefix=self._adds_prefix)
        check_inside(self._tokenizer, ids, self._model.get_input_embeddings().weight.shape[0])
        check_room(requests, ids, sampling, self._context)
        stop = StopStringCriteria(self._tokenizer, list(sampling.stop)) if sampling.stop else None
        rule = StopRule(self._end_ids, self._tokenizer.pad_token_id, stop)
        seeds = [request.seed for request in requests]
        draws = None if sampling.greedy else SeededDraws(seeds, sampling.max_new_tokens)
        for done in decode(self._model, ids, sampling, rule, draws=draws, rows_at_once=self._batch_size):
            yield self._completion(requests[done.row], done, len(ids[done.row]), sampling)

    def close(self) -> None:
        """Drop the model."""
        del self._model
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def _completion(self, request: Request, decoded: Decoded, prompt_tokens: int, sampling: Sampling) -> Completion:
        return Completion(
            key=request.key,
            text=self._text(decoded, sampling),
            finish_reason="stop" if decoded.stopped else "length",
            prompt_tokens=prompt_tokens,
            completion_tokens=len(decoded.tokens),
        )

    def _text(self, decoded: Decoded, sampling: Sampling) -> str:
        text, _ = cut_at_stop(decode_completion(self._tokenizer, decoded.tokens, self._end_ids), sampling.stop)
        return text
