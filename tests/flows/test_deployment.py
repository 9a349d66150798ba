"""A real Prefect server: what is deployed there, what it refuses, and what an event starts."""

import json
import socket
import subprocess
import urllib.error
import urllib.request
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.server.deployments import deployments_file, register
from tests.support.commands import wait_until
from tests.support.deployed import BIN, KEPT_OF_RULES, Deployed
from tests.support.mail import mailbox
from tests.support.paths import ROOT
from tests.support.webhook import webhook

pytestmark = pytest.mark.slow

DEPLOYMENTS = deployments_file()["deployments"]
CPU = {"name": "cpu"}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda item: item["entrypoint"] + "/" + item["name"])
def test_entry_points_exist_and_their_parameters_validate(deployment: dict) -> None:
    from prefect.flows import load_flow_from_entrypoint

    flow = load_flow_from_entrypoint(str(ROOT / deployment["entrypoint"]))
    parameters = {**flow.parameters.model_dump().get("defaults", {}), **deployment.get("parameters", {})}
    flow.validate_parameters(parameters)


def test_deploying_again_changes_nothing(deployed: Deployed) -> None:
    pause = {"active": True, "schedule": {"cron": "5 4 * * *", "timezone": "UTC"}}
    watcher = deployed.ask("deployments/name/watch-base-models/watch")
    (schedule,) = watcher["schedules"]
    assert not schedule["active"]
    deployed.ask(f"deployments/{watcher['id']}/schedules/{schedule['id']}", pause, method="PATCH")
    before = state(deployed)
    deployed.ask(f"deployments/{watcher['id']}", {"description": "not that of the checkout"}, method="PATCH")
    deployed.midtrain("deploy", *deployed.hosts)
    assert state(deployed) == before
    assert {limit["name"] for limit in before["v2/concurrency_limits"]} == {
        f"training-{socket.gethostname()}",
        "training-other-host",
    }
    assert all(limit["limit"] == 1 for limit in before["v2/concurrency_limits"])
    assert {pool["name"] for pool in before["work_pools"]} >= {"cpu", "gpu"}
    assert len(before["deployments"]) == len(DEPLOYMENTS)
    tags = {item["name"]: set(item["tags"]) for item in before["deployments"]}
    assert tags["tiny-cpu-rmt"] == {"rmt", "toy"}
    assert tags["qwen3-0.6b-1gpu"] == {"polya", "gpu"}
    assert tags["rl"] == {"stage", "polya", "rmt", "gpu"}
    assert tags["questions"] == {"stage", "polya", "rmt"}
    (zombies,) = [item for item in before["automations"] if "heartbeat" in item["name"]]
    assert zombies["trigger"]["within"] >= 540
    assert len(before["automations"]) == 3
    _notify(deployed)
    assert deployed.ask("deployments/name/watch-base-models/watch")["schedules"][0]["active"]
    deployed.ask(f"deployments/{watcher['id']}/schedules/{schedule['id']}", {"active": False}, method="PATCH")


