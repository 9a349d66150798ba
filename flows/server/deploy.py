"""`midtrain deploy`: everything that the project needs on a Prefect server. Running it again changes nothing.

A person's later choices on the server stand: a schedule that was started or moved, the number of trainings of a host.
The templates of the work pools, the automations and the deployments are those of the checkout.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    GlobalConcurrencyLimitCreate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from rich.console import Console
from rich.table import Table

from flows.server.automations import WATCHED, automations
from flows.server.notifications import notifications
from flows.server.pulling import pull_steps
from flows.server.result_storage import BLOCK, DEFAULT_BLOCK, save_result_storage
from flows.stages import stage_flow, stage_modules, stage_names
from tasks.recipe.loading import METHODS
from tasks.spine.stage.context import run_context
from tasks.spine.stage.task import STAGES
from tasks.spine.stage.training_slot import limit_name
from tasks.spine.store.settings import Settings

if TYPE_CHECKING:
    from uuid import UUID

PoolType = Literal["process", "docker", "kubernetes"]

ROOT = Path(__file__).resolve().parents[2]
POOLS = ("cpu", "gpu")
IN_IMAGES = "/opt/midtrain"
"""The project's folder in the images of docker/."""
SHARED_HOST = "gpu"
"""Name that all containers of a Docker pool count as one GPU host under: their own names are made up."""
WATCH_EVERY = "0 * * * *"


def deploy(pool_type: PoolType, gpu_hosts: Sequence[str], console: Console) -> None:
    """Make or mend pools, limits, result storage, deployments, automations and the watcher's schedule.

    Args:
        gpu_hosts: machines with GPUs, each of which trains one model at a time; empty: this one, or for Docker's pools
            one for all their containers.

    Raises:
        ValueError: a pool of that name has another type, or Prefect refused a deployment.
    """
    table = Table(title=f"Prefect server {os.environ.get('PREFECT_API_URL', '')}")
    for column in ("what", "name", "now"):
        table.add_column(column)
    settings = run_context().settings
    with get_client(sync_client=True) as client:
        for name in POOLS:
            table.add_row("work pool", name, _pool(client, name, pool_type, settings))
        hosts = gpu_hosts or [SHARED_HOST if pool_type == "docker" else socket.gethostname()]
        for name in filter(None, (limit_name(host, settings) for host in hosts)):
            table.add_row("one training at a time", name, _limit(client, name))
        if settings.results:
            save_result_storage(settings)
            table.add_row("result storage", BLOCK, settings.results)
        found = _deployments(client)
        _deploy_flows(pool_type)
        ids = _deployments(client)
        wanted = _names()
        for name in sorted(ids):
            now = "as in the checkout" if name in found else "made"
            table.add_row("deployment", name, now if name in wanted else "not of this checkout")
        for automation in (*automations(ids, POOLS), *notifications(client, POOLS)):
            table.add_row("automation", automation.name, _automation(client, automation))
        table.add_row("schedule", WATCHED, _schedule(client, ids[WATCHED]))
    console.print(table)


def template(name: str, pool_type: PoolType, settings: Settings) -> dict[str, Any]:
    """The base job template of a pool; its runs keep results where the environment of `midtrain deploy` says."""
    folder = ROOT / "deployments" / "pools"
    own = folder / f"{pool_type}-{name}.json"
    found = json.loads((own if own.exists() else folder / f"{pool_type}.json").read_text())
    if settings.results:
        environment = found["variables"]["properties"]["env"]
        environment["default"] = {**environment.get("default", {}), DEFAULT_BLOCK: f"remote-file-system/{BLOCK}"}
    return found


def _pool(client: SyncPrefectClient, name: str, pool_type: PoolType, settings: Settings) -> str:
    wanted = template(name, pool_type, settings)
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type=pool_type, base_job_template=wanted))
        return f"made ({pool_type})"
    if pool.type != pool_type:
        raise ValueError(
            f"work pool {name!r} is of type {pool.type!r}, not {pool_type!r}, and a pool cannot change its type; give "
            f"--pool-type {pool.type}, or delete it first: prefect work-pool delete {name}"
        )
    if pool.base_job_template == wanted:
        return "as it was"
    client.update_work_pool(name, WorkPoolUpdate(base_job_template=wanted))
    return "template renewed"


def _limit(client: SyncPrefectClient, name: str) -> str:
    with suppress(ObjectNotFound):
        found = client.read_global_concurrency_limit_by_name(name)
        return "as it was" if found.limit == 1 else f"as it was: {found.limit} at a time"
    client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
    return "made"


def _deployments(client: SyncPrefectClient) -> dict[str, "UUID"]:
    """Ids of the server's deployments by flow/deployment."""
    names = {flow.id: flow.name for flow in _pages(client.read_flows)}
    return {f"{names[item.flow_id]}/{item.name}": item.id for item in _pages(client.read_deployments)}


def _pages(read: Callable[..., list[Any]]) -> list[Any]:
    found: list[Any] = []
    while page := read(limit=200, offset=len(found)):
        found += page
    return found


def deployments_file() -> dict[str, Any]:
    """deployments/prefect.yaml, and one deployment for every stage, on the pool that the stage names.

    Runs work in the folder of the project on their worker, or in a clone of the commit that the environment states.
    """
    found = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())
    found["pull"] = pull_steps() or found["pull"]
    found["deployments"] += [_of_stage(name) for name in stage_names()]
    return found


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


def _names() -> set[str]:
    """flow/deployment of every deployment of the checkout."""
    items = deployments_file()["deployments"]
    return {f"{load_flow_from_entrypoint(str(ROOT / item['entrypoint'])).name}/{item['name']}" for item in items}


def _deploy_flows(pool_type: PoolType) -> None:
    """Register every deployment."""
    project = os.environ.get("MIDTRAIN_PROJECT") or (str(ROOT) if pool_type == "process" else IN_IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "prefect.yaml")
        file.write_text(yaml.safe_dump(deployments_file(), sort_keys=False))
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "MIDTRAIN_PROJECT": project}, capture_output=True, text=True
        )
    if done.returncode != 0:
        raise ValueError(f"`prefect deploy` failed:\n{(done.stdout + done.stderr)[-4000:]}")


def _automation(client: SyncPrefectClient, wanted: Any) -> str:
    found = client.read_automations_by_name(wanted.name)
    if not found:
        client.create_automation(wanted)
        return "made"
    kept = {"enabled"}
    if found[0].model_dump(include=set(type(wanted).model_fields) - kept) == wanted.model_dump(exclude=kept):
        return "as it was"
    client.update_automation(found[0].id, wanted.model_copy(update={"enabled": found[0].enabled}))
    return "renewed"


def _schedule(client: SyncPrefectClient, deployment: "UUID") -> str:
    """A schedule for the watcher that waits to be started, unless it has one: what a person set on it stands."""
    found = client.read_deployment_schedules(deployment)
    if found:
        return "as it was" + ("" if found[0].active else ": paused")
    cron = CronSchedule(cron=WATCH_EVERY, timezone="UTC")
    client.create_deployment_schedules(deployment, [DeploymentScheduleCreate(schedule=cron, active=False)])
    return f"made, paused ({WATCH_EVERY})"
