"""A run that asks before it spends: it says what comes next, and goes on when somebody resumes it."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from prefect import flow

from flows import compare
from flows.arms import polya
from flows.arms.common import Arm
from flows.pipeline import approval
from flows.pipeline.approval import wait_for_approval
from flows.release import release
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.models.resolve import EMBEDDED_PATH
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.approving import resumed_by_a_person
from tests.support.homes import copy_stages
from tests.support.small import BEFORE_TRAINING, RL_ONLY, SMALL, Run, run

ASKS = Runtime(approve=("before-training",))


def test_a_run_without_a_page_is_refused_and_one_that_does_not_ask_goes_on() -> None:
    with pytest.raises(ValueError, match="no page on which it could be approved"):
        wait_for_approval("before-training", ASKS, lambda: "next")
    wait_for_approval("promotion", ASKS, lambda: "next")


def test_what_comes_next_is_said_with_counts_and_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    arms = load(PolyaRecipe, "tiny-cpu").arms
    text = compare._ahead(polya, [Arm(name, arms[name], "tiny-cpu", {"seed": 0}, 0, ()) for name in arms])
    assert text.startswith("Missing in all: ")
    assert "| rl | vanilla | 1 | estimate: " in text
    assert "| midtrain | polya | 1 | estimate: " in text


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A paused run looks every second whether it is resumed."""
    monkeypatch.setattr(approval, "POLL_S", 1)


def test_a_paused_run_goes_on_when_it_is_resumed(prefect_server: None, quick: None) -> None:
    @flow(name="asks")
    def asks() -> str:
        wait_for_approval("before-training", ASKS, lambda: "")
        wait_for_approval("before-training", ASKS, lambda: "rl costs an hour")
        return "trained"

    with resumed_by_a_person() as person:
        assert asks() == "trained"
    assert "rl costs an hour" in person.pages


@pytest.mark.slow
def test_a_comparison_trains_and_measures_nothing_before_it_is_approved(
    finished: Run, small_home: Path, in_new_home: Path, quick: None
) -> None:
    copy_stages(small_home, in_new_home, *BEFORE_TRAINING, "rl")
    overrides = {**SMALL, **RL_ONLY, "runtime.approve": ["before-training"]}
    with resumed_by_a_person(lambda: Store.open().all("evaluation")) as person:
        done = run(compare.compare, recipe="tiny-cpu", seeds=[0], overrides=overrides)
    assert person.seen == [[]]
    assert "| evaluate | grpo | 2 | estimate: " in "".join(person.pages)
    assert set(done.built) == {"evaluate", "report"}


@pytest.mark.slow
def test_a_released_model_leads_only_when_that_is_approved(
    finished: Run, small_home: Path, in_new_home: Path, quick: None
) -> None:
    copy_stages(small_home, in_new_home, *BEFORE_TRAINING, "rl", "evaluate")
    overrides = {**SMALL, **RL_ONLY, "runtime.approve": ["promotion"]}

    def versions() -> list[dict[str, str]]:
        client = MlflowClient(tracking_uri=Settings().mlflow_uri)
        return [dict(model.aliases) for model in client.search_registered_models()]

    with resumed_by_a_person(versions) as person:
        run(release, model=str(EMBEDDED_PATH), recipe="tiny-cpu", overrides=overrides)
    ((waiting,), (after,)) = (*person.seen, versions())
    assert "champion" not in waiting
    assert after["champion"] == after["candidate"]
    assert "is to become `champion`" in "".join(person.pages)
