"""Joins of filtering, streamed: samples with verdicts, prompts, scores and gold answers, question by question."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from tasks.filter.accidents import Accidents
from tasks.filter.config import FilterConfig
from tasks.filter.endings import Ending, ending
from tasks.filter.schema import KEPT, VERDICTS
from tasks.filter.select import CORRECT, CUT_BACK, RUNS_ON, WRONG, FilterTally, GroupDecision, decide
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.sampling.schema import ENDED, PROMPTS_FILE, SAMPLES_FILE, TRUNCATED, graded_text
from tasks.shared.tables.parquet import Row, read_rows


@dataclass(frozen=True)
class Tables:
    """Paths of the inputs."""

    samples: Path
    """Folder of the samples artifact."""
    questions: Path
    """Folder of the questions artifact."""
    checked: Path
    """Parquet file of schema `CHECKED`, in the order of the samples."""
    form: PromptForm
    """How the prompts of the samples were made."""
    answer_forms: Sequence[str]
    """Forms in which an answer is looked for."""
    marks: re.Pattern[str]
    """Beginnings of a new problem."""
    gold: Mapping[str, tuple[str, str]] = field(init=False)
    """Question and gold answer by question id."""

    def __post_init__(self) -> None:
        rows = read_rows(self.questions / QUESTIONS_FILE, ["id", "question", "answer"])
        object.__setattr__(self, "gold", {row["id"]: (row["question"], row["answer"]) for row in rows})

    def pairs(self) -> Iterator[tuple[str, str]]:
        """(text that may hold an answer, gold answer) of every sample."""
        for row in read_rows(self.samples / SAMPLES_FILE, ["question_id", "completion", "finish_reason"]):
            yield self._graded(row), self.gold[row["question_id"]][1]

    def _graded(self, sample: Row) -> str:
        """The text in which a sample's answer is looked for: of one that was cut its solution, if that was finished."""
        if sample["finish_reason"] != TRUNCATED:
            return graded_text(sample, self.form)
        kind, chars = self.ending(sample)
        return self.form.graded(sample["completion"][:chars], whole=kind == CUT_BACK)

    def ending(self, sample: Row) -> Ending:
        """How a sample ends behind its answer, and how many characters of its completion are the solution."""
        completion, reason = sample["completion"], sample["finish_reason"]
        text = self.form.graded(completion, whole=reason in (ENDED, TRUNCATED))
        ends = ending(text, self.answer_forms, self.marks, whole=reason == ENDED)
        return Ending(ends.kind, ends.chars - len(self.form.opened_thought) if ends.kind else len(completion))

    def judged(self, columns: Iterable[str] = ()) -> Iterator[Row]:
        """Samples with verdict, extracted, ending and truncated; `columns` are read besides those that decisions need.

        A completion is cut to its solution; one that was cut at the token limit behind it is not truncated.
        """
        wanted = {"key", "question_id", "heuristic", "sample_index", "finish_reason", "completion_tokens", *columns}
        samples = read_rows(self.samples / SAMPLES_FILE, sorted(wanted))
        for sample, checked in zip(samples, read_rows(self.checked), strict=True):
            if sample["key"] != checked["key"]:
                raise AssertionError(f"verdict of sample {checked['key']} met sample {sample['key']}")
            if "completion" in sample:
                sample["completion"] = sample["completion"][: checked["solution_chars"]]
            at_limit = sample["finish_reason"] == TRUNCATED
            recovered = at_limit and checked["ending"] == CUT_BACK
            yield {**sample, **checked, "truncated": at_limit and not recovered, "recovered": recovered}


def to_score(tables: Tables, config: FilterConfig) -> Iterator[Row]:
    """Rows of schema `TO_SCORE`: correct solutions under a heuristic, and wrong ones if asked for.

    Plain prompts have no heuristic to follow and are not scored.
    """
    verdicts = {CORRECT, WRONG} if config.score_wrong else {CORRECT}
    prompts = groupby(read_rows(tables.samples / PROMPTS_FILE), key=lambda row: row["question_id"])
    samples = groupby(tables.judged(["completion"]), key=lambda row: row["question_id"])
    for (question_id, rows), (prompted_id, shown) in zip(samples, prompts, strict=True):
        if question_id != prompted_id:
            raise AssertionError(f"prompts of question {prompted_id} met samples of question {question_id}")
        text = {row["heuristic"]: row["prompt"] for row in shown}
        for row in rows:
            usable = row["verdict"] in verdicts and not row["truncated"] and row["ending"] != RUNS_ON
            if row["heuristic"] and usable:
                yield {
                    "key": row["key"],
                    "question": tables.gold[question_id][0],
                    "heuristic": row["heuristic"],
                    "prompt": text[row["heuristic"]],
                    "plain": text[""],
                    "completion": row["completion"],
                }


@dataclass(frozen=True)
class Deciding:
    """What decisions need besides the tables."""

    config: FilterConfig
    scores: Mapping[str, float]
    """Adherence by sample key."""
    accidents: Accidents

    def decisions(self, tables: Tables, columns: Iterable[str] = ()) -> Iterator[tuple[list[Row], GroupDecision]]:
        """The samples of every (question, heuristic) and what becomes of them, in order of question."""
        rows = ({**row, "adherence": self.scores.get(row["key"])} for row in tables.judged(columns))
        for (question_id, _), group in groupby(rows, key=lambda row: (row["question_id"], row["heuristic"])):
            samples = list(group)
            yield samples, decide(samples, self.config, self.accidents.chance(question_id))


def verdict_rows(decided: Iterable[tuple[list[Row], GroupDecision]], tally: FilterTally) -> Iterator[Row]:
    """Rows of schema `VERDICTS`, counted in `tally` on the way."""
    for samples, decision in decided:
        tally.add(samples, decision)
        for row in samples:
            reason = decision.reasons[row["key"]]
            row = {**row, "kept": not reason, "drop_reason": reason}
            yield {name: row[name] for name in VERDICTS.names}


def chosen_rows(tables: Tables, deciding: Deciding, *, wrong: bool) -> Iterator[Row]:
    """Rows of schema `KEPT`: the kept solutions, or the chosen wrong ones."""
    for _, decision in deciding.decisions(tables, ["completion"]):
        for row in decision.wrong if wrong else decision.kept:
            question, answer = tables.gold[row["question_id"]]
            row = {**row, "question": question, "answer": answer}
            yield {name: row[name] for name in KEPT.names}
