"""Which samples a stage wants, and the key of each: identity goes down to the row.

A key covers the question, the rendered prompt, the model's weights, the sampling settings, the seed and the sample's
index. So more samples or one more heuristic ask for the difference alone, and another temperature never meets old text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tasks.shared.engines.protocol import Sampling
from tasks.shared.prompts.render import Renderer
from tasks.spine.store.fingerprint import canonical_json, digest_text, stable_seed

GREEDY_INDEX = -1

KEY_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Prompt:
    """One rendered prompt of a question."""

    question_id: str
    question: str
    heuristic: str
    """Name; empty for the plain prompt."""
    text: str


def plain_prompts(questions: Iterable[tuple[str, str]], renderer: Renderer) -> Iterator[Prompt]:
    """The plain prompt of every (question id, question): what training and evaluation show."""
    for question_id, question in questions:
        yield Prompt(question_id, question, "", renderer.plain(question))


def wanted_rows(
    prompts: Iterable[Prompt], *, sampling: Sampling, model_digest: str, num_samples: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Rows of schema `WANTED`: `num_samples` samples of each prompt, or its one greedy completion.

    Greedy text does not depend on a seed, so its key does not either.
    """
    indices = [GREEDY_INDEX] if sampling.greedy else range(num_samples)
    seed = 0 if sampling.greedy else seed
    for prompt in prompts:
        base = canonical_json([prompt.question_id, prompt.question, prompt.text, model_digest, sampling])
        base_digest = digest_text(base)
        for index in indices:
            key = digest_text(canonical_json([base_digest, seed, index]))[:KEY_DIGITS]
            yield {
                "key": key,
                "question_id": prompt.question_id,
                "heuristic": prompt.heuristic,
                "sample_index": index,
                "prompt": prompt.text,
                "seed": stable_seed(key),
            }


def pool_name(model_digest: str, sampling: Sampling) -> str:
    """Folder of the pool that holds what one model wrote under one sampling."""
    return digest_text(canonical_json({"model": model_digest, "sampling": sampling}))[:16]
