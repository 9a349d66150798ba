"""Which samples a stage wants, and the key of each: identity goes down to the row.

A key covers the question, the rendered prompt, the model's weights, the sampling settings, the seed and the sample's
index. So more samples or one more heuristic ask for the difference alone, and another temperature never meets old text.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence

from tasks.generate.heuristics import Heuristic
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.wanted import Prompt

log = logging.getLogger(__name__)


def heuristic_prompts(
    questions: Iterable[tuple[str, str]], heuristics: Sequence[Heuristic], renderer: Renderer
) -> Iterator[Prompt]:
    """The prompt of every (question id, question) under every heuristic, question by question."""
    for question_id, question in questions:
        for heuristic in heuristics:
            yield Prompt(question_id, question, heuristic.name, renderer.heuristic(heuristic, question))


def with_first_logged(prompts: Iterable[Prompt]) -> Iterator[Prompt]:
    """The same prompts; the first of each heuristic is logged, to be read before anything is spent on it."""
    shown: set[str] = set()
    for prompt in prompts:
        if prompt.heuristic not in shown:
            shown.add(prompt.heuristic)
            log.info("first prompt of heuristic %r:\n%s", prompt.heuristic, prompt.text)
        yield prompt
