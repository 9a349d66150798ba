"""A store with questions of the small world and its base model, for stages that generate and filter."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.config import Frozen
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.stage import Build, ensure
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.store import Store
from tasks.tiny.problems import generate_problems
from tests.bench.bare import Silent
from tests.support.bare_home import bare_home
from tests.support.paths import TINY_MODEL

TINY = PromptConfig(
    style="plain",
    plain_template="Q: {question}",
    heuristic_template="Q: {question}\nMethod: {name}",
    cue="\nA:",
)
"""Prompts as the embedded model knows them."""


class NumberOf(Frozen):
    """How many questions."""

    count: int


def _write_questions(build: Build, config: NumberOf) -> None:
    rows = [
        {"id": f"{i:04d}", "question": item.question, "answer": str(item.answer), "source": "tiny", "meta": "{}"}
        for i, item in enumerate(generate_problems("dev", config.count, seed=1))
    ]
    write_parquet(rows, build.out / QUESTIONS_FILE, QUESTIONS)


def _point_at_model(build: Build, config: Any) -> None:
    build.record(external=str(TINY_MODEL))


@dataclass
class World:
    """References to parents, and the store that they are in."""

    questions: ArtifactRef
    model: ArtifactRef
    store: Store
    home: Path

    def rows(self, ref: ArtifactRef, name: str) -> list[Row]:
        """A table of an artifact."""
        return list(read_rows(self.store.local(ref) / name))

    def pool_files(self) -> dict[str, bytes]:
        """Batches of all pools, with what is in them."""
        return {path.name: path.read_bytes() for path in (self.home / "store" / "pool").glob("*/*.parquet")}


def make(stage: str, kind: str, body: Any, config: Any) -> ArtifactRef:
    """Publish what `body` makes."""
    return ensure(StageCall(Stage(stage, 1, kind), body, config, Runtime(), {}), watcher=Silent()).manifest.ref


@contextmanager
def small_world(home: Path) -> Iterator[World]:
    """A home with 10 questions and the base model; stages run bare."""
    with bare_home(home):
        questions = make("questions", "questions", _write_questions, NumberOf(count=10))
        model = make("model", "model", _point_at_model, NumberOf(count=0))
        yield World(questions, model, Store.open(), home)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A home with 10 questions and the base model; stages run bare."""
    with small_world(tmp_path_factory.mktemp("home")) as world:
        yield world
