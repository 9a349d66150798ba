"""The record that `midtrain ui` leaves of its servers."""

import json
import os
from pathlib import Path
from typing import Any

from tasks.spine.tracking.pages import SERVERS


def serves(home: Path, **changes: Any) -> None:
    """What `midtrain ui` writes, with this process in its place."""
    record = {"mlflow": "http://127.0.0.1:5999", "mlflow_uri": f"sqlite:///{home}/mlflow.db", "pid": os.getpid()}
    (home / SERVERS).write_text(json.dumps(record | changes))
