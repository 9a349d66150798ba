"""Joins of filtering, streamed: samples with verdicts, prompts, scores and gold answers, question by question."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from tasks.filter.accidents import Accidents
from tasks.filter.config import FilterConfig, LikelihoodRatioScorer
from tasks.filter.schema import KEPT, VERDICTS
from tasks.filter.select import CORRECT, RUNS_ON, WRONG, FilterTally, GroupDecision, decide
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.sampling.schema import PROMPTS_FILE, SAMPLES_FILE, TRUNCATED, graded_text
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
    gold: Mapping[str, tuple[str, str]] = field(init=False)
    """Question and gold answer by question id."""

    def __post_init__(self) -> None:
        rows = read_rows(self.questions / QUESTIONS_FILE, ["id", "question", "answer"])
        object.__setattr__(self, "gold", {row["id"]: (row["question"], row["answer"]) for row in rows})

    def pairs(self) -> Iterator[tuple[str, str]]:
        """(text that may hold an answer, gold answer) of every sample."""
        for row in read_rows(self.samples / SAMPLES_FILE, ["question_id", "completion", "finish_reason"]):
            yield graded_text(row, self.form), self.gold[row["question_id"]][1]

    def judged(self, columns: Iterable[str] = ()) -> Iterator[Row]:
        """Samples with verdict, extracted, ending and truncated; `columns` are read besides those that decisions need.

        A completion is cut to its solution.
        """
        wanted = {"key", "question_id", "heuristic", "sample_index", "finish_reason", "completion_tokens", *columns}
        samples = read_rows(self.samples / SAMPLES_FILE, sorted(wanted))
        for sample, checked in zip(samples, read_rows(self.checked), strict=True):
            if sample["key"] != checked["key"]:
                raise AssertionError(f"verdict of sample {checked['key']} met sample {sample['key']}")
            if "completion" in sample:
                sample["completion"] = sample["completion"][: checked["solution_chars"]]
            yield {**sample, **checked, "truncated": sample["finish_reason"] == TRUNCATED}


def to_score(tables: Tables, config: FilterConfig) -> Iterator[Row]:
    """Rows of schema `TO_SCORE`: correct solutions under a heuristic, and wrong ones if asked for.

    Plain prompts have no heuristic to follow and are not scored.
    """
    if not isinstance(config.scorer, LikelihoodRatioScorer):
        return
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
