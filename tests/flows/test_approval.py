"""A run that asks before it spends: it says what comes next, and goes on when somebody resumes it."""

import threading
import time
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, FlowFilter
from prefect.flow_runs import resume_flow_run

from flows import compare
from flows.arms import polya
from flows.arms.common import Arm
from flows.pipeline import approval
from flows.pipeline.approval import wait_for_approval
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.spine.store.runtime import Runtime

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


def test_a_paused_run_goes_on_when_it_is_resumed(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval, "POLL_S", 1)
    seen: list[str] = []

    @flow(name="asks")
    def asks() -> str:
        wait_for_approval("before-training", ASKS, lambda: "")
        wait_for_approval("before-training", ASKS, lambda: "rl costs an hour")
        return "trained"

    def resume() -> None:
        named = FlowFilter.model_validate({"name": {"any_": ["asks"]}})
        with get_client(sync_client=True) as client:
            for _ in range(300):
                runs = client.read_flow_runs(flow_filter=named)
                if runs and runs[0].state and runs[0].state.is_paused():
                    own = ArtifactFilter.model_validate({"flow_run_id": {"any_": [runs[0].id]}})
                    seen.extend(str(item.data) for item in client.read_artifacts(artifact_filter=own))
                    resume_flow_run(runs[0].id)
                    return
                time.sleep(0.2)

    person = threading.Thread(target=resume)
    person.start()
    assert asks() == "trained"
    person.join()
    assert "rl costs an hour" in seen
