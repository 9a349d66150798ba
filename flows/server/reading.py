"""What is asked of a Prefect server: all rows of an answer that comes in pages, and the tables that a run left."""

import json
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter
from prefect.client.schemas.sorting import ArtifactSort

Row = TypeVar("Row")


def all_rows(read: Callable[..., list[Row]], **wanted: Any) -> list[Row]:
    """All that one of a client's `read_...` methods finds: each call returns as many rows as the server hands out."""
    rows: list[Row] = []
    while page := read(**wanted, offset=len(rows)):
        rows += page
    return rows


def table_of_run(name: str, key: str) -> list[dict[str, Any]]:
    """The latest table artifact `key` of the flow run with that id or tag: a run that was restarted made it twice.

    Raises:
        ValueError: there is no such run, more than one, or none of its artifacts has that key.
    """
    named = {"id": {"any_": [name]}} if _is_id(name) else {"tags": {"all_": [name]}}
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(named))
        if len(runs) != 1:
            raise ValueError(f"{len(runs)} flow runs have the tag {name!r}; give the id of one")
        wanted = {"flow_run_id": {"any_": [runs[0].id]}, "key": {"any_": [key]}}
        tables = client.read_artifacts(
            artifact_filter=ArtifactFilter.model_validate(wanted), sort=ArtifactSort.CREATED_DESC, limit=1
        )
    if not tables:
        raise ValueError(f"flow run {name} left no {key}; it ended as {runs[0].state_name}")
    data = tables[0].data
    return list(json.loads(data) if isinstance(data, str) else data)


def _is_id(name: str) -> bool:
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True
