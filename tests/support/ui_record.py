"""The record that `midtrain ui` leaves of its servers."""

import json
from pathlib import Path
from typing import Any

from tasks.spine.process import own_identity
from tasks.spine.tracking.pages import SERVERS


def serves(home: Path, **changes: Any) -> None:
    """What `midtrain ui` writes, with this process in its place."""
    addresses = {"prefect_api": "http://127.0.0.1:4999/api", "mlflow": "http://127.0.0.1:5999"}
    record = {**addresses, "mlflow_uri": f"sqlite:///{home}/mlflow.db", "command": own_identity()}
    (home / SERVERS).write_text(json.dumps(record | changes))
