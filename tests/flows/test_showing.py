"""What a run shows of itself to people who open it in Prefect or MLflow."""

import base64
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterName,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import Artifact
from prefect.client.schemas.sorting import FlowRunSort

from flows.pipeline.pages import show_results
from flows.polya import polya
from flows.server.reading import all_rows
from flows.stages.generate import generate
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tasks.spine.tracking.journal import once
from tests.support.paths import ROOT
from tests.support.small import SMALL, Run, run
from tests.support.ui_record import serves

pytestmark = pytest.mark.slow

LABELS = ("Base", "Mid-trained", "RL from base", "RL from mid-trained")
VALUE = re.compile(r"\d+\.\d \[\d+\.\d, \d+\.\d\]")


def parent_of(manifest: Manifest) -> MlflowRun:
    """The MLflow run of the pipeline that built an artifact."""
    client = MlflowClient(tracking_uri=Settings().mlflow_uri)
    return client.get_run(client.get_run(manifest.mlflow_run_id).data.tags["mlflow.parentRunId"])


def everything(flow_run: UUID | str) -> list[Artifact]:
    """Artifacts on a flow run's page, those of its tasks included."""
    chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(str(flow_run))]))
    with get_client(sync_client=True) as client:
        return client.read_artifacts(artifact_filter=chosen)


def shown(flow_run: UUID | str) -> dict[str, Artifact]:
    """A flow run's own artifacts by key."""
    return {item.key: item for item in everything(flow_run) if item.key and item.task_run_id is None}


def rows(artifact: Artifact) -> list[dict[str, Any]]:
    return json.loads(artifact.data)


@pytest.fixture
def parent(finished: Run, in_small_home: Path) -> MlflowRun:
    return parent_of(finished.stages[-1].manifest)


@pytest.fixture
def page(parent: MlflowRun) -> dict[str, Artifact]:
    """What the small pipeline left on its page."""
    return shown(parent.data.tags["prefect.flow_run_id"])


def test_scores_are_a_table_that_people_can_read(page: dict[str, Artifact]) -> None:
    found = rows(page["scores"])
    assert [row["model"] for row in found] == list(LABELS)
    assert {row["benchmark"] for row in found} == {"tiny-test"}
    assert all(VALUE.fullmatch(row[metric]) for row in found for metric in ("greedy", "pass@1", "pass@2"))


def test_differences_are_told_with_interval_test_and_verdict(page: dict[str, Artifact]) -> None:
    found = rows(page["differences"])
    assert {(row["candidate"], row["baseline"]) for row in found} == {("RL from mid-trained", "RL from base")}
    assert all(re.fullmatch(r"\[[+−]?\d+\.\d, [+−]?\d+\.\d\]", row["interval"]) for row in found)
    assert {row["verdict"] for row in found} <= {"one training", "no significant difference"}


def test_comparisons_keep_their_precision(page: dict[str, Artifact], finished: Run, store: Store) -> None:
    assert rows(page["comparisons"]) == store.manifest(finished.ref).summary["comparisons"]


def test_ci_judges_a_run_by_what_the_server_alone_shows(parent: MlflowRun, tmp_path: Path) -> None:
    """The gate finds a run by the name that its tag gives it; a home of its own has no store."""
    summary, flow_run = tmp_path / "summary.md", UUID(parent.data.tags["prefect.flow_run_id"])
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run, tags=["ci-1-1"])
        address = str(client.api_url)
    command = [sys.executable, "-m", "flows.cli", "gate", "ci-1-1", "--margin", "1", "--summary", str(summary)]
    environment = {**os.environ, "MIDTRAIN_HOME": str(tmp_path / "ci"), "PREFECT_API_URL": address}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| candidate | baseline |" in summary.read_text()
    assert "No regression" in summary.read_text()


def test_the_report_holds_its_plots(page: dict[str, Artifact], finished: Run, store: Store) -> None:
    images = dict(re.findall(r"!\[(.+)\]\(data:image/png;base64,(.+)\)", page["report"].data))
    files = {path.stem: path.read_bytes() for path in (store.local(finished.ref) / "plots").glob("*.png")}
    assert {name: base64.b64decode(image) for name, image in images.items()} == files
    assert "training-reward" in files


def test_stages_say_what_was_built_and_how_to_see_its_run(page: dict[str, Artifact], finished: Run) -> None:
    table = page["stages"].data
    for passed in finished.stages:
        assert f"| {passed.stage} | " in table
        assert f"`{passed.manifest.ref}` | {passed.manifest.mlflow_run_id} |" in table
    assert "| rl | RL from base | **built now** |" in table
    assert "`midtrain ui`" in table
    assert "mlflow" not in page


def test_a_run_that_is_through_shows_results_and_no_progress(page: dict[str, Artifact]) -> None:
    assert set(page) == {"scores", "differences", "comparisons", "report", "stages", "commits"}