def test_what_the_api_has_no_field_for_is_left_to_prefects_own_command(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in deployed.environment.items():
        monkeypatch.setenv(name, value)
    plain = {"name": "nightly", "entrypoint": "flows/stages/questions.py:questions", "tags": [], "work_pool": CPU}
    nightly = {**plain, "schedules": [{"cron": "0 4 * * *", "active": False}]}
    with temporary_settings({PREFECT_API_URL: deployed.api}), get_client(sync_client=True) as client:
        wrong = {**plain, "parameters": {"recipe": "tiny-cpx"}}
        with pytest.raises(ValueError, match=r"(?s)deployment 'nightly' of flows/stages/.*tiny-cpx"):
            register(client, {**deployments_file(), "deployments": [wrong]})
        there = register(client, {**deployments_file(), "deployments": [nightly]})
    assert there["questions/nightly"].now == "by `prefect deploy`"
    assert there["questions/questions"].now == "not of this checkout"
    (schedule,) = deployed.ask("deployments/name/questions/nightly")["schedules"]
    assert schedule["schedule"]["cron"] == "0 4 * * *"
    deployed.ask(f"deployments/{there['questions/nightly'].id}", method="DELETE")


def _notify(deployed: Deployed) -> None:
    """Messages are off until a block is named; then what failed, waits or has compared is told, by each block."""
    before = {item["name"] for item in deployed.ask("automations/filter", {})}
    with webhook() as (address, received), mailbox() as (port, mail):
        hook = {"name": "team", "url": address, "json_data": {"about": "{{subject}}", "text": "{{body}}"}}
        people = f"mailto://127.0.0.1:{port}?from=midtrain@lab.example&to=us@lab.example&format=text"
        blocks = [_block(deployed, "custom-webhook", hook), _block(deployed, "slack-webhook", {"url": people})]
        deployed.midtrain("deploy", *deployed.hosts, MIDTRAIN_NOTIFY="custom-webhook/team,slack-webhook/team")
        told = [item for item in deployed.ask("automations/filter", {}) if item["name"] not in before]
        assert len(told) == 4
        assert all([action["block_document_id"] for action in item["actions"]] == blocks for item in told)
        assert all(item["trigger"]["match_related"] for item in told)
        (stage,) = deployed.new_runs(1, queue="nobody")
        (comparison,) = deployed.new_runs(1, queue="nobody", deployment="polya/tiny-cpu")
        deployed.tell(stage, "RUNNING", "PAUSED", "FAILED")
        deployed.tell(comparison, "RUNNING", "PAUSED", "COMPLETED")
        wait_until(lambda: len(received) == len(mail) == 3, 60)
    _notify_no_longer(deployed, told)
    runs = {run: deployed.ask(f"flow_runs/{run}")["name"] for run in (stage, comparison)}
    assert {item["about"] for item in received} == {
        f"midtrain: {runs[stage]} failed",
        f"midtrain: {runs[comparison]} paused",
        f"midtrain: {runs[comparison]} completed",
    }
    assert not any("None" in item["text"] for item in received)
    assert {message["subject"] for message in mail} == {item["about"] for item in received}
    assert {message["to"] for message in mail} == {"us@lab.example"}
    texts = [message.get_content().replace("\r\n", "\n").strip() for message in mail]
    assert sorted(texts) == sorted(item["text"].strip() for item in received)


def _notify_no_longer(deployed: Deployed, told: list[dict[str, Any]]) -> None:
    """What `midtrain deploy` made goes with the variable; a person's automation of one of its names stays."""
    own = {name: value for name, value in told[0].items() if name in KEPT_OF_RULES}
    mine = deployed.ask("automations/", {**own, "description": "A person made it."})["id"]
    deployed.midtrain("deploy", *deployed.hosts)
    left = [item["id"] for item in deployed.ask("automations/filter", {})]
    assert mine in left
    assert not {item["id"] for item in told} & set(left)
    assert len(left) == 4
    deployed.ask(f"automations/{mine}", method="DELETE")


def _block(deployed: Deployed, kind: str, data: dict[str, Any]) -> str:
    """Make a block named `team`, as a person does in Prefect's pages; returns its id."""
    known = deployed.ask(f"block_types/slug/{kind}")
    (schema, *_) = deployed.ask("block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [known["id"]]}}})
    made = {"name": "team", "block_type_id": known["id"], "block_schema_id": schema["id"], "data": data}
    return deployed.ask("block_documents/", made)["id"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"recipe": "tiny-cpx"},
        {"recipe": "tiny-cpu-rmt"},
        {"limit": 0},
        {"seed": -1},
        {"force": ["generat"]},
        {"overrides": {"rll.steps": 3}},
        {"overrides": [1]},
        {"nope": 1},
    ],
    ids=json.dumps,
)
def test_wrong_parameters_are_refused_before_a_run_exists(deployed: Deployed, parameters: dict) -> None:
    deployment = deployed.ask("deployments/name/polya/tiny-cpu")
    runs = deployed.ask("flow_runs/count", {})
    with pytest.raises(urllib.error.HTTPError) as refused:
        deployed.ask(f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
    assert refused.value.code in (409, 422)
    assert deployed.ask("flow_runs/count", {}) == runs


def test_a_recipe_may_be_a_file_and_its_form_has_a_list_of_names(deployed: Deployed) -> None:
    deployment = deployed.ask("deployments/name/polya/tiny-cpu")
    fields = deployment["parameter_openapi_schema"]["properties"]
    by_name, by_path = fields["recipe"]["anyOf"]
    assert "tiny-cpu" in by_name["enum"]
    assert "tiny-cpu-rmt" not in by_name["enum"]
    assert by_path["type"] == "string"
    assert all(field.get("description") for field in fields.values())
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
    given = {"parameters": {"recipe": "/recipes/mine.yaml"}, "state": later}
    run = deployed.ask(f"deployments/{deployment['id']}/create_flow_run", given)
    assert run["parameters"]["recipe"] == "/recipes/mine.yaml"
    deployed.ask(f"flow_runs/{run['id']}", method="DELETE")


def test_an_event_starts_a_release(deployed: Deployed) -> None:
    resource = {"prefect.resource.id": "model.registry.one", "model.name": "/no/such/model"}
    payload = {"recipe": "tiny-cpu-controls"}
    arguments = ["--resource", json.dumps(resource), "--payload", json.dumps(payload)]
    deployed.prefect("event", "emit", "model.base.released", *arguments)
    release = deployed.ask("deployments/name/release/base-model")
    wanted = {"deployments": {"id": {"any_": [release["id"]]}}}

    def started() -> list[dict[str, Any]]:
        runs = deployed.ask("flow_runs/filter", wanted)
        return [run for run in runs if run["parameters"]["model"] == "/no/such/model"]

    wait_until(started, 180)
    (run,) = started()
    assert run["parameters"]["recipe"] == "tiny-cpu-controls"
    deployed.ask(f"flow_runs/{run['id']}", method="DELETE")


def state(deployed: Deployed) -> dict[str, Any]:
    """What is on a server, without when it was last written."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(item) for key, item in value.items() if key not in VOLATILE}
        return [timeless(item) for item in value] if isinstance(value, list) else value

    kinds = ("work_pools", "v2/concurrency_limits", "deployments", "automations", "block_documents", "flows")
    found = {kind: timeless(deployed.ask(f"{kind}/filter", {})) for kind in kinds}
    return {kind: sorted(items, key=lambda item: item["id"]) for kind, items in found.items()}


VOLATILE = {"updated", "last_polled", "status", "last_heartbeat_time", "version"}
"""A version is the commit of the checkout, in which somebody may work on meanwhile."""


def test_a_run_that_is_refused_fails_the_command_that_ci_calls(deployed: Deployed) -> None:
    refused = subprocess.run(
        [str(BIN / "prefect"), "deployment", "run", "polya/tiny-cpu", "--param", "limit=-1", "--watch"],
        env=deployed.environment,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
