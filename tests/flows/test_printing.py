"""What commands print: words of users as they are, whatever they look like."""

import pytest
from rich.console import Console

from flows.cli.printing import FAILED, explained, plan_table
from tasks.spine.stage.plan import PlannedStage
from tasks.spine.store.ref import ArtifactRef

MARKUP = "set [bold]questions.fields[/bold] :smile:"


@pytest.fixture
def console() -> Console:
    return Console(width=400, record=True, file=open("/dev/null", "w"))


def test_an_error_is_told_as_it_is(console: Console) -> None:
    def fail() -> None:
        raise ValueError(MARKUP)

    assert explained(fail, console) == FAILED
    assert console.export_text() == f"Stopped: {MARKUP}\n"


def test_a_plan_says_what_differs_as_it_is(console: Console) -> None:
    ref = ArtifactRef(kind="report", fingerprint="0" * 64, digest="0" * 64)
    console.print(plan_table([PlannedStage("report", "miss", MARKUP, None, ref)]))
    assert MARKUP in console.export_text()
