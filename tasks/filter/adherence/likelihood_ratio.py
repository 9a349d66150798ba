"""Adherence by likelihood ratio: how much likelier the heuristic in the prompt makes a completion, per token.

    (log p(completion | prompt under the heuristic) - log p(completion | plain prompt)) / tokens

Prompts of one heuristic share their instruction and examples, so that part is computed once and its key-value cache
reused for every batch. Logits exist for the completion alone, and for a bounded number of positions at a time.
"""

import copy
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import DynamicCache

from tasks.errors import Permanent
from tasks.filter.adherence.protocol import AdherenceScore, ScoreRequest, batches_by_length
from tasks.shared.engines.tokens import encode_prompts, load_tokenizer
from tasks.shared.models.causal_lm import is_plain_head, load_causal_lm

LOGIT_ELEMENTS = 1 << 26
"""Most logits in memory at once: 256 MiB in float32. Ours."""
SHORTEST_SHARED = 64
"""Tokens that prompts must share before their cache is worth the copy to every batch. Ours."""


@dataclass(frozen=True, slots=True)
class _Text:
    """Token ids of a prompt and of what follows it."""

    prompt: list[int]
    completion: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


class LikelihoodRatio:
    """Scores with the model that wrote the completions."""

    def __init__(
        self,
        model_path: Path,
        *,
        device: str,
        dtype: str,
        tokens_per_batch: int,
        trust_remote_code: bool = False,
        adds_prefix: bool = True,
        is_ratio: bool = True,
    ) -> None:
        """`is_ratio` false leaves the prompt under a heuristic out, so that scores are those of the plain prompt alone.

        `tokens_per_batch` bounds rows times padded length of one forward pass, the shared part included;
        `adds_prefix` is that of the prompts' form."""
        self._tokenizer = load_tokenizer(model_path, trust_remote_code=trust_remote_code)
        self._model = load_causal_lm(model_path, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
        self._tokens_per_batch, self._adds_prefix, self._is_ratio = tokens_per_batch, adds_prefix, is_ratio
        if not is_plain_head(self._model):
            raise Permanent(
                f"filter.scorer 'likelihood_ratio' cannot score {type(self._model).__name__}, which rescales its "
                f"logits; set filter.scorer.type to 'none'"
            )

    def score(self, requests: Sequence[ScoreRequest]) -> list[AdherenceScore]:
        """One score for each request, in order; an empty completion scores 0."""
        encoded = self._tokenizer([item.completion for item in requests], add_special_tokens=False)
        completions: list[list[int]] = encoded["input_ids"]
        values = self.log_likelihoods([item.plain for item in requests], completions)
        if self._is_ratio:
            named = self.log_likelihoods([item.prompt for item in requests], completions)
            values = [with_name - without for with_name, without in zip(named, values, strict=True)]
        return [
            AdherenceScore(item.key, value / max(len(ids), 1), len(ids))
            for item, ids, value in zip(requests, completions, values, strict=True)
        ]

    @torch.inference_mode()
    def log_likelihoods(self, prompts: Sequence[str], completions: Sequence[Sequence[int]]) -> list[float]:
        """Natural log of the probability of each completion (token ids) after its prompt."""
        ids = encode_prompts(self._tokenizer, prompts, adds_prefix=self._adds_prefix)
        texts = [_Text(prompt, list(completion)) for prompt, completion in zip(ids, completions, strict=True)]
        results = [0.0] * len(texts)
        for rows in _like_prompts(texts):
            shared, cache = self._shared([texts[row] for row in rows])
            for batch in batches_by_length(rows, texts, self._tokens_per_batch):
                values = self._forward([texts[row] for row in batch], shared, cache)
                for row, value in zip(batch, values, strict=True):
                    results[row] = value
        return results

    def _shared(self, texts: Sequence[_Text]) -> tuple[int, DynamicCache | None]:
        """Number of leading tokens that all prompts share, and their cache; 0 and None where it is not worth it."""
        # Lists are ordered like words, so what the first and the last share, all share; one token must be left over.
        first, last = min(text.prompt for text in texts), max(text.prompt for text in texts)
        agree = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
        shared = min(sum(1 for _ in agree), min(len(text.prompt) for text in texts) - 1)
        if shared < SHORTEST_SHARED or len(texts) < 2:
            return 0, None
        cache = DynamicCache(config=self._model.config)
        start = torch.tensor([texts[0].prompt[:shared]], device=self._model.device)
        self._model.base_model(input_ids=start, past_key_values=cache, use_cache=True)
        return shared, cache

    def _forward(self, texts: Sequence[_Text], shared: int, cache: DynamicCache | None) -> list[float]:
        """Log-likelihoods of one batch, padded on the right; `cache` holds the first `shared` tokens of every row."""
        device = self._model.device
        width = max(map(len, texts)) - shared
        ids = torch.zeros(len(texts), width, dtype=torch.long, device=device)
        mask = torch.zeros(len(texts), shared + width, dtype=torch.long, device=device)
        predicts = torch.zeros(len(texts), width, dtype=torch.bool, device=device)
        for row, text in enumerate(texts):
            tokens = [*text.prompt[shared:], *text.completion]
            ids[row, : len(tokens)] = torch.tensor(tokens, device=device)
            mask[row, : shared + len(tokens)] = 1
            first = len(text.prompt) - shared - 1
            predicts[row, first : first + len(text.completion)] = True
        if cache is not None:
            cache = copy.deepcopy(cache)
            cache.batch_repeat_interleave(len(texts))
        positions = torch.arange(shared, shared + width, device=device).expand(len(texts), -1)
        hidden = self._model.base_model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        targets = torch.cat([torch.tensor(text.completion, dtype=torch.long, device=device) for text in texts])
        token_values = self._token_log_probabilities(hidden[predicts], targets)
        sums = torch.zeros(len(texts), dtype=torch.float64, device=device)
        owners = predicts.nonzero()[:, 0]
        sums.index_add_(0, owners, token_values.double())
        if not bool(sums.isfinite().all()):
            raise Permanent(
                f"the model's log-likelihoods are not finite in {self._model.dtype}: its weights are damaged, or this "
                "precision is too small for them; try runtime.dtype=float32"
            )
        return sums.tolist()

    def _token_log_probabilities(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Log-probability [positions] of each target after its hidden state [positions, width], in bounded memory."""
        head = self._model.get_output_embeddings()
        step = max(1, LOGIT_ELEMENTS // self._model.config.get_text_config().vocab_size)
        parts = [
            -torch.nn.functional.cross_entropy(
                head(hidden[start : start + step]).float(), targets[start : start + step], reduction="none"
            )
            for start in range(0, len(targets), step)
        ]
        return torch.cat(parts) if parts else targets.float()


def _like_prompts(texts: Sequence[_Text]) -> Iterator[list[int]]:
    """Rows in groups whose prompts begin alike: those of one heuristic."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, text in enumerate(texts):
        groups.setdefault(tuple(text.prompt[:SHORTEST_SHARED]), []).append(row)
    yield from groups.values()
