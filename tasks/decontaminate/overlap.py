"""Contamination: training questions that a benchmark asks too, found by exact text and by shared word n-grams.

A word is a run of letters or a number; case, punctuation and LaTeX signs do not count, numbers do. One shared n-gram
flags a question.
"""

import hashlib
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.schema import OVERLAPS, OVERLAPS_FILE
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
from tasks.shared.sources.errors import Reject, SourceError, excerpt
from tasks.shared.sources.rejects import REJECTS, REJECTS_FILE
from tasks.shared.tables.parquet import count_rows, read_rows, write_parquet

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")


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
        self._whole: dict[bytes, list[tuple[str, str]]] = {}
        self._ngrams: dict[bytes, list[tuple[str, str]]] = {}

    def add(self, benchmark: str, benchmark_id: str, question: str) -> None:
        """Take in one benchmark question."""
        tokens = words(question)
        self._whole.setdefault(_hash(tokens), []).append((benchmark, benchmark_id))
        for ngram in self._windows(tokens):
            self._ngrams.setdefault(_hash(ngram), []).append((benchmark, benchmark_id))

    def find(self, question_id: str, question: str) -> list[Overlap]:
        """Overlaps of a training question, one with each benchmark question that it shares text with."""
        tokens = words(question)
        found: dict[tuple[str, str], Overlap] = {}
        for owner in self._whole.get(_hash(tokens), []) if tokens else []:
            found[owner] = Overlap(question_id, *owner, "exact", excerpt(question))
        for ngram in self._windows(tokens):
            for owner in self._ngrams.get(_hash(ngram), []):
                found.setdefault(owner, Overlap(question_id, *owner, "ngram", " ".join(ngram)))
        return list(found.values())

    def _windows(self, tokens: list[str]) -> Iterator[list[str]]:
        for start in range(len(tokens) - self._length + 1):
            yield tokens[start : start + self._length]


def leave_out(
    config: DecontaminateConfig, questions: Path, benchmarks: Mapping[str, Path], out: Path
) -> tuple[dict[str, int], dict[str, int]]:
    """Copy the questions folder into `out` without what `benchmarks` (name to questions folder) ask; list overlaps.

    Writes questions.parquet, rejects.parquet (those of the input and the flagged ones) and, where there are any,
    overlaps.parquet. A set without overlaps is copied byte for byte, so that what was made from it stays valid.

    Returns the ledger, read = kept + flagged and left out, and the number of questions of each benchmark that a
    training question shares text with. Raises `SourceError` when no question is left.
    """
    index = BenchmarkIndex(config.ngram_words)
    for name in sorted(benchmarks):
        for row in read_rows(benchmarks[name] / QUESTIONS_FILE, schema=QUESTIONS):
            index.add(name, row["id"], row["question"])
    overlaps = [
        overlap
        for row in read_rows(questions / QUESTIONS_FILE, schema=QUESTIONS)
        for overlap in index.find(row["id"], row["question"])
    ]
    read = count_rows(questions / QUESTIONS_FILE)
    left_out = {overlap.question_id: overlap for overlap in reversed(overlaps)} if config.exclude else {}
    if left_out and len(left_out) == read:
        raise SourceError(f"no question is left: all {read} overlap with {', '.join(sorted(benchmarks))}")
    if overlaps:
        write_parquet(map(asdict, overlaps), out / OVERLAPS_FILE, OVERLAPS)
    if left_out:
        rows = read_rows(questions / QUESTIONS_FILE, schema=QUESTIONS)
        kept = (row for row in rows if row["id"] not in left_out)
        write_parquet(kept, out / QUESTIONS_FILE, QUESTIONS, sorted_by=("id",))
        flagged = _rejects(left_out[key] for key in sorted(left_out))
        rejects = chain(read_rows(questions / REJECTS_FILE, schema=REJECTS), flagged)
        write_parquet(rejects, out / REJECTS_FILE, REJECTS)
    else:
        for name in (QUESTIONS_FILE, REJECTS_FILE):
            shutil.copyfile(questions / name, out / name)
    asked = Counter(benchmark for benchmark, _ in {(item.benchmark, item.benchmark_id) for item in overlaps})
    ledger = {"read": read, "kept": read - len(left_out), "overlapping": len(left_out)}
    return ledger, {name: asked[name] for name in sorted(benchmarks)}


def _rejects(overlaps: Iterable[Overlap]) -> Iterator[dict[str, str | int]]:
    for overlap in overlaps:
        reason = f"{overlap.kind} overlap with {overlap.benchmark} question {overlap.benchmark_id}"
        yield asdict(Reject(QUESTIONS_FILE, 0, "id", overlap.question_id, f"{reason}: {overlap.evidence}"))


def _hash(tokens: list[str]) -> bytes:
    return hashlib.blake2b(" ".join(tokens).encode(), digest_size=12).digest()
