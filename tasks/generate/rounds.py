"""Early stop: samples drawn in rounds, and no more of a (question, heuristic) once it has enough right ones.

A sample's key does not know of rounds: what was drawn with or without them is taken from the pool by both. Which
samples are drawn follows from verdicts on samples before them alone, so that a killed run draws the same ones.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
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
from tasks.spine.stage.stage import Build

QUESTIONS = "questions"
"""Role of the parent, and name of the set of samples; those of later rounds have their number behind it."""
Pair = tuple[str, str]
"""Question id and heuristic."""


@dataclass(frozen=True)
class Rounds:
    """The samples of all rounds."""

    samples: tuple[Samples, ...]
    wanted: int
    """Samples without an early stop."""
    tallies: tuple[dict[str, int], ...] = ()
    """Counts of each judged round: pairs that were drawn for, their samples, right ones, pairs that had enough."""

    @property
    def generated(self) -> int:
        """Samples that the pool lacked before."""
        return sum(item.generated for item in self.samples)

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


def first_round(wanted: Wanted[Question], stop: EarlyStop | None) -> Wanted[Question]:
    """What is drawn before any answer is looked at."""
    return replace(wanted, num_samples=min(stop.round_samples, wanted.num_samples)) if stop else wanted


def draw(build: Build, wanted: Wanted[Question], stop: EarlyStop | None, verification: VerificationConfig) -> Rounds:
    """All samples that are wanted, or round by round those of the pairs that lack right ones."""
    most = 1 if wanted.samplings[0].greedy else wanted.num_samples
    drawn = [fill(build, first_round(wanted, stop))]
    asked = sum(1 for _ in drawn[0].prompts(QUESTIONS))
    if stop is None:
        return Rounds(tuple(drawn), asked * most)
    gold = {row["id"]: row["answer"] for row in read_rows(build.path(QUESTIONS) / QUESTIONS_FILE, ["id", "answer"])}
    right: Counter[Pair] = Counter()
    tallies = []
    while True:
        (name,) = drawn[-1].sets
        before = right.total()
        right += _right(build, drawn[-1], name, gold, wanted.form, verification)
        pairs = {_pair(prompt) for prompt in drawn[-1].prompts(name)}
        lacking = {pair for pair in pairs if right[pair] < stop.right}
        tallies.append(
            {
                "pairs": len(pairs),
                "samples": drawn[-1].count,
                "right": right.total() - before,
                "had_enough": len(pairs) - len(lacking),
            }
        )
        done = min(len(tallies) * stop.round_samples, most)
        if not lacking or done == most:
            return Rounds(tuple(drawn), asked * most, tuple(tallies))
        drawn.append(fill(build, _next_round(wanted, drawn[0], lacking, done, min(done + stop.round_samples, most))))


def _next_round(
    wanted: Wanted[Question], first: Samples, lacking: Collection[Pair], start: int, end: int
) -> Wanted[Any]:
    """Samples `start` to `end` of the pairs that lack right ones, whose prompts are rendered already."""
    prompts = (prompt for prompt in first.prompts(QUESTIONS) if _pair(prompt) in lacking)
    sources = {f"{QUESTIONS}-{start}": prompts}
    return replace(wanted, sources=sources, render=lambda prompt: (prompt,), first_sample=start, num_samples=end)


def _right(
    build: Build, samples: Samples, name: str, gold: dict[str, str], form: PromptForm, verification: VerificationConfig
) -> Counter[Pair]:
    """Right, whole samples of each pair."""
    runtime = build.runtime
    found: Counter[Pair] = Counter()
    with VerifierPool(runtime.num_verifiers, memory_mb=runtime.verifier_memory_mb, config=verification) as verifiers:
        rows, again = tee(samples.rows(name))
        texts = ((graded_text(row, form), gold[row["question_id"]]) for row in again)
        for row, verdict in zip(rows, verifiers.stream(texts), strict=True):
            if verdict.verdict == "correct":
                found[row["question_id"], row["heuristic"]] += 1
    return found


def _pair(prompt: Prompt) -> Pair:
    return prompt.question_id, prompt.heuristic
