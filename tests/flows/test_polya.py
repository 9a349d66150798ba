"""The whole chain on real parts, small: what it makes, what it reuses, and what it does when things go missing."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.polya import polya
from flows.stages.generate import generate
from tasks.errors import Permanent
from tasks.report.reading import completions
from tasks.spine.stage.plan import planning
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.small import SMALL, Run, run

pytestmark = pytest.mark.slow


def test_first_run_builds_every_stage(finished: Run) -> None:
    stages = set(finished.built)
    assert stages >= {"model", "questions", "generate", "filter", "dataset", "rl_prompts", "midtrain", "rl"}
    made = {manifest.stage: manifest for _, manifest, *_ in finished.stages}
    clean = {manifest.ref for _, manifest, *_ in finished.stages if manifest.stage == "decontaminate"}
    assert {made[stage].parents["questions"] for stage in ("generate", "rl_prompts")} == clean
    assert finished.built.count("rl") == 2
    assert finished.built.count("evaluate") == 4
    assert finished.ref.kind == "report"


def test_ledgers_add_up(finished: Run) -> None:
    by_name = {name: manifest for name, manifest, *_ in finished.stages}
    generated = by_name["generate"].rows["samples"]
    assert generated == 16 * 6
    filtered = by_name["filter"]
    assert filtered.ledger["generated"] == generated


def test_second_run_is_served_from_the_store_and_changes_nothing(finished: Run, in_small_home: Path) -> None:
    before = _files(in_small_home / "store")
    again = run(polya, recipe="tiny-cpu", overrides=SMALL)
    assert again.built == []
    assert again.ref == finished.ref
    assert _files(in_small_home / "store") == before


def test_deleted_artifacts_and_truncated_files_behind_cache_hits_are_made_again(finished: Run, store: Store) -> None:
    made = {name: manifest for name, manifest, *_ in finished.stages}
    shutil.rmtree(Path(store.files.full(made["dataset"].ref.path)))
    path = store.local(made["filter"].ref) / "verdicts.parquet"
    os.truncate(path, path.stat().st_size // 2)
    again = run(polya, recipe="tiny-cpu", overrides=SMALL)
    assert again.built == ["filter", "dataset"]
    for name in again.built:
        assert store.manifest(made[name].ref).digest == made[name].digest
    assert pq.read_table(path).num_rows == 96


def test_plan_says_hit_for_all_and_names_the_field_that_changed(finished: Run, store: Store) -> None:
    with planning(store) as same:
        polya.fn(recipe="tiny-cpu", overrides=SMALL)
    assert {row.verdict for row in same.rows} == {"hit"}
    with planning(store) as changed:
        polya.fn(recipe="tiny-cpu", overrides={**SMALL, "rl.learning_rate": 3e-4})
    rl = next(row for row in changed.rows if row.stage == "rl")
    assert rl.verdict == "miss"
    assert "rl.learning_rate" in rl.why
    assert {row.stage for row in changed.rows if row.verdict == "waits"} == {"evaluate", "report"}


def test_an_arm_stops_before_rl_where_its_start_is_above_the_bound_and_a_plan_goes_on(
    finished: Run, store: Store
) -> None:
    bounded = {**SMALL, "max_seldom_share": 0.0}
    with planning(store) as same:
        polya.fn(recipe="tiny-cpu", overrides=bounded)
    assert {row.verdict for row in same.rows} == {"hit"}, "the bound is no part of any key"
    with pytest.raises(Permanent, match=r"max_seldom_share=0\.0: RL would start from 'Base', .*nothing was trained"):
        run(polya, recipe="tiny-cpu", overrides=bounded)
    assert run(polya, recipe="tiny-cpu", overrides={**SMALL, "max_seldom_share": 1.0}).ref == finished.ref


def test_one_more_sample_generates_only_the_difference(finished: Run, in_small_home: Path) -> None:
    samples = SMALL["questions.tiny.count"] * 6
    pools = sorted((in_small_home / "store" / "pool").iterdir())
    before = {pool: _pool_rows(pool) for pool in pools}
    run(generate, recipe="tiny-cpu", overrides={**SMALL, "generate.samples_per_heuristic": 2})
    grown = {pool: _pool_rows(pool) - before.get(pool, 0) for pool in (in_small_home / "store" / "pool").iterdir()}
    assert sum(grown.values()) == max(grown.values()) == samples


def test_mlflow_holds_the_same_lineage_as_the_manifests(finished: Run, in_small_home: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=Settings().mlflow_uri)
    rl = next(m for name, m, *_ in finished.stages if name == "rl")
    record = client.get_run(rl.mlflow_run_id)
    assert record.info.status == "FINISHED"
    assert record.data.tags["midtrain.fingerprint"] == rl.fingerprint
    assert {item.dataset.digest for item in record.inputs.dataset_inputs} == {rl.parents["prompts"].digest[:32]}
    assert len(record.inputs.model_inputs) == 1
    assert len(record.outputs.model_outputs) == 1
    history = client.get_metric_history(rl.mlflow_run_id, "reward")
    assert [metric.step for metric in history] == [1, 2]
    assert json.loads(record.data.tags["midtrain.ledger"]) == rl.ledger
    assert json.loads(record.data.tags["midtrain.rows"]) == rl.rows
    assert not [name for name in record.data.metrics if name.startswith(("ledger", "rows"))]


def test_two_pipelines_compare_in_mlflows_table(finished: Run, store: Store) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=Settings().mlflow_uri)
    report = store.manifest(finished.ref)
    stage = client.get_run(report.mlflow_run_id)
    record = client.get_run(stage.data.tags["mlflow.parentRunId"])
    rows = {(row["label"], row["benchmark"]): row["metrics"]["pass@1"]["mean"] for row in report.summary["models"]}
    found = {name: value for name, value in record.data.metrics.items() if "/pass_at_1 " in name}
    assert found == {f"{benchmark}/pass_at_1 {label}": value for (label, benchmark), value in rows.items()}
    (row,) = [row for row in report.summary["comparisons"] if row["metric"] == "pass@1"]
    name = f"difference/{row['benchmark']} pass_at_1 {row['candidate']} minus {row['baseline']}"
    assert record.data.metrics[name] == row["difference"]
    assert (record.data.params["recipe"], record.data.params["rl.steps"]) == ("tiny-cpu", str(SMALL["rl.steps"]))
    assert record.data.params["dataset.min_rows"] == str(SMALL["dataset.min_rows"]), "overrides stand there too"
    used = {manifest.digest[:32] for _, manifest, *_ in finished.stages if manifest.kind in ("questions", "dataset")}
    assert {item.dataset.digest for item in record.inputs.dataset_inputs} == used


def test_some_completions_of_a_stage_are_traces_of_its_run(finished: Run, store: Store) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=Settings().mlflow_uri)
    experiment = client.get_experiment_by_name("midtrain").experiment_id
    for kind, facts in (
        ("filtered", ("heuristic", "fate")),
        ("evaluation", ("source",)),
        ("model", ("step", "reward")),
    ):
        manifest = store.all(kind)[-1]
        rows = list(completions(store, manifest.ref))
        traces = client.search_traces(locations=[experiment], run_id=manifest.mlflow_run_id, max_results=500)
        assert len(traces) == len(rows) <= 200
        spans = [trace.data.spans[0] for trace in traces]
        asked = Counter((span.inputs["question"], span.outputs, span.attributes["verdict"]) for span in spans)
        assert asked == Counter((row.question, row.completion, row.verdict) for row in rows)
        assert all(name in span.attributes for span in spans for name in ("gold", *facts))


def test_the_report_says_which_command_made_it_and_shows_rollouts(finished: Run, store: Store) -> None:
    report = store.manifest(finished.ref)
    assert report.summary["command"].startswith("midtrain run polya --recipe tiny-cpu --set ")
    assert "--set rl.steps=2" in report.summary["command"]
    page = (store.local(finished.ref) / "report.html").read_text()
    assert page.count("<b>step 1</b>") == page.count("<b>step 2</b>") == 4


def test_nothing_correct_stops_before_training_and_keeps_what_was_made(in_new_home: Path, tmp_path: Path) -> None:
    path = tmp_path / "hard.jsonl"
    path.write_text('{"question": "What is the 900th prime times 77777?", "answer": "1"}\n' * 1)
    overrides = {
        **SMALL,
        "questions.source": str(path),
        "questions.fields": {"question": "question", "answer": "answer"},
    }
    with pytest.raises(Exception, match=r"^0 of \d+ right: .*nothing to train on"):
        run(polya, recipe="tiny-cpu", overrides=overrides)
    kinds = {manifest.kind for manifest in Store.open().all()}
    assert {"samples", "filtered"} <= kinds
    assert "midtrain" not in {manifest.stage for manifest in Store.open().all()}


def test_mlflow_down_costs_tracking_and_nothing_else(
    in_new_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from flows.stages.questions import questions

    monkeypatch.setenv("MIDTRAIN_TRACKING_URI", "http://127.0.0.1:9")
    done = run(questions, recipe="tiny-cpu", overrides=SMALL)
    assert done.built == ["questions"]
    assert Store.open().manifest(done.ref).mlflow_run_id is None
    assert "tracking is off" in caplog.text


def _pool_rows(pool: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in pool.glob("*.parquet"))


def _files(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
