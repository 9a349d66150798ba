"""Reinforcement mid-training as a pipeline, small: what it makes, reuses and refuses, and what can follow it."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from flows.cli.catalog.lineage import sightings
from flows.rmt import rmt
from flows.stages.midtrain import midtrain
from tasks.recipe.merging import RecipeError
from tasks.recipe.rmt import MIXED_SFT
from tasks.report.models import measured_models
from tasks.report.reading import completions
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.plan import planning
from tasks.spine.store.lineage import ancestry, models_that_saw
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.homes import copy_stages
from tests.support.small import SMALL, SMALL_RMT, Run, run

pytestmark = pytest.mark.slow

UNSCORED = {"filter.scorer": {"type": "none"}}
"""Filtering by the verdict alone, which needs no model."""


@pytest.fixture
def done(finished_rmt: Run, in_rmt_home: Path) -> Run:
    """The small pipeline, in whose home the test works."""
    return finished_rmt


def manifests(done: Run, stage: str) -> list[Any]:
    found = {manifest.fingerprint: manifest for name, manifest, *_ in done.stages if name == stage}
    return list(found.values())


def test_baselines_and_method_run_side_by_side_and_only_once(done: Run) -> None:
    assert done.ref.kind == "report"
    assert len(manifests(done, "texts")) == len(manifests(done, "entropy")) == 1
    (measured,) = manifests(done, "entropy")
    assert Store.open().manifest(measured.parents["texts"]).stage == "decontaminate"
    assert len(manifests(done, "schedule")) == len(manifests(done, "rmt_train")) == 2
    assert len(manifests(done, "predict")) == 3
    again = run(rmt, recipe="tiny-cpu-rmt", overrides=SMALL_RMT)
    assert again.built == []
    assert again.ref == done.ref


def test_long_chains_are_learned_beside_the_texts_and_known_as_such(done: Run) -> None:
    arm = {**MIXED_SFT.model_dump(mode="json"), "rl": False}
    few = {**SMALL_RMT, "arms": {"mixed-sft": arm}, "run_arms": [], "chains.tiny.count": 24}
    run(rmt, recipe="tiny-cpu-rmt", overrides=few, arms=["mixed-sft"])
    store = Store.open()
    (mixed,) = [manifest for manifest in store.all("model") if "chains" in manifest.parents]
    chains = store.manifest(mixed.parents["chains"])
    assert (chains.stage, chains.rows["train"]) == ("decontaminate", 24)
    (row, *_) = read_rows(store.local(chains.ref) / "train.parquet")
    assert "<think>" in row["text"]
    assert mixed.ref in {sighting.model.ref for sighting in models_that_saw(store, row["document_id"])}


def test_models_of_one_label_are_told_apart(done: Run) -> None:
    store = Store.open()
    called = [model.label for model in measured_models(store, store.manifest(done.ref))]
    assert called == ["NTR (untrained)", "RPT", "RMT", "RMT, then RL"]


def test_the_report_sets_the_papers_tables_beside_ours(done: Run) -> None:
    page = (Store.open().local(done.ref) / "report.html").read_text()
    for text in ("2509.24375", "NTR (untrained)", "RPT", "62.5", "hard"):
        assert text in page


def test_predictions_can_be_read_and_some_are_traces_of_their_stage(done: Run) -> None:
    store, client = Store.open(), MlflowClient(tracking_uri=Settings().mlflow_uri)
    (predicted, *_) = manifests(done, "predict")
    rows = list(completions(store, predicted.ref))
    assert len(rows) == predicted.rows["predictions"]
    assert {row.model for row in completions(store, done.ref)} >= {"NTR (untrained)", "RMT"}
    experiment = client.get_experiment_by_name("midtrain").experiment_id
    traces = client.search_traces(locations=[experiment], run_id=predicted.mlflow_run_id, max_results=500)
    assert len(traces) == min(len(rows), 200)


def test_plan_says_hit_for_all_and_what_a_budget_would_change(done: Run) -> None:
    with planning(Store.open()) as same:
        rmt.fn(recipe="tiny-cpu-rmt", overrides=SMALL_RMT)
    assert {row.verdict for row in same.rows} == {"hit"}
    with planning(Store.open()) as changed:
        rmt.fn(recipe="tiny-cpu-rmt", overrides={**SMALL_RMT, "schedule.budget.gamma": 0.5}, arms=["rmt"])
    verdicts = {row.stage: row for row in changed.rows}
    assert verdicts["entropy"].verdict == "hit"
    assert "schedule.budget.gamma" in verdicts["schedule"].why
    with planning(Store.open()) as by_proxy:
        rmt.fn(recipe="tiny-cpu-rmt", overrides={**SMALL_RMT, "entropy_model": {"source": "embedded"}}, arms=["rmt"])
    assert len({row.ref for row in by_proxy.rows if row.stage == "model"}) == 2
    assert {row.verdict for row in by_proxy.rows if row.stage == "entropy"} == {"waits"}


def test_a_schedule_is_followed_position_by_position(done: Run) -> None:
    store = Store.open()
    trained = next(m for m in manifests(done, "rmt_train") if m.payload["config"]["ntp_weight"])
    schedule = store.local(trained.parents["schedule"])
    rows = list(read_rows(schedule / "schedule.parquet"))
    curve = trained.summary["curve"]
    assert [point["budget_tokens"] for point in curve] == sorted({row["budget"] for row in rows}, reverse=True)
    assert trained.ledger["rollouts"] == len(rows) * trained.payload["config"]["group_size"]


def test_method_a_goes_on_from_the_checkpoint_and_lineage_shows_both(done: Run) -> None:
    store = Store.open()
    trained = next(m for m in manifests(done, "rmt_train") if m.payload["config"]["ntp_weight"])
    run(midtrain, recipe="tiny-cpu", overrides={**SMALL, **UNSCORED, "model.source": str(trained.ref)})
    after = next(m for m in store.all("model") if m.stage == "midtrain")
    kinds = {node.ref.kind for node in ancestry(store, after.ref).walk()}
    assert kinds >= {"texts", "entropy", "schedule", "model", "questions", "samples", "filtered", "dataset"}
    document = next(iter(read_rows(store.local(trained.parents["schedule"]) / "texts.parquet", ["document_id"])))
    seen = {(s.model.stage, s.direct) for s in models_that_saw(store, document["document_id"])}
    assert {("rmt_train", True), ("midtrain", False)} <= seen
    assert sightings(store, document["document_id"])


def test_what_cannot_work_is_refused_before_any_training(finished_rmt: Run, rmt_home: Path, in_new_home: Path) -> None:
    """Here by the last schedule of all arms; what else the stages refuse is in their own tests."""
    copy_stages(rmt_home, in_new_home, "model", "questions", "texts", "decontaminate", "entropy")
    arms = {**SMALL_RMT["arms"], "rmt": {**SMALL_RMT["arms"]["rmt"], "overrides": {"schedule.steps": 10_000}}}
    with pytest.raises(Exception, match=r"lower schedule\.steps"):
        run(rmt, recipe="tiny-cpu-rmt", overrides={**SMALL_RMT, "arms": arms})
    assert "rmt_train" not in {manifest.stage for manifest in Store.open().all()}


@pytest.mark.parametrize("key", ["rmt_train.ntp_weight", "schedule.budget.gamma", "rmt_train.reward.length_weight"])
def test_settings_out_of_range_are_named(key: str) -> None:
    with pytest.raises(RecipeError, match=key.replace(".", r"\.")):
        rmt.fn(recipe="tiny-cpu-rmt", overrides={key: -1})
