"""Entropy artifacts of documents whose characters span tokens, in a store of their own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.entropy.schema import ENTROPY, ENTROPY_FILE
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.tables.parquet import write_parquet
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.stage import Build, Outcome, ensure
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tests.support.entropy_table import WORDS
from tests.support.thinking_tokenizer import thinking_tokenizer


class Quiet:
    """Watches a build and says nothing."""

    def started(self, build: Build) -> str | None:
        return None

    def progress(self, line: dict[str, Any]) -> None: ...

    def metrics(self, line: dict[str, Any]) -> None: ...

    def finished(self, manifest: object) -> None: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def make(settings: Settings) -> Callable[..., Outcome]:
    """Runs a stage in the test's own store."""

    def run(stage: Stage, body: Callable[..., None], config: Any, **parents: ArtifactRef) -> Outcome:
        return ensure(StageCall(stage, body, config, Runtime(), parents), watcher=Quiet(), settings=settings)

    return run


@pytest.fixture
def model(make: Callable[..., Outcome]) -> Callable[..., ArtifactRef]:
    """A model artifact with a tokenizer; `name` makes models with one tokenizer differ."""

    def save(name: str = "policy", **tokenizer: Any) -> ArtifactRef:
        def body(build: Build, config: dict[str, Any]) -> None:
            thinking_tokenizer(**{"words": WORDS, **tokenizer}).save_pretrained(build.out)
            (build.out / "name.txt").write_text(name)

        return make(Stage("model", version=1, kind="model"), body, {"name": name}).manifest.ref

    return save


@pytest.fixture
def entropy(make: Callable[..., Outcome]) -> Callable[..., ArtifactRef]:
    """An entropy artifact of rows, computed under a model."""

    def save(rows: Sequence[dict[str, Any]], model: ArtifactRef, digest: str = "") -> ArtifactRef:
        def body(build: Build, config: dict[str, Any]) -> None:
            write_parquet(rows, build.out / ENTROPY_FILE, ENTROPY, sorted_by=("split", "document_id"))
            build.record(summary={"tokenizer_digest": digest or tokenizer_digest(build.path("model"))})

        key = {"rows": str([(row["document_id"], row["tokens"].tolist(), row["split"]) for row in rows])}
        return make(Stage("entropy", version=1, kind="entropy"), body, key, model=model).manifest.ref

    return save
