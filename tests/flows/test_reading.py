"""What is read of a Prefect server: every page of an answer, and the latest of a run's tables."""

import json

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate

from flows.server.reading import all_rows, table_of_run


@pytest.mark.parametrize("count", [0, 1, 200, 201, 450])
def test_rows_beyond_the_first_page_are_read(count: int) -> None:
    def read(wanted: str, offset: int) -> list[str]:
        return [f"{wanted} {row}" for row in range(count)][offset : offset + 200]

    assert all_rows(read, wanted="run") == [f"run {row}" for row in range(count)]


def test_a_restarted_run_is_judged_by_its_latest_table(prefect_server: None) -> None:
    @flow
    def restarted() -> None: ...

    with get_client(sync_client=True) as client:
        run = client.create_flow_run(restarted, tags=["ci-restarted"])
        for start in (1, 2):
            rows = json.dumps([{"start": start}])
            client.create_artifact(ArtifactCreate(type="table", key="comparisons", data=rows, flow_run_id=run.id))
    assert table_of_run("ci-restarted", "comparisons") == [{"start": 2}]
    assert table_of_run(str(run.id), "comparisons") == [{"start": 2}]
    with pytest.raises(ValueError, match="left no commits"):
        table_of_run("ci-restarted", "commits")
    with pytest.raises(ValueError, match="0 flow runs have the tag 'ci-none'"):
        table_of_run("ci-none", "comparisons")
