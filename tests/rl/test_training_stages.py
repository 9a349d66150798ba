"""Mid-training and RL as stages of the store: identity, lineage, ledgers, and models that load."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from tasks.midtrain.config import MidtrainConfig
from tasks.midtrain.task import train as midtrain
from tasks.rl.config import RLConfig
from tasks.rl.task import train as rl
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.stage import Build, ensure
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.adapters import LORA
from tests.support.rl_jobs import write_prompts
from tests.support.training_rows import make_rows, write_rows

pytestmark = pytest.mark.slow


class Watcher:
    """Keeps what a build reports."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def started(self, build: Build) -> str | None:
        return None

    def progress(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    def metrics(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    def finished(self, manifest: Manifest | None) -> None: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def published(settings: Settings, kind: str, source: Path) -> ArtifactRef:
    """A folder of files as an artifact."""

    def copy(build: Build, config: dict[str, str]) -> None:
        shutil.copytree(source, build.out, dirs_exist_ok=True)
        build.record(summary=PromptForm().summary())

    stage = Stage(f"given-{kind}", version=1, kind=kind)
    return ensure(
        StageCall(stage, copy, {"source": source.name}, Runtime(), {}), watcher=Watcher(), settings=settings
    ).manifest.ref


def test_both_stages_publish_models_with_their_ledgers(guesser: Path, settings: Settings, tmp_path: Path) -> None:
    """As adapters, which leave what a whole model leaves and their own files; whole ones pass tests/flows."""
    for name in ("solutions", "prompts"):
        (tmp_path / name).mkdir()
    write_rows(tmp_path / "solutions" / "train.parquet", make_rows(12))
    questions = [{"prompt": f"Q: {i}\nA:", "answer": "3", "question_id": f"q{i}"} for i in range(4)]
    write_prompts(tmp_path / "prompts" / "rl.parquet", questions)
    runtime = Runtime(device="cpu", num_threads=1, num_verifiers=1)
    parents = {"model": published(settings, "model", guesser)}

    def build(task: Any, config: Any, **more: ArtifactRef) -> tuple[Manifest, Watcher]:
        watcher = Watcher()
        outcome = ensure(
            StageCall(task.stage, task.body, config, runtime, parents | more), watcher=watcher, settings=settings
        )
        return outcome.manifest, watcher

    dataset = published(settings, "dataset", tmp_path / "solutions")
    trained, watcher = build(midtrain, MidtrainConfig(batch_size=4, epochs=1, lora=LORA), dataset=dataset)
    assert trained.ledger["trained_tokens"] == trained.ledger["completion_tokens"]
    assert [point["step"] for point in trained.summary["curve"]] == [1, 2, 3]
    assert {"done", "total", "unit", "values"} in [set(line) for line in watcher.lines]

    prompts = published(settings, "dataset", tmp_path / "prompts")
    config = RLConfig(prompts_per_step=2, group_size=2, steps=2, max_completion_tokens=12, lora=LORA)
    tuned, _ = build(rl, config, model=trained.ref, prompts=prompts)
    outcomes = [tuned.ledger[name] for name in ("correct", "wrong", "unparsed", "timeout", "error", "truncated")]
    assert sum(outcomes) == tuned.ledger["rollouts"] == 8
    assert [point["step"] for point in tuned.summary["curve"]] == [1, 2]
    for manifest in (trained, tuned):
        folder = Store.open(settings).local(manifest.ref)
        AutoModelForCausalLM.from_pretrained(folder)
        names = [json.loads(file.read_text())["base_model_name_or_path"] for file in folder.glob("adapter/*.json")]
        assert names == [str(manifest.parents["model"])]
        (rows,) = manifest.trained_on
        data = Store.open(settings).local(manifest.parents[rows.role])
        assert all(row[rows.id_column] for row in read_rows(data / rows.path, [rows.id_column]))
        assert not [path for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")]
