"""Completions one by one, for people to read: what was asked, what came, how it was judged."""

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from tasks.evaluate.schema import SAMPLES_FILE as EVALUATED_FILE
from tasks.filter.schema import VERDICTS_FILE
from tasks.predict.schema import PREDICTIONS_FILE
from tasks.questions.schema import QUESTIONS_FILE
from tasks.report.completions import ReadCompletion
from tasks.report.config import ReportEntry
from tasks.report.numbers.provenance import ROLE
from tasks.report.predicted import predictions
from tasks.rl.rollouts import ROLLOUTS_FILE
from tasks.shared.sampling.schema import SAMPLES_FILE
from tasks.shared.sampling.schema import TRUNCATED as CUT
from tasks.shared.tables.parquet import Row, count_rows, read_rows
from tasks.shared.tables.places import rows_at
from tasks.shared.verification.verdict import TRUNCATED
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import ArtifactMissing, Store

TABLES = {
    "evaluation": EVALUATED_FILE,
    "filtered": VERDICTS_FILE,
    "prediction": PREDICTIONS_FILE,
    "samples": SAMPLES_FILE,
}
"""Tables of completions, by the kind of artifact that has one."""


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
    return sorted(chosen, key=lambda row: (row.step or 0, row.question_id, row.model, row.heuristic, row.sample_index))


def completions(store: Store, ref: ArtifactRef) -> Iterator[ReadCompletion]:
    """Every completion of samples, of what was filtered, of an evaluation, of predictions, or of all that a report has.

    Of a model that was trained with rollouts, those that its training kept.
    """
    manifest = store.manifest(ref)
    if manifest.kind == "report":
        for label, measured in _measured(store, manifest):
            read = predicted if measured.kind == "prediction" else evaluated
            yield from read(store, measured, label)
    elif manifest.kind == "evaluation":
        yield from evaluated(store, manifest, str(manifest.parents["model"]))
    elif manifest.kind == "prediction":
        yield from predicted(store, manifest, str(manifest.parents["model"]))
    elif manifest.kind in ("filtered", "samples"):
        yield from candidates(store, manifest)
    elif manifest.kind == "model" and has_rollouts(manifest):
        yield from rollouts(store, manifest, str(ref))
    else:
        raise ArtifactMissing(
            f"{ref} is a {manifest.kind}, which has no completions; name samples, filtered, an evaluation, a "
            "prediction, a report, or a model that `rl` or `rmt_train` made"
        )


def spread(store: Store, manifest: Manifest, count: int) -> Iterator[ReadCompletion]:
    """As many completions at even distances over one table, all if there are fewer, without reading the rest."""
    file = TABLES.get(manifest.kind)
    if file is None:
        yield from islice(rollouts(store, manifest, str(manifest.ref)), count)
        return
    rows = count_rows(store.local(manifest.ref) / file)
    places = {place * rows // count for place in range(count)} if rows > count else set(range(rows))
    if manifest.kind == "evaluation":
        yield from evaluated(store, manifest, str(manifest.parents["model"]), places)
    elif manifest.kind == "prediction":
        yield from predicted(store, manifest, str(manifest.parents["model"]), places)
    else:
        yield from candidates(store, manifest, places)


def has_completions(manifest: Manifest) -> bool:
    """Whether an artifact has a table of completions of its own."""
    return manifest.kind in TABLES or has_rollouts(manifest)


def has_rollouts(manifest: Manifest) -> bool:
    """Whether a training kept some of its rollouts beside a model."""
    return any(entry.path == ROLLOUTS_FILE for entry in manifest.files)


def evaluated(
    store: Store, manifest: Manifest, model: str, places: Collection[int] | None = None
) -> Iterator[ReadCompletion]:
    """Completions of an evaluation, or those at some places of its table; `model` is what they call the model."""
    parents = {role: ref for role, ref in manifest.parents.items() if role.startswith(ROLE)}
    asked = {role.removeprefix(ROLE): _questions(store, ref) for role, ref in parents.items()}
    for row in _rows(store.local(manifest.ref) / EVALUATED_FILE, places):
        name = row["benchmark"]
        yield _completion(row, row, asked[name], model=model, source=name, heuristic="", fate="")


def predicted(
    store: Store, manifest: Manifest, model: str, places: Collection[int] | None = None
) -> Iterator[ReadCompletion]:
    """Next-token predictions, or those at some places of their table; `model` is what they call the model."""
    yield from predictions(store, manifest, model, _rows(store.local(manifest.ref) / PREDICTIONS_FILE, places))


def candidates(store: Store, manifest: Manifest, places: Collection[int] | None = None) -> Iterator[ReadCompletion]:
    """Candidates of mid-training, judged where they were filtered; or those at some places of the table."""
    samples, verdicts = manifest, repeat({})
    if manifest.kind == "filtered":
        samples = store.manifest(manifest.parents["samples"])
        # In the order of the samples.
        verdicts = _rows(store.local(manifest.ref) / VERDICTS_FILE, places)
    asked, model = _questions(store, samples.parents["questions"]), str(samples.parents["model"])
    rows = _rows(store.local(samples.ref) / SAMPLES_FILE, places)
    for row, judged in zip(rows, verdicts, strict=False):
        fate = (judged["drop_reason"] or "kept") if "drop_reason" in judged else ""
        yield _completion(row, judged, asked, model=model, source="", heuristic=row["heuristic"], fate=fate)


def rollouts(store: Store, manifest: Manifest, model: str) -> Iterator[ReadCompletion]:
    """The rollouts that a training kept, step by step; `model` is what they call the model that it made."""
    for place, row in enumerate(read_rows(store.local(manifest.ref) / ROLLOUTS_FILE)):
        yield ReadCompletion(
            model=model,
            source="",
            heuristic="",
            question_id=row["question_id"],
            question=row["prompt"],
            gold=row["answer"],
            completion=row["completion"],
            verdict=row["verdict"],
            extracted=None,
            fate="",
            sample_index=place,
            completion_tokens=row["completion_tokens"],
            step=row["step"],
            reward=row["reward"],
        )


def _rows(path: Path, places: Collection[int] | None) -> Iterator[Row]:
    return read_rows(path) if places is None else rows_at(path, places)


def _measured(store: Store, report: Manifest) -> Iterator[tuple[str, Manifest]]:
    """The evaluations and predictions that a report is about, each with the label of its model."""
    config: Any = report.payload["config"]
    for entry in map(ReportEntry.model_validate, config["entries"]):
        for role in entry.roles:
            yield entry.label, store.manifest(report.parents[role])


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