def test_the_log_of_a_pipeline_has_a_line_for_each_stage(parent: MlflowRun, finished: Run) -> None:
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(parent.data.tags["prefect.flow_run_id"])]))
    with get_client(sync_client=True) as client:
        logs = all_rows(client.read_logs, log_filter=chosen)
    lines = [log.message for log in logs if log.message.startswith("[")]
    stages = once(finished.stages)
    assert [line.split("]")[0] for line in lines] == [f"[{k}/{len(stages)}" for k in range(1, len(stages) + 1)]
    built = next(passed.manifest for passed in stages if passed.label == "RL from base")
    assert any(
        re.search(rf"\] rl RL from base: built in [\d.]+ s, {built.ref.kind}/{built.fingerprint[:8]}$", line)
        for line in lines
    )


def test_the_graph_shows_what_was_made_from_what(parent: MlflowRun) -> None:
    with get_client(sync_client=True) as client:
        run = parent.data.tags["prefect.flow_run_id"]
        nodes = dict(client.request("GET", "/flow_runs/{id}/graph-v2", path_params={"id": run}).json()["nodes"])
    edges = {
        (
            nodes[edge["id"]]["label"].partition(" / ")[2] or nodes[edge["id"]]["label"],
            node["label"].partition(" / ")[2],
        )
        for node in nodes.values()
        for edge in node["parents"]
    }
    chain = ("generate: polya", "filter: polya", "dataset: polya", "midtrain: Mid-trained", "rl: RL from mid-trained")
    assert set(pairwise(chain)) <= edges
    assert {source for source, target in edges if target == chain[-1]} == {chain[-2], "rl_prompts: RL questions"}


def test_mlflow_tells_the_result_and_leads_back_to_prefect(parent: MlflowRun) -> None:
    note = parent.data.tags["mlflow.note.content"]
    assert f"/runs/flow-run/{parent.data.tags['prefect.flow_run_id']})" in note
    assert all(f"| {label} | **" in note for label in LABELS)
    client = MlflowClient(tracking_uri=Settings().mlflow_uri)
    assert [item.path for item in client.list_artifacts(parent.info.run_id)] == ["report.html"]


def test_models_have_names_and_scores_on_the_benchmark(finished: Run, in_small_home: Path) -> None:
    client = MlflowClient(tracking_uri=Settings().mlflow_uri)
    evaluation = next(
        passed for passed in finished.stages if passed.label == "RL from mid-trained" and passed.stage == "evaluate"
    )
    asked, digest = evaluation.manifest.parents["questions.tiny-test"], evaluation.manifest.parents["model"].digest
    experiment = client.get_experiment_by_name("midtrain").experiment_id
    (model,) = client.search_logged_models([experiment], f"tags.digest = '{digest}'")
    assert model.name == f"RL from mid-trained {digest[:8]}"
    (metric,) = [item for item in model.metrics if item.key == "tiny-test/pass_at_1"]
    assert metric.value == evaluation.manifest.summary["scores"]["tiny-test"]["pass@1"]
    assert (metric.dataset_name, metric.dataset_digest) == ("questions tiny", asked.digest[:32])
    assert client.get_run(metric.run_id).info.run_name == "evaluate: RL from mid-trained"


def test_a_run_from_the_store_shows_the_same_with_links_to_the_runs_that_built_it(
    finished: Run, in_small_home: Path, page: dict[str, Artifact]
) -> None:
    serves(in_small_home)
    with get_client(sync_client=True) as client:
        again = run(polya, recipe="tiny-cpu", overrides=SMALL)
        # By name and newest first: a page of all runs holds 200 of them, in no order of time.
        named = FlowRunFilter(name=FlowRunFilterName(any_=["polya-tiny-cpu"]))
        (new,) = client.read_flow_runs(flow_run_filter=named, sort=FlowRunSort.START_TIME_DESC, limit=1)
    found = shown(new.id)
    assert again.built == []
    assert {key: found[key].data for key in ("scores", "comparisons")} == {
        key: page[key].data for key in ("scores", "comparisons")
    }
    table = found["stages"].data
    assert "built now" not in table
    assert all(f"http://127.0.0.1:5999/#/runs/{passed.manifest.mlflow_run_id}?" in table for passed in again.stages)


def test_runs_link_to_their_runs_in_mlflow(in_new_home: Path) -> None:
    serves(in_new_home)
    stages = run(generate, recipe="tiny-cpu", overrides={**SMALL, "questions.tiny.count": 2}).stages
    parent = parent_of(stages[0].manifest)
    # The questions, built first and in a run of their own, are not where the pipeline's link belongs.
    assert stages[0].stage == "questions"
    links = [item for item in everything(parent.data.tags["prefect.flow_run_id"]) if item.key == "mlflow"]
    (link,) = [item.data for item in links if item.task_run_id is None]
    assert f"/runs/{parent.info.run_id}?workflowType=machine_learning)" in link
    built = {passed.stage: passed.manifest.mlflow_run_id for passed in stages}
    own = {re.findall(r"/runs/(\w+)[?]", item.data)[0] for item in links if item.task_run_id is not None}
    assert own == {built["model"], built["generate"]}


def test_what_cannot_be_shown_is_said_and_stops_nothing(in_new_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    show_results(ArtifactRef(kind="report", fingerprint="0" * 64, digest="0" * 64))
    assert "the results could not be shown" in caplog.text
