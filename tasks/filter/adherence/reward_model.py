"""Adherence by a reward model: a sequence classifier reads the question with its heuristic, and the solution."""

from collections.abc import Sequence
from pathlib import Path

import torch

from tasks.errors import Permanent
from tasks.filter.adherence.config import RewardModelScorer
from tasks.filter.adherence.protocol import AdherenceScore, ScoreRequest, batches_by_length
from tasks.shared.engines.tokens import check_inside, load_tokenizer
from tasks.shared.models.causal_lm import load_classifier
from tasks.shared.prompts.config import fill


class RewardModel:
    """Scores with the one logit of a sequence classifier, which reads conversations by its chat template."""

    def __init__(
        self,
        config: RewardModelScorer,
        model_path: Path,
        *,
        device: str,
        dtype: str,
        tokens_per_batch: int,
        trust_remote_code: bool = False,
    ) -> None:
        """`tokens_per_batch` bounds rows times padded length of one forward pass."""
        self._config, self._tokens_per_batch = config, tokens_per_batch
        self._tokenizer = load_tokenizer(model_path, trust_remote_code=trust_remote_code)
        self._model = load_classifier(model_path, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
        place = f"filter.scorer.model.source: {model_path}"
        if self._model.config.num_labels != 1:
            raise Permanent(
                f"{place} has {self._model.config.num_labels} labels; a reward model has one, whose logit is the score"
            )
        if not self._tokenizer.chat_template:
            raise Permanent(f"{place} has no chat template, without which a reward model cannot read conversations")

    def score(self, requests: Sequence[ScoreRequest]) -> list[AdherenceScore]:
        """One score for each request that the model's context holds, in order; higher is better, without bounds."""
        texts = [self._encoded(item) for item in requests]
        check_inside(self._tokenizer, texts, self._model.get_input_embeddings().num_embeddings)
        longest = self._model.config.get_text_config().max_position_embeddings
        rows = [row for row, ids in enumerate(texts) if len(ids) <= longest]
        values = dict[int, float]()
        # The classifier tells padding by its own token; without one it reads a text at a time.
        bound = self._tokens_per_batch if self._model.config.pad_token_id is not None else 1
        for batch in batches_by_length(rows, texts, bound):
            values |= zip(batch, self._forward([texts[row] for row in batch]), strict=True)
        return [AdherenceScore(requests[row].key, values[row], len(texts[row])) for row in rows]

    def _encoded(self, request: ScoreRequest) -> list[int]:
        """Token ids of the conversation, as the template writes it; without a heuristic it has the bare question."""
        asked = request.question
        if request.heuristic:
            heuristic = self._config.heuristic(request.heuristic)
            asked = fill(
                self._config.message_template,
                question=request.question,
                name=heuristic.name,
                instruction=heuristic.instruction,
            )
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": request.completion.strip()}]
        ids: list[int] = self._tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False)
        return ids

    @torch.inference_mode()
    def _forward(self, texts: Sequence[Sequence[int]]) -> list[float]:
        """The logit of each text of one batch, padded on the right."""
        device, width = self._model.device, max(map(len, texts))
        padding = self._model.config.pad_token_id or 0
        ids = torch.tensor([[*text, *[padding] * (width - len(text))] for text in texts], device=device)
        mask = torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in texts], device=device)
        logits = self._model(input_ids=ids, attention_mask=mask).logits[:, 0].float()
        if not bool(logits.isfinite().all()):
            raise Permanent(
                f"the reward model's scores are not finite in {self._model.dtype}: its weights are damaged, or this "
                "precision is too small for them; try runtime.dtype=float32"
            )
        return logits.tolist()
