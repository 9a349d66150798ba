"""Addresses of the pages that people open, as far as they are known."""

import json
import logging
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tasks.spine.process import has_ended
from tasks.spine.store.settings import Settings

log = logging.getLogger(__name__)

SERVERS = "servers.json"
"""Written under `MIDTRAIN_HOME` by `midtrain ui` while its servers run."""
OF_TRAINING = "workflowType=machine_learning"
"""Opens MLflow's pages on runs and models. Its other view, the default, is for traces of agents."""


def running_servers(root: Path) -> dict[str, str]:
    """What `midtrain ui` runs on this data: `prefect_api`, `mlflow`, and the `mlflow_uri` that this serves.

    Nothing where the command that wrote it is no more, or where the file cannot be read, which is said.
    """
    path = root / SERVERS
    try:
        servers = json.loads(path.read_text(encoding="utf-8"))
        command = servers.pop("command")
        servers = {name: str(servers[name]) for name in ("prefect_api", "mlflow", "mlflow_uri")}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        log.warning("%s cannot be read, so servers that `midtrain ui` runs are not used: %r", path, error)
        return {}
    return {} if has_ended(str(command)) else servers


def mlflow_address(settings: Settings) -> str:
    """Where a browser finds MLflow, without credentials; empty where no server is known to serve the runs."""
    address = settings.tracking_page or settings.mlflow_uri
    if not address.startswith(("http://", "https://")):
        servers = running_servers(settings.root)
        address = servers["mlflow"] if servers.get("mlflow_uri") == settings.mlflow_shown else ""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def mlflow_page(settings: Settings, run_id: str, experiment_id: str = "") -> str:
    """Page of an MLflow run; empty where no server is known to serve it."""
    address = mlflow_address(settings)
    place = f"experiments/{experiment_id}/runs" if experiment_id else "runs"
    return address and f"{address}/#/{place}/{run_id}?{OF_TRAINING}"
