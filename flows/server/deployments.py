"""The deployments of the checkout: those of deployments/prefect.yaml, and one for every stage alone.

They are put on the server by its API, in seconds and only where they differ from what is there. `prefect deploy` asks
the server some ten times for each, and runs Git and each flow's file again; it is left what the API has no field for.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import DeploymentSort
from prefect.exceptions import PrefectHTTPStatusError
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import ValidationError, validate
from prefect.utilities.templating import apply_values

from flows.server.pulling import pull_steps
from flows.server.reading import all_rows
from flows.stages import stage_flow, stage_modules, stage_names
from tasks.recipe.loading import METHODS
from tasks.spine.stage.task import STAGES
from tasks.spine.store.manifest import git_commit

if TYPE_CHECKING:
    from uuid import UUID

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deployments" / "prefect.yaml"
PLAIN = {"name", "entrypoint", "description", "parameters", "tags", "work_pool"}
"""Keys of a deployment in the file that stand for fields of the API; others, such as `schedules`, are left to
`prefect deploy`."""
DEFAULT_QUEUE = "default"
"""The queue that Prefect makes with each work pool."""


@dataclass(frozen=True)
class Registered:
    """A deployment on the server."""

    id: "UUID"
    now: str
    """What became of it."""


def deployments_file() -> dict[str, Any]:
    """deployments/prefect.yaml, and one deployment for every stage, on the pool that the stage names.

    Runs work in the folder of the project on their worker, or in a clone of the commit that the environment states.
    """
    file = yaml.safe_load(FILE.read_text())
    file["pull"] = pull_steps() or file["pull"]
    file["deployments"] += [_of_stage(name) for name in stage_names()]
    return file


def _of_stage(name: str) -> dict[str, Any]:
    """The deployment of a stage alone, with the methods that have it as tags."""
    stage_flow(name)
    pool = STAGES[name].pool
    tags = ["stage", *(method for method, kind in METHODS.items() if name in kind.stages())]
    return {
        "name": name,
        "entrypoint": f"{stage_modules()[name].replace('.', '/')}.py:{name}",
        "tags": [*tags, *(["gpu"] if pool == "gpu" else [])],
        "work_pool": {"name": pool},
    }


def _flow(entrypoint: str) -> Flow[..., Any]:
    """The flow at an entry point, from the module that the pipelines import: Prefect would run its file once more."""
    file, _, name = entrypoint.rpartition(":")
    return getattr(import_module(file.removesuffix(".py").replace("/", ".")), name)


def register(client: SyncPrefectClient, file: Mapping[str, Any]) -> dict[str, Registered]:
    """Put the file's deployments on the server; returns all that are there by flow/deployment.

    Schedules stay as they are, and so does all else that the file does not speak of.

    Raises:
        ValueError: Prefect refused a deployment, or its parameters do not suit its flow.
    """
    special = [item for item in file["deployments"] if not _is_plain(item, file)]
    if special:
        _prefect_deploy({**file, "deployments": special})
    pull = apply_values(file["pull"], {}, remove_notset=False)
    commit = git_commit()
    flows = {flow.id: flow.name for flow in all_rows(client.read_flows)}
    rows = all_rows(client.read_deployments, sort=DeploymentSort.CREATED_DESC)
    there = {f"{flows[row.flow_id]}/{row.name}": row for row in rows}
    registered = {name: Registered(row.id, "not of this checkout") for name, row in there.items()}
    for item in file["deployments"]:
        flow = _flow(item["entrypoint"])
        name = f"{flow.name}/{item['name']}"
        if item in special:
            registered[name] = Registered(there[name].id, "by `prefect deploy`")
        else:
            fields = _fields(item, flow, pull, commit or flow.version)
            registered[name] = _put(client, name, there.get(name), fields)
    return registered


def _is_plain(item: Mapping[str, Any], file: Mapping[str, Any]) -> bool:
    """True where fields of the API say all: no placeholders, and no steps that prepare the deployment."""
    return set(item) <= PLAIN and "{{" not in json.dumps(item) and not (file.get("build") or file.get("push"))


def _fields(
    item: Mapping[str, Any], flow: Flow[..., Any], pull: Sequence[Mapping[str, Any]], version: str | None
) -> dict[str, Any]:
    """What the file says of a deployment, as Prefect's API has it."""
    parameters, pool = item.get("parameters", {}), item["work_pool"]
    # Made here: flows are declared without their forms.
    form = parameter_schema(flow.fn).model_dump(mode="json", exclude_unset=True)
    # A run would be made of a name that the flow has not, and crash.
    form["additionalProperties"] = {"not": {"title": f"the flow {flow.name} has no parameter of this name"}}
    _check(parameters, form, f"{FILE.name}: deployment {item['name']!r} of {item['entrypoint']}")
    return {
        "version": version,
        "description": item.get("description") or flow.description,
        "parameters": parameters,
        "tags": item["tags"],
        "entrypoint": item["entrypoint"],
        "work_pool_name": pool["name"],
        "work_queue_name": pool.get("work_queue_name", DEFAULT_QUEUE),
        "job_variables": pool.get("job_variables", {}),
        "parameter_openapi_schema": form,
        "pull_steps": list(pull),
    }


def _check(parameters: Mapping[str, Any], form: Mapping[str, Any], where: str) -> None:
    """Hold parameters to a flow's form, as the server does when it changes a deployment and when it makes a run.

    It checks the whole form itself each time, which takes it most of a second; here it is the fields in question alone.
    """
    fields = form["properties"]
    if unknown := set(parameters) - set(fields):
        raise ValueError(f"{where}: the flow has no parameter {', '.join(unknown)}; it has {', '.join(fields)}")
    asked = {name: fields[name] for name in parameters}
    try:
        validate(dict(parameters), {**form, "properties": asked}, raise_on_error=True, ignore_required=True)
    except ValidationError as error:
        raise ValueError(f"{where}: {error}") from error


def _put(
    client: SyncPrefectClient, name: str, there: DeploymentResponse | None, fields: Mapping[str, Any]
) -> Registered:
    try:
        if there is None:
            flow, _, own = name.rpartition("/")
            made = client.create_deployment(flow_id=client.create_flow_from_name(flow), name=own, **fields)
            return Registered(made, "made")
        if there.model_dump(mode="json", include=set(fields)) == fields:
            return Registered(there.id, "as it was")
        client.update_deployment(there.id, DeploymentUpdate(**fields))
    except PrefectHTTPStatusError as error:
        raise ValueError(f"{FILE.name}: Prefect refused deployment {name}: {error}") from error
    return Registered(there.id, "renewed")


def _prefect_deploy(file: Mapping[str, Any]) -> None:
    """Register every deployment of a file by Prefect's own command."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "prefect.yaml")
        path.write_text(yaml.safe_dump(dict(file), sort_keys=False))
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(path)]
        done = subprocess.run(command, cwd=ROOT, env=os.environ.copy(), capture_output=True, text=True)
    if done.returncode != 0:
        raise ValueError(f"`prefect deploy` failed:\n{(done.stdout + done.stderr)[-4000:]}")
