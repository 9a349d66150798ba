"""Addresses of the pages that people open, as far as they are known."""

import json
import logging
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil

from tasks.spine.store.settings import Settings

log = logging.getLogger(__name__)

SERVERS = "servers.json"
"""Written under `MIDTRAIN_HOME` by `midtrain ui` while its servers run."""
OF_TRAINING = "workflowType=machine_learning"
"""Opens MLflow's pages on runs and models. Its other view, the default, is for traces of agents."""


def running_servers(root: Path) -> dict[str, str]:
    """What `midtrain ui` runs on this data: `prefect_api`, `mlflow`, and the `mlflow_uri` that this serves."""
    path = root / SERVERS
    if not path.exists():
        return {}
    try:
        servers = {name: str(value) for name, value in dict(json.loads(path.read_text())).items()}
        return servers if psutil.pid_exists(int(servers.pop("pid"))) else {}
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        log.warning("%s cannot be read, so no servers of `midtrain ui` are used; remove it: %s", path, error)
        return {}


def mlflow_address(settings: Settings) -> str:
    """Where a browser finds MLflow, without credentials; empty where no server is known to serve the runs."""
    address = settings.tracking_page or settings.mlflow_uri
    if not address.startswith(("http://", "https://")):
        servers = running_servers(settings.root)
        address = servers.get("mlflow", "") if servers.get("mlflow_uri") == settings.mlflow_uri else ""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def mlflow_page(settings: Settings, run_id: str, experiment_id: str = "") -> str:
    """Page of an MLflow run; empty where no server is known to serve it."""
    address = mlflow_address(settings)
    place = f"experiments/{experiment_id}/runs" if experiment_id else "runs"
    return address and f"{address}/#/{place}/{run_id}?{OF_TRAINING}"
