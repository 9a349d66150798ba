"""Early stop: samples drawn in rounds, and no more of a (question, heuristic) once it has enough right ones.

A sample's key does not know of rounds: what was drawn with or without them is taken from the pool by both. Which
samples are drawn follows from verdicts on samples before them alone, so that a killed run draws the same ones.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count, tee
from typing import Any

from tasks.generate.config import EarlyStop
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.sampling.sampler import Samples, fill
from tasks.shared.sampling.schema import graded_text
from tasks.shared.sampling.wanted import Prompt, Question, Wanted
from tasks.shared.tables.parquet import Row, read_rows
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.pool import VerifierPool
from tasks.spine.stage.launch import check_stop
from tasks.spine.stage.stage import Build

QUESTIONS = "questions"
"""Role of the parent, and name of the set of samples; those of later rounds have their number behind it."""
Pair = tuple[str, str]
"""Question id and heuristic."""


@dataclass
class Rounds:
    """The samples of all rounds."""

    everything: Wanted[Question]
    """All samples, as without an early stop."""
    stop: EarlyStop | None
    verification: VerificationConfig
    tallies: list[dict[str, int]] = field(default_factory=list)
    """Counts of each judged round: pairs that were drawn for, their samples, right ones, pairs that had enough."""
    samples: tuple[Samples, ...] = ()
    _found: Counter[Pair] = field(default_factory=Counter)

    def draw(self, build: Build) -> "Rounds":
        """All samples that are wanted, or round by round those of the pairs that lack right ones."""
        first = fill(build, self.first())
        self.samples = (first, *first.later)
        return self

    def first(self) -> Wanted[Question]:
        """What is drawn before any answer is looked at, and the way to what is drawn then."""
        if self.stop is None:
            return self.everything
        return replace(self.everything, num_samples=min(self.stop.round_samples, self._most), then=self._next)

    def _next(self, build: Build, last: Samples) -> Wanted[Any] | None:
        """The next round, of the pairs that lack right ones; None where there is none."""
        assert self.stop is not None
        (name,) = last.sets
        pairs, before = {_pair(prompt) for prompt in last.prompts(name)}, self._found.total()
        self._found += _right(build, last, name, self.everything.form, self.verification)
        lacking = {pair for pair in pairs if self._found[pair] < self.stop.right}
        self.tallies.append(
            {
                "pairs": len(pairs),
                "samples": last.count,
                "right": self._found.total() - before,
                "had_enough": len(pairs) - len(lacking),
            }
        )
        start = min(len(self.tallies) * self.stop.round_samples, self._most)
        if not lacking or start == self._most:
            return None
        # They were rendered for the round before.
        prompts = (prompt for prompt in last.prompts(name) if _pair(prompt) in lacking)
        return replace(
            self.everything,
            sources={f"{QUESTIONS}-{start}": prompts},
            render=lambda prompt: (prompt,),
            first_sample=start,
            num_samples=min(start + self.stop.round_samples, self._most),
        )

    @property
    def _most(self) -> int:
        return 1 if self.everything.samplings[0].greedy else self.everything.num_samples

    @property
    def wanted(self) -> int:
        """Samples without an early stop."""
        return sum(1 for _ in self.prompts()) * self._most

    @property
    def generated(self) -> int:
        """Samples that the pool lacked before."""
        return self.samples[0].generated

    def prompts(self) -> Iterator[Prompt]:
        """Every prompt, as it was rendered; the first round asks all."""
        return self.samples[0].prompts(QUESTIONS)

    def rows(self) -> Iterator[Row]:
        """Rows of schema `SAMPLES`, prompt by prompt and by index, whatever round they are of."""
        if len(self.samples) == 1:
            return self.samples[0].rows(QUESTIONS)
        place = dict(zip(map(_pair, self.prompts()), count(), strict=False))
        rows = (item.rows(name) for item in self.samples for name in item.sets)
        return heapq.merge(*rows, key=lambda row: (place[row["question_id"], row["heuristic"]], row["sample_index"]))


def _right(
    build: Build, samples: Samples, name: str, form: PromptForm, verification: VerificationConfig
) -> Counter[Pair]:
    """Right, whole samples of each pair."""
    gold = {row["id"]: row["answer"] for row in read_rows(build.path(QUESTIONS) / QUESTIONS_FILE, ["id", "answer"])}
    runtime = build.runtime
    found: Counter[Pair] = Counter()
    with VerifierPool(runtime.num_verifiers, memory_mb=runtime.verifier_memory_mb, config=verification) as verifiers:
        rows, again = tee(samples.rows(name))
        texts = ((graded_text(row, form), gold[row["question_id"]]) for row in again)
        for row, verdict in zip(rows, verifiers.stream(texts), strict=True):
            check_stop()
            if verdict.verdict == "correct":
                found[row["question_id"], row["heuristic"]] += 1
    return found


def _pair(prompt: Prompt) -> Pair:
    return prompt.question_id, prompt.heuristic
