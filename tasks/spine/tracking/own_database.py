"""MLflow's own database of an installation, in a home that may have been moved or copied.

MLflow keeps absolute places of artifacts: of the experiment, of every run and model. After a move they would be missing
from its pages; in a copy, new ones would be written into the original.
"""

import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tasks.spine.store.settings import Settings

log = logging.getLogger(__name__)

ARTIFACTS = "mlflow-artifacts"
"""Folder under `MIDTRAIN_HOME` with the files of MLflow's runs."""


def _address(home: Path) -> str:
    return home.as_uri()


def _json(home: Path) -> str:
    return '{"uri": ' + json.dumps(str(home))[:-1]


PLACES: dict[tuple[str, str], Callable[[Path], str]] = {
    ("experiments", "artifact_location"): _address,
    ("runs", "artifact_uri"): _address,
    ("logged_models", "artifact_location"): _address,
    ("model_versions", "storage_location"): _address,
    ("logged_model_tags", "tag_value"): str,
    ("model_version_tags", "value"): str,
    ("trace_tags", "value"): _address,
    ("datasets", "dataset_source"): _json,
}
"""Columns with places below the home, and how they begin."""


def artifact_location(settings: Settings) -> str | None:
    """Where the artifacts of a new experiment go; None where a server decides."""
    return (settings.root / ARTIFACTS).as_uri() if settings.mlflow_file else None


def follow_home(settings: Settings) -> None:
    """Have the places in the home's own MLflow database begin with where the home is now.

    Nothing happens where MLflow's data lie elsewhere: other homes may write there too.
    """
    database = settings.mlflow_file
    if database is None or not database.is_relative_to(settings.root) or not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        former = _former_homes(connection, settings.root)
        for home, written in former.items():
            log.info("MLflow's places are moved from %s to %s", home, settings.root)
            with connection:
                for (table, column), begin in PLACES.items():
                    old = written if begin is _address else begin(home)
                    _replace(connection, table, column, old, begin(settings.root))


def _former_homes(connection: sqlite3.Connection, root: Path) -> dict[Path, str]:
    """Homes that experiments were made in and that are not this one, each as its address was written."""
    if not _has(connection, "experiments", "artifact_location"):
        return {}
    found = (place for (place,) in connection.execute("SELECT artifact_location FROM experiments") if place)
    ours = {place.removesuffix(f"/{ARTIFACTS}") for place in found if place.endswith(f"/{ARTIFACTS}")}
    homes = {Path(url2pathname(urlsplit(place).path)): place for place in ours if place.startswith("file:///")}
    return {home: written for home, written in homes.items() if written != root.as_uri()}


def _replace(connection: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    if _has(connection, table, column):
        connection.execute(
            f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) WHERE substr("{column}", 1, ?) = ?',
            (new, len(old) + 1, len(old) + 1, f"{old}/"),
        )


def _has(connection: sqlite3.Connection, table: str, column: str) -> bool:
    return column in {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
