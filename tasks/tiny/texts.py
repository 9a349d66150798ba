"""Documents of the small world for training on texts: worked problems, the question given, or long chains to them."""

import random
from dataclasses import dataclass
from typing import Literal

from tasks.tiny.predictions import worked_problem
from tasks.tiny.problems import MAX_FRUITLESS_DRAWS, Problem, draw_numbers, families_of, word
from tasks.tiny.styles import completion
from tasks.tiny.thinking import CLOSE, OPEN, PredictionPlace, ThinkingConfig, chain

TextSplit = Literal["train", "evaluation", "test", "ood"]
TextKind = Literal["worked", "chains"]
# Split of the documents -> split of the problems. `test` is for the last measurement alone.
PROBLEM_SPLITS: dict[TextSplit, str] = {"train": "seed", "evaluation": "dev", "test": "test", "ood": "ood"}
STEP_SHARE = 0.6
"""Share of documents in the `step` style (ours): its one-jump results are the hard places of the texts."""


@dataclass(frozen=True)
class Document:
    """A text whose first `given_chars` characters, the question and `A:`, are never to be predicted."""

    text: str
    given_chars: int
    meta: dict[str, str]
    """`family` of the problem and `style` of its solution."""
    problem: Problem

    def place(self, context: str, target: str) -> PredictionPlace:
        """The place in the solution at which `target` follows `context`, a beginning of the text."""
        solution = self.text[self.given_chars :]
        at = len(context) - self.given_chars
        return PredictionPlace(self.problem, solution[:at], target, solution[at + len(target) :])


def documents(split: TextSplit, count: int, seed: int, kind: TextKind = "worked") -> list[Document]:
    """`count` distinct documents, the families in turn; a longer list starts with the shorter one.

    Those of kind `chains` have long thinking between the question and its solution.
    Problems of different splits never overlap, and the families of `ood` are in no training text; within a split
    a problem may come again in other words or another style. Raises ValueError for an unknown split, or when a
    family has too few documents.
    """
    if split not in PROBLEM_SPLITS:
        raise ValueError(f"split {split!r} is not one of {', '.join(PROBLEM_SPLITS)}")
    rng = random.Random(f"{'documents' if kind == 'worked' else kind}/{split}/{seed}")
    families, out = families_of(PROBLEM_SPLITS[split]), dict[str, Document]()
    for index in range(count):
        family = families[index % len(families)]
        for _ in range(MAX_FRUITLESS_DRAWS):
            document = _document(family, PROBLEM_SPLITS[split], rng, kind)
            if document.text not in out:
                break
        else:
            raise ValueError(f"count={count}: split {split!r} has too few texts of family {family!r}; ask for {index}")
        out[document.text] = document
    return list(out.values())


def _document(family: str, problem_split: str, rng: random.Random, kind: TextKind) -> Document:
    problem = word(family, draw_numbers(family, problem_split, rng), rng)
    prompt, style = worked_problem(problem, STEP_SHARE, rng)
    thought = f"{OPEN}{chain(problem, ThinkingConfig(), rng)}{CLOSE}" if kind == "chains" else ""
    text = prompt + thought + completion(problem, style)
    return Document(text, len(prompt), {"family": family, "style": style}, problem)
