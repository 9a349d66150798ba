"""The program itself, killed and started again; the stage and what it refuses."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from tasks.errors import Permanent
from tasks.rl.rollouts import ROLLOUTS_FILE
from tasks.rmt.config import RMTTrainConfig
from tasks.rmt.task import train
from tasks.rmt.worker import run
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.next_token.reader import OUTCOMES
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.launch import WorkerFailed, run_worker
from tasks.spine.stage.stage import Build, ensure
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.guessing import PROMPT, MakeJob, write_schedule
from tests.support.killing import kill_when
from tests.support.random_model import save_random_model

pytestmark = pytest.mark.slow
MODULE = "tasks.rmt.worker"


@pytest.mark.parametrize("baseline", [{}, {"baseline": "critic", "group_size": 1}], ids=["groups", "critic"])
def test_a_killed_trainer_finishes_on_the_next_run_as_if_nothing_had_happened(
    baseline: dict[str, Any], make_job: MakeJob, tmp_path: Path
) -> None:
    settings = {"steps": 24, "learning_rate": 1e-4, **baseline}
    straight = run(make_job("a", **settings), Reporter(tmp_path / "a"))
    job, work = make_job("b", save_every_steps=3, **settings), tmp_path / "b" / "w"
    killer = kill_when(work, lines=7)
    with pytest.raises(WorkerFailed, match="exit code -9"):
        run_worker(MODULE, job, work, timeout_s=200)
    killer.join()
    resumed = run(job, Reporter(work))
    assert resumed["resumed_from_step"] >= 6
    assert resumed["ledger"] == straight["ledger"]
    assert resumed["curve"] == straight["curve"]
    for file in ("model.safetensors", ROLLOUTS_FILE):
        assert (tmp_path / "a" / "out" / file).read_bytes() == (tmp_path / "b" / "out" / file).read_bytes(), file
    assert {row["verdict"] for row in read_rows(tmp_path / "b" / "out" / ROLLOUTS_FILE)} <= set(OUTCOMES)


def test_a_tokenizer_without_think_tags_is_refused_before_the_start(make_job: MakeJob, tmp_path: Path) -> None:
    plain = save_random_model(tmp_path / "plain")
    job = make_job("tags").model_copy(update={"model": plain})
    with pytest.raises(Permanent, match=r"'<think>' .*open_tag.* is not one token"):
        run(job, Reporter(tmp_path / "tags"))


class Watcher:
    """Keeps the manifest lines of a build."""

    def started(self, build: Build) -> str | None:
        return None

    def progress(self, line: dict[str, Any]) -> None: ...

    def metrics(self, line: dict[str, Any]) -> None: ...

    def finished(self, manifest: Manifest | None) -> None: ...


def published(settings: Settings, kind: str, source: Path, config: dict[str, Any], summary: dict[str, Any]) -> Any:
    """A folder of files as an artifact."""

    def copy(build: Build, _: dict[str, Any]) -> None:
        shutil.copytree(source, build.out, dirs_exist_ok=True)
        build.record(summary=summary)

    stage = Stage(f"given-{kind}", version=1, kind=kind)
    return ensure(StageCall(stage, copy, config, Runtime(), {}), watcher=Watcher(), settings=settings).manifest.ref


def test_the_stage_publishes_a_model_with_its_ledger(guesser: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    folder = write_schedule(tmp_path / "schedule", guesser, steps=2, slots=2)
    config = RMTTrainConfig(group_size=2, max_completion_tokens=16, prediction_prompt=PROMPT)

    def build(digest: str, prompt: dict[str, Any]) -> Manifest:
        parents: dict[str, ArtifactRef] = {
            "model": published(settings, "model", guesser, {}, {}),
            "schedule": published(
                settings,
                "schedule",
                folder,
                {"prediction_prompt": prompt, "n": digest},
                {"tokenizer_digest": digest, **PromptForm().summary()},
            ),
        }
        runtime = Runtime(device="cpu", num_threads=1)
        found = ensure(
            StageCall(train.stage, train.body, config, runtime, parents), watcher=Watcher(), settings=settings
        )
        return found.manifest

    with pytest.raises(Permanent, match="written with the tokenizer 0000"):
        build("0" * 64, PROMPT.model_dump())
    with pytest.raises(Permanent, match="open_tag: '<a>' there, '<think>' here"):
        build(tokenizer_digest(guesser), PROMPT.model_dump() | {"open_tag": "<a>"})
    manifest = build(tokenizer_digest(guesser), PROMPT.model_dump())
    outcomes = [manifest.ledger[name] for name in ("right", "wrong", "no_prediction", "truncated")]
    assert sum(outcomes) == manifest.ledger["rollouts"] == manifest.rows["rollouts"] == 8
    assert [point["step"] for point in manifest.summary["curve"]] == [1, 2]
    model = Store.open(settings).local(manifest.ref)
    AutoModelForCausalLM.from_pretrained(model)
    assert not [path for path in model.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")]
