"""What a run talks to: the store, Prefect's server, MLflow."""

import os
import socket
import time

from flows.doctor.finding import Finding, NothingToLookAt, look
from flows.server.reaching import check_api, trouble_with
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tasks.spine.tracking.pages import running_servers
from tasks.text import without_passwords

PROBE = "doctor"
"""Kind of the artifact whose lease is taken and given back."""
LEASE_TIMEOUT_S = 60.0


def look_at_services(settings: Settings) -> list[Finding]:
    """Findings about store and servers."""
    return [
        look("store", lambda: store(settings), "see MIDTRAIN_STORE and, for S3, the AWS_* variables"),
        look("Prefect", lambda: prefect(settings), "start that server, or unset PREFECT_API_URL to do without"),
        look("MLflow", lambda: mlflow(settings), "start that server, or unset MIDTRAIN_TRACKING_URI to do without"),
    ]


def store(settings: Settings) -> str:
    """A lease is all that a store has to be able to: written where nobody wrote, read, deleted."""
    began = time.monotonic()
    lease = Store.open(settings).lease(PROBE, f"{socket.gethostname()}-{os.getpid()}", LEASE_TIMEOUT_S)
    if not lease.try_acquire():
        raise RuntimeError(f"a lease at {settings.store_uri} could not be taken")
    with lease.held():
        pass
    if lease.holder() is not None:
        raise RuntimeError(f"a lease at {settings.store_uri} could not be given back")
    return f"{without_passwords(settings.store_uri)}, written and read in {time.monotonic() - began:.1f} s"


def prefect(settings: Settings) -> str:
    """The server that a run would report to."""
    address = os.environ.get("PREFECT_API_URL") or running_servers(settings.root).get("prefect_api", "")
    if not address:
        raise NothingToLookAt("no PREFECT_API_URL; a run starts a server of its own")
    shown = without_passwords(address)
    if trouble := trouble_with(address):
        raise ConnectionError(f"no answer from {shown}: {trouble}")
    check_api(address)
    return f"answers at {shown}"


def mlflow(settings: Settings) -> str:
    """The tracking server; a database needs none."""
    if not settings.mlflow_uri.startswith(("http://", "https://")):
        raise NothingToLookAt(f"no server; runs are tracked in {settings.mlflow_shown}")
    if trouble := trouble_with(settings.mlflow_uri):
        raise ConnectionError(f"no answer from {settings.mlflow_shown}: {trouble}")
    return f"answers at {settings.mlflow_shown}"
