"""Completions one by one, for people to read: what was asked, what came, how it was judged."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from tasks.evaluate.schema import SAMPLES_FILE as EVALUATED_FILE
from tasks.filter.schema import VERDICTS_FILE
from tasks.questions.schema import QUESTIONS_FILE
from tasks.report.config import ReportEntry
from tasks.report.numbers.provenance import ROLE
from tasks.shared.sampling.schema import SAMPLES_FILE
from tasks.shared.sampling.schema import TRUNCATED as CUT
from tasks.shared.tables.parquet import Row, read_rows
from tasks.shared.verification.verdict import TRUNCATED
from tasks.spine.store.fingerprint import digest_text
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import ArtifactMissing, Store


@dataclass(frozen=True)
class ReadCompletion:
    """One completion with all that is needed to judge it by eye."""

    model: str
    """Label in the report, or the reference of the model that wrote it."""
    source: str
    """Benchmark; empty for candidates of mid-training."""
    heuristic: str
    """Empty: the plain prompt."""
    question_id: str
    question: str
    gold: str
    completion: str
    verdict: str
    """A verdict, `truncated`, or empty where nothing was judged."""
    extracted: str | None
    fate: str
    """Why a candidate was dropped, or `kept`; empty for others."""
    sample_index: int
    """-1: greedy."""
    completion_tokens: int

    @property
    def place(self) -> str:
        """Where it comes in an order that is drawn by no seed and the same for every reader."""
        return digest_text(f"{self.model}:{self.source}:{self.question_id}:{self.heuristic}:{self.sample_index}")


@dataclass(frozen=True)
class CompletionFilter:
    """Which completions to show; what is empty matches everything."""

    heuristic: str | None = None
    verdict: str = ""
    model: str = ""
    """Part of a label or reference."""
    question: str = ""
    """Part of a question's text, or the beginning of its id."""
    count: int = 5

    def __call__(self, row: ReadCompletion) -> bool:
        """Whether `row` is one of them."""
        return (
            (self.heuristic is None or row.heuristic == self.heuristic)
            and self.verdict in ("", row.verdict, row.fate)
            and self.model in row.model
            and (self.question in row.question or row.question_id.startswith(self.question))
        )


def pick(store: Store, ref: ArtifactRef, wanted: CompletionFilter) -> list[ReadCompletion]:
    """As many completions of an artifact as wanted, spread over it, the same ones each time.

    Raises:
        ArtifactMissing: the artifact, or one that it was made from, is not in the store, or has no completions.
    """
    matching = filter(wanted, completions(store, ref))
    chosen = heapq.nsmallest(wanted.count, matching, key=lambda row: row.place)
    return sorted(chosen, key=lambda row: (row.question_id, row.model, row.heuristic, row.sample_index))


def completions(store: Store, ref: ArtifactRef) -> Iterator[ReadCompletion]:
    """Every completion of samples, of what was filtered, of an evaluation, or of all evaluations of a report."""
    manifest = store.manifest(ref)
    if manifest.kind == "report":
        for entry in _entries(manifest):
            yield from _evaluated(store, store.manifest(manifest.parents[entry.evaluation]), entry.label)
    elif manifest.kind == "evaluation":
        yield from _evaluated(store, manifest, str(manifest.parents["model"]))
    elif manifest.kind == "filtered":
        verdicts = read_rows(store.local(ref) / VERDICTS_FILE)
        yield from _candidates(store, store.manifest(manifest.parents["samples"]), verdicts)
    elif manifest.kind == "samples":
        yield from _candidates(store, manifest, repeat({}))
    else:
        raise ArtifactMissing(
            f"{ref} is a {manifest.kind}, which has no completions; name samples, filtered, an evaluation or a report"
        )


def _entries(manifest: Manifest) -> list[ReportEntry]:
    config: Any = manifest.payload["config"]
    entries = [ReportEntry.model_validate(entry) for entry in config["entries"]]
    return [entry for entry in entries if entry.evaluation]


def _evaluated(store: Store, manifest: Manifest, model: str) -> Iterator[ReadCompletion]:
    parents = {role: ref for role, ref in manifest.parents.items() if role.startswith(ROLE)}
    asked = {role.removeprefix(ROLE): _questions(store, ref) for role, ref in parents.items()}
    for row in read_rows(store.local(manifest.ref) / EVALUATED_FILE):
        name = row["benchmark"]
        yield _completion(row, row, asked[name], model=model, source=name, heuristic="", fate="")


def _candidates(store: Store, samples: Manifest, verdicts: Iterable[Row]) -> Iterator[ReadCompletion]:
    """Candidates of mid-training; `verdicts` are in the order of the samples."""
    asked, model = _questions(store, samples.parents["questions"]), str(samples.parents["model"])
    rows = read_rows(store.local(samples.ref) / SAMPLES_FILE)
    for row, judged in zip(rows, verdicts, strict=False):
        fate = (judged["drop_reason"] or "kept") if "drop_reason" in judged else ""
        yield _completion(row, judged, asked, model=model, source="", heuristic=row["heuristic"], fate=fate)


def _completion(row: Row, judged: Row, asked: dict[str, tuple[str, str]], **about: str) -> ReadCompletion:
    """A row of samples with its verdict, where it has one."""
    question, gold = asked[row["question_id"]]
    return ReadCompletion(
        **about,
        question_id=row["question_id"],
        question=question,
        gold=gold,
        completion=row["completion"],
        # A candidate that was cut behind its solution has been judged.
        verdict=TRUNCATED if judged.get("truncated", row["finish_reason"] == CUT) else judged.get("verdict", ""),
        extracted=judged.get("extracted"),
        sample_index=row["sample_index"],
        completion_tokens=row["completion_tokens"],
    )


def _questions(store: Store, ref: ArtifactRef) -> dict[str, tuple[str, str]]:
    rows = read_rows(store.local(ref) / QUESTIONS_FILE, ["id", "question", "answer"])
    return {row["id"]: (row["question"], row["answer"]) for row in rows}
