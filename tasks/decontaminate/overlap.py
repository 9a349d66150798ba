"""Contamination: questions and documents to train on that hold what a benchmark asks, found by exact text and by shared
word n-grams.

A word is a run of letters or a number; case, punctuation and LaTeX signs do not count, numbers do. One shared n-gram
flags a question or a document. A question with fewer words is found where it is the whole of one, or of what a document
has as its given part.
"""

import hashlib
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

import pyarrow as pa

from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.schema import OVERLAPS, OVERLAPS_FILE
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
from tasks.shared.sources.errors import Reject, SourceError, excerpt
from tasks.shared.sources.rejects import REJECTS, REJECTS_FILE
from tasks.shared.tables.parquet import Row, Weight, count_rows, read_rows, write_parquet
from tasks.texts.schema import EVALUATION_FILE, GROUP, TEXTS, TRAIN_FILE

HELD_OUT = "held-out documents"
"""Stands where an overlap names its benchmark."""
LISTED = 20
"""Held-out documents that the manifest names."""
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Overlap:
    """A training question or document, and the benchmark question or held-out document that it shares text with."""

    question_id: str
    benchmark: str
    benchmark_id: str
    kind: str
    evidence: str


def words(text: str) -> list[str]:
    """The words of `text` as they are compared: NFKC, lower case, numbers kept."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


@dataclass(frozen=True)
class TrainedTable:
    """A table of what is trained on."""

    what: str
    file: str
    schema: pa.Schema
    id_column: str
    text_column: str
    beside: tuple[str, ...] = ()
    """Files of the folder that are passed on as they are."""
    weight: Weight | None = None

    def read(self, folder: Path) -> Iterator[Row]:
        """Its rows."""
        return read_rows(folder / self.file, schema=self.schema)


TRAINED_QUESTIONS = TrainedTable("question", QUESTIONS_FILE, QUESTIONS, "id", "question")
TRAINED_TEXTS = TrainedTable("document", TRAIN_FILE, TEXTS, "document_id", "text", (EVALUATION_FILE,), GROUP)


class BenchmarkIndex:
    """Questions of the benchmarks as hashes: memory grows with the benchmarks, not with the training set."""

    def __init__(self, ngram_words: int) -> None:
        self._length = ngram_words
        self._whole: dict[bytes, list[tuple[str, str]]] = {}
        self._ngrams: dict[bytes, list[tuple[str, str]]] = {}

    def add(self, benchmark: str, benchmark_id: str, question: str) -> None:
        """Take in one benchmark question."""
        tokens = words(question)
        self._whole.setdefault(_hash(tokens), []).append((benchmark, benchmark_id))
        for ngram in self._windows(tokens):
            self._ngrams.setdefault(_hash(ngram), []).append((benchmark, benchmark_id))

    def find(self, question_id: str, question: str, given: str = "") -> list[Overlap]:
        """Overlaps of a training question, one with each benchmark question that it shares text with.

        Args:
            given: a part of it that is compared as a whole too.
        """
        tokens = words(question)
        found: dict[tuple[str, str], Overlap] = {}
        for text, whole in ((question, tokens), (given, words(given))):
            for owner in self._whole.get(_hash(whole), []) if whole else []:
                found.setdefault(owner, Overlap(question_id, *owner, "exact", excerpt(text)))
        for ngram in self._windows(tokens):
            for owner in self._ngrams.get(_hash(ngram), []):
                found.setdefault(owner, Overlap(question_id, *owner, "ngram", " ".join(ngram)))
        return list(found.values())

    def _windows(self, tokens: list[str]) -> Iterator[list[str]]:
        for start in range(len(tokens) - self._length + 1):
            yield tokens[start : start + self._length]


@dataclass
class HeldOut:
    """How many held-out documents share text with training documents that stay, and the first of these pairs."""

    documents: int = 0
    overlapping: int = 0
    listed: list[Overlap] = field(default_factory=list)


def leave_out(
    config: DecontaminateConfig,
    trained: TrainedTable,
    folder: Path,
    benchmarks: Mapping[str, Path],
    out: Path,
    held_out: Path | None = None,
) -> tuple[dict[str, int], dict[str, int], HeldOut]:
    """Copy a folder into `out` without the rows that hold what `benchmarks` (name to questions folder) ask; list
    overlaps.

    Writes the table, rejects.parquet (those of the input and the flagged ones) and, where there are any,
    overlaps.parquet. What has no overlaps is copied byte for byte, so that what was made from it stays valid.

    Args:
        held_out: texts folder whose held-out documents are predicted. A training document of the same words as one of
            these is flagged as well; one that shares a run of words, as worked solutions of a kind do, is counted.

    Returns the ledger, read = kept + flagged and left out, the number of questions of each benchmark that a row shares
    text with, and the count of held-out documents. Raises `SourceError` when no row is left.
    """
    index = BenchmarkIndex(config.ngram_words)
    for name in sorted(benchmarks):
        for row in read_rows(benchmarks[name] / QUESTIONS_FILE, schema=QUESTIONS):
            index.add(name, row["id"], row["question"])
    apart, seen = BenchmarkIndex(config.ngram_words), HeldOut()
    for row in read_rows(held_out / EVALUATION_FILE, schema=TEXTS) if held_out else ():
        apart.add(HELD_OUT, row["document_id"], row["text"])
        seen.documents += 1
    overlaps: list[Overlap] = []
    shared: set[str] = set()
    for row in trained.read(folder):
        id_, text = row[trained.id_column], row[trained.text_column]
        alike = apart.find(id_, text)
        flagged = index.find(id_, text, text[: row.get("given_chars", 0)])
        flagged += [overlap for overlap in alike if overlap.kind == "exact"]
        overlaps += flagged
        for overlap in alike if not (flagged and config.exclude) else ():
            if overlap.benchmark_id not in shared and len(shared) < LISTED:
                seen.listed.append(overlap)
            shared.add(overlap.benchmark_id)
    seen.overlapping = len(shared)
    read = count_rows(folder / trained.file)
    left_out = {overlap.question_id: overlap for overlap in reversed(overlaps)} if config.exclude else {}
    if left_out and len(left_out) == read:
        named = ", ".join(sorted({overlap.benchmark for overlap in left_out.values()}))
        raise SourceError(f"no {trained.what} is left: all {read} overlap with {named}")
    if overlaps:
        write_parquet(map(asdict, overlaps), out / OVERLAPS_FILE, OVERLAPS)
    if left_out:
        kept = (row for row in trained.read(folder) if row[trained.id_column] not in left_out)
        by_id = (trained.id_column,)
        write_parquet(kept, out / trained.file, trained.schema, sorted_by=by_id, weight=trained.weight)
        listed = _rejects(trained, (left_out[key] for key in sorted(left_out)))
        rejects = chain(read_rows(folder / REJECTS_FILE, schema=REJECTS), listed)
        write_parquet(rejects, out / REJECTS_FILE, REJECTS)
    for name in (*trained.beside, *(() if left_out else (trained.file, REJECTS_FILE))):
        shutil.copyfile(folder / name, out / name)
    asked = Counter(benchmark for benchmark, _ in {(item.benchmark, item.benchmark_id) for item in overlaps})
    ledger = {"read": read, "kept": read - len(left_out), "overlapping": len(left_out)}
    return ledger, {name: asked[name] for name in sorted(benchmarks)}, seen


def _rejects(trained: TrainedTable, overlaps: Iterable[Overlap]) -> Iterator[dict[str, str | int]]:
    for overlap in overlaps:
        owner = f"one of the {HELD_OUT}," if overlap.benchmark == HELD_OUT else f"{overlap.benchmark} question"
        reason = f"{overlap.kind} overlap with {owner} {overlap.benchmark_id}: {overlap.evidence}"
        yield asdict(Reject(trained.file, 0, trained.id_column, overlap.question_id, reason))


def _hash(tokens: list[str]) -> bytes:
    return hashlib.blake2b(" ".join(tokens).encode(), digest_size=12).digest()
