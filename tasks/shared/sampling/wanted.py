"""Which samples a stage wants, and the key of each: identity goes down to the row.

A key covers the question, the rendered prompt, the model's weights, the sampling settings, the seed and the sample's
index. So more samples or one more heuristic ask for the difference alone, and another temperature never meets old text.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.prompts.render import Renderer
from tasks.spine.stage.gpus import Part
from tasks.spine.store.fingerprint import canonical_json, digest_text, stable_seed

log = logging.getLogger(__name__)

GREEDY_INDEX = -1
DRAWS = 2
"""Raised when engines make other text of the same request, so that old samples are not continued in another way."""

KEY_DIGITS = 32

T = TypeVar("T")
Question = tuple[str, str]
"""Id and text."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One rendered prompt of a question."""

    question_id: str
    question: str
    heuristic: str
    """Name; empty for the plain prompt."""
    text: str


@dataclass(frozen=True)
class Wanted(Generic[T]):
    """The samples that a stage wants of its parent `model`."""

    sources: Mapping[str, Iterable[T]]
    """What prompts are made from, such as questions, by the name of a set; read once."""
    render: Callable[[T], Iterable[Prompt]]
    """The prompts of one source."""
    samplings: tuple[Sampling, ...]
    """The model answers every prompt under each of them."""
    num_samples: int
    """Answers to a prompt under one sampling; a greedy one answers once."""
    seed: int
    form: PromptForm
    """How the prompts are made."""
    first_sample: int = 0
    """Number of answers to each prompt that are left out, the first ones."""
    then: Callable[[Any, Any], "Wanted[Any] | None"] | None = None
    """Told of a build and of the samples that are there, says which are wanted next of the same prompts; None ends it.
    All are made in one engine start."""

    def prompts(self, name: str, part: Part) -> Iterator[Prompt]:
        """Render the prompts of one set; of sources outside `part` nothing is rendered.

        The first of each heuristic is logged, to be read before anything is spent on it.
        """
        shown: set[str] = set()
        for source in islice(self.sources[name], part.index, None, part.of):
            for prompt in self.render(source):
                if prompt.heuristic not in shown:
                    shown.add(prompt.heuristic)
                    log.info("first prompt of %s under heuristic %r:\n%s", name, prompt.heuristic, prompt.text)
                yield prompt


def plain_prompt(question: Question, renderer: Renderer) -> Prompt:
    """The plain prompt of a question: what training and evaluation show."""
    return Prompt(*question, "", renderer.plain(question[1]))


def wanted_rows(
    prompts: Iterable[Prompt],
    *,
    sampling: Sampling,
    model_digest: str,
    num_samples: int,
    seed: int,
    first_sample: int = 0,
) -> Iterator[dict[str, Any]]:
    """Rows of schema `WANTED`: samples `first_sample` to `num_samples` of each prompt, or its one greedy completion.

    Greedy text does not depend on a seed, so its key does not either.
    """
    indices = [GREEDY_INDEX] if sampling.greedy else range(first_sample, num_samples)
    seed = 0 if sampling.greedy else seed
    for prompt in prompts:
        base = canonical_json([DRAWS, prompt.question_id, prompt.question, prompt.text, model_digest, sampling])
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
    return digest_text(canonical_json({"draws": DRAWS, "model": model_digest, "sampling": sampling}))[:16]
