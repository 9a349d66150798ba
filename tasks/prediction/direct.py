"""A checkpoint's own next-token prediction, without reasoning: the likeliest token after a plain context."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

LOGIT_ELEMENTS = 1 << 26
"""Most logits in memory at once: 256 MiB in float32. Ours."""


class Likeliest:
    """Argmax of the next-token distribution; logits exist at the wanted positions alone."""

    def __init__(self, model_path: Path, *, device: str, dtype: str, trust_remote_code: bool = False) -> None:
        """`dtype` is a torch name or `auto`, the precision of the weights."""
        model = AutoModelForCausalLM.from_pretrained(
            model_path, dtype=dtype, trust_remote_code=trust_remote_code, use_safetensors=True
        )
        self._model: PreTrainedModel = model.to(device).eval()

    @torch.inference_mode()
    def after(self, contexts: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> list[list[int]]:
        """For each context (token ids) the likeliest token in place of each wanted index, from the tokens before it.

        Index i >= 1 is predicted from tokens 0 to i - 1; it may be the context's length.
        """
        device, width = self._model.device, max(map(len, contexts))
        ids = torch.zeros(len(contexts), width, dtype=torch.long, device=device)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(contexts):
            ids[row, : len(tokens)] = torch.tensor(tokens, device=device)
            mask[row, : len(tokens)] = 1
        hidden = self._model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        rows = [row for row, indices in enumerate(wanted) for _ in indices]
        places = [index - 1 for indices in wanted for index in indices]
        # Some models scale or cap their logits after the head; neither moves the largest.
        head = self._model.get_output_embeddings()
        step = max(1, LOGIT_ELEMENTS // self._model.config.get_text_config().vocab_size)
        chosen: list[int] = []
        for picked in hidden[rows, places].split(step):
            chosen += head(picked).argmax(-1).tolist()
        found = iter(chosen)
        return [[next(found) for _ in indices] for indices in wanted]
