"""Contamination: training questions that a benchmark asks too, found by exact text and by shared word n-grams.

A word is a run of letters or a number; case, punctuation and LaTeX signs do not count, numbers do. The n-gram length of
13 follows GPT-3 (arXiv 2005.14165, appendix C). One shared n-gram flags a question.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import Field

from tasks.config import Frozen
from tasks.questions.schema import OVERLAPS, OVERLAPS_FILE, QUESTIONS, QUESTIONS_FILE
from tasks.shared.sources.errors import Reject, SourceError, excerpt
from tasks.shared.sources.rejects import REJECTS, REJECTS_FILE
from tasks.shared.tables.parquet import read_rows, write_parquet

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")


class OverlapConfig(Frozen):
    """Search for overlap with benchmarks, and what becomes of the questions that overlap."""

    ngram_words: int = Field(13, ge=3)
    """Length of a shared run of words that flags a question."""
    exclude: bool = True
    """Leave flagged questions out (they are listed as rejects); otherwise only report them."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A training question and the benchmark question that it shares text with."""

    question_id: str
    benchmark: str
    benchmark_id: str
    kind: str
    evidence: str


def words(text: str) -> list[str]:
    """The words of `text` as they are compared: NFKC, lower case, numbers kept."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


class BenchmarkIndex:
    """Questions of the benchmarks as hashes: memory grows with the benchmarks, not with the training set."""

    def __init__(self, ngram_words: int) -> None:
        self._length = ngram_words
        self._whole: dict[bytes, tuple[str, str]] = {}
        self._ngrams: dict[bytes, tuple[str, str]] = {}

    def add(self, benchmark: str, benchmark_id: str, question: str) -> None:
        """Take in one benchmark question."""
        tokens = words(question)
        self._whole.setdefault(_hash(tokens), (benchmark, benchmark_id))
        for ngram in self._windows(tokens):
            self._ngrams.setdefault(_hash(ngram), (benchmark, benchmark_id))

    def find(self, question_id: str, question: str) -> Overlap | None:
        """The first overlap of a training question, or None."""
        tokens = words(question)
        if tokens and (owner := self._whole.get(_hash(tokens))):
            return Overlap(question_id, *owner, "exact", excerpt(question))
        for ngram in self._windows(tokens):
            if owner := self._ngrams.get(_hash(ngram)):
                return Overlap(question_id, *owner, "ngram", " ".join(ngram))
        return None

    def _windows(self, tokens: list[str]) -> Iterator[list[str]]:
        for start in range(len(tokens) - self._length + 1):
            yield tokens[start : start + self._length]


def decontaminate(config: OverlapConfig, questions: Path, benchmarks: Mapping[str, Path], out: Path) -> dict[str, int]:
    """Copy the questions folder into `out` without what `benchmarks` (name to questions folder) ask; list overlaps.

    Writes questions.parquet, rejects.parquet (those of the input and the flagged ones) and overlaps.parquet.
    Returns the ledger: read = kept + flagged and left out. Raises `SourceError` when no question is left.
    """
    index = BenchmarkIndex(config.ngram_words)
    for name in sorted(benchmarks):
        for row in read_rows(benchmarks[name] / QUESTIONS_FILE, schema=QUESTIONS):
            index.add(name, row["id"], row["question"])
    overlaps: list[Overlap] = []
    rejects = list(read_rows(questions / REJECTS_FILE, schema=REJECTS))

    def kept() -> Iterator[dict[str, str]]:
        for row in read_rows(questions / QUESTIONS_FILE, schema=QUESTIONS):
            overlap = index.find(row["id"], row["question"])
            if overlap:
                overlaps.append(overlap)
            if not overlap or not config.exclude:
                yield row

    count = write_parquet(kept(), out / QUESTIONS_FILE, QUESTIONS, sorted_by=("id",))
    left_out = overlaps if config.exclude else []
    if left_out and not count:
        raise SourceError(f"no question is left: all {len(left_out)} overlap with {', '.join(sorted(benchmarks))}")
    write_parquet([*rejects, *_rejects(left_out)], out / REJECTS_FILE, REJECTS)
    write_parquet((asdict(overlap) for overlap in overlaps), out / OVERLAPS_FILE, OVERLAPS)
    return {"read": count + len(left_out), "kept": count, "overlapping": len(left_out)}


def _rejects(overlaps: Iterable[Overlap]) -> Iterator[dict[str, str | int]]:
    for overlap in overlaps:
        reason = f"{overlap.kind} overlap with {overlap.benchmark} question {overlap.benchmark_id}"
        yield asdict(Reject(QUESTIONS_FILE, 0, "id", overlap.question_id, f"{reason}: {overlap.evidence}"))


def _hash(tokens: list[str]) -> bytes:
    return hashlib.blake2b(" ".join(tokens).encode(), digest_size=12).digest()
