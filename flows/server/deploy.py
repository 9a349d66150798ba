"""`midtrain deploy`: everything that the project needs on a Prefect server. Running it again changes nothing.

A person's later choices on the server stand: a schedule that was started or moved, the number of trainings of a host.
The templates of the work pools, the automations and the deployments are those of the checkout.
"""

import json
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    GlobalConcurrencyLimitCreate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from rich.console import Console
from rich.table import Table

from flows.server.automations import WATCHED, automations
from flows.server.deployments import ROOT, deployments_file, register
from flows.server.notifications import no_longer_wanted, notifications
from flows.server.result_storage import BLOCK, DEFAULT_BLOCK, save_result_storage
from tasks.spine.stage.context import run_context
from tasks.spine.stage.training_slot import limit_name
from tasks.spine.store.settings import Settings

if TYPE_CHECKING:
    from uuid import UUID

PoolType = Literal["process", "docker", "kubernetes"]

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
        # Read by the pull step of deployments/prefect.yaml.
        os.environ["MIDTRAIN_PROJECT"] = os.environ.get("MIDTRAIN_PROJECT") or (
            str(ROOT) if pool_type == "process" else IN_IMAGES
        )
        deployments = register(client, deployments_file())
        for name, deployment in sorted(deployments.items()):
            table.add_row("deployment", name, deployment.now)
        ids = {name: deployment.id for name, deployment in deployments.items()}
        for automation in (*automations(ids, POOLS), *notifications(client, POOLS)):
            table.add_row("automation", automation.name, _automation(client, automation))
        for left in no_longer_wanted(client, POOLS):
            client.delete_automation(left.id)
            table.add_row("automation", left.name, "removed")
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
