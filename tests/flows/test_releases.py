"""New base models: each released once, compared with the earlier ones, registered; the best one leads."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest
from mlflow import MlflowClient
from prefect.settings import PREFECT_API_URL

from tasks.shared.models.resolve import EMBEDDED_PATH
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.base_models import put_model
from tests.support.homes import copy_stages
from tests.support.hub_server import COMMIT, Hub, Repository, ask, serve
from tests.support.small import BEFORE_TRAINING, RL_ONLY, SMALL, Run, run

pytestmark = pytest.mark.slow

OVERRIDES = {**SMALL, **RL_ONLY, "runtime.num_threads": 1}


def watch(models: Path) -> tuple[list[str], list[tuple[str, bool]]]:
    """One tick: names of the models it released, and the stages passed, with whether they came from the store."""
    from flows.watch_base_models import watch_base_models

    done = run(watch_base_models, source=str(models), recipe="tiny-cpu", settle_s=0, overrides=OVERRIDES)
    return [Path(source).name for source in done.ref], [(name, hit) for name, _, hit, _ in done.stages]


def test_each_new_base_model_is_released_once_by_two_watchers_and_compared(
    finished: Run, small_home: Path, in_new_home: Path
) -> None:
    """The first is the small pipeline's base model, whose stages are there; the second's are all made here."""
    copy_stages(small_home, in_new_home, *BEFORE_TRAINING, "rl", "evaluate")
    models = in_new_home / "arrivals"
    put_model(models / "first")
    # Prefect's settings are those of a context, which a thread does not have of itself.
    with ThreadPoolExecutor() as threads:
        ticks = [threads.submit(copy_context().run, watch, models) for _ in range(2)]
    # A watcher that comes to it when the other has just ended finds what that released, and names it too.
    assert max(tick.result()[0] for tick in ticks) == ["first"]
    assert all(tick.result()[0] in ([], ["first"]) for tick in ticks)
    assert len(Store.open().all("report")) == 2
    assert len(Store.open().all("release")) == 1

    put_model(models / "second", factor=1.02)
    shutil.copytree(models / "first", models / "first-under-another-name")
    started, stages = watch(models)
    assert started == ["second"]
    built = [name for name, hit in stages if not hit]
    assert {"questions", "rl_prompts"} <= {name for name, hit in stages if hit}
    assert not {"questions", "rl_prompts"} & set(built)
    assert {"model", "rl", "evaluate"} <= set(built)

    started, stages = watch(models)
    assert started == []
    assert all(hit for _, hit in stages)

    store = Store.open()
    first, second = store.all("release")
    rows = store.manifest(second.parents["comparison"]).summary["comparisons"]
    assert {(row["baseline"], row["candidate"]) for row in rows} == {(first.summary["label"], second.summary["label"])}
    check_registry(first.summary["label"], second.summary)


def check_registry(leader: str, newest: dict) -> None:
    """Both are registered; the newest is the candidate, and leads only if it was decided so, with the reason beside."""
    client = MlflowClient(tracking_uri=Settings().mlflow_uri)
    (model,) = client.search_registered_models()
    candidate = client.get_model_version_by_alias(model.name, "candidate")
    champion = client.get_model_version_by_alias(model.name, "champion")
    assert len(client.search_model_versions(f"name = '{model.name}'")) == 2
    assert candidate.tags["midtrain.label"] == newest["label"]
    assert candidate.tags["midtrain.reason"] == candidate.description == newest["reason"]
    assert champion.tags["midtrain.label"] == (newest["label"] if newest["promote"] else leader)
    files = client.list_logged_model_artifacts(champion.source.removeprefix("models:/"))
    assert {"MLmodel", "model", "components"} <= {item.path for item in files}


TICK = """
import json, sys
from flows.watch_base_models import watch_base_models
try:
    print(json.dumps(watch_base_models(**json.loads(sys.argv[1]))))
except RuntimeError as error:
    print(json.dumps(str(error)))
"""


@pytest.mark.long(reason="two whole releases; what a hub author has is found in tests/release")
def test_models_of_a_hub_author_are_released_and_one_that_is_refused_is_named(
    in_new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", PREFECT_API_URL.value())
    monkeypatch.setenv("PREFECT_LOCAL_STORAGE_PATH", str(in_new_home / "results"))
    weights = {path.name: path.read_bytes() for path in EMBEDDED_PATH.iterdir() if path.name != "measured.json"}
    gated = Repository("lab/a-gated-one", weights, "models", refuses=(403, "GatedRepo"))
    hub = Hub([gated, Repository("lab/base", weights, "models")])
    given = {"source": "hub:lab", "recipe": "tiny-cpu", "overrides": OVERRIDES}
    with serve(hub) as endpoint:
        message = ask(endpoint, in_new_home, TICK, **given)
        assert message.startswith("1 base models were not released:\nlab/a-gated-one: ")
        assert "GatedRepoError" in message
        (made,) = Store.open().all("release")
        assert made.summary["label"].startswith(f"base@{COMMIT[:12]} ")
        hub.repositories.remove(gated)
        hub.asked.clear()
        assert ask(endpoint, in_new_home, TICK, **given) == []
        assert not [path for path in hub.asked if "/resolve/" in path]
    assert [item.ref for item in Store.open().all("release")] == [made.ref]
