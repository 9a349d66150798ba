"""A run that waits for a person: paused in Prefect, with what comes next on its page, until somebody resumes it."""

from collections.abc import Callable

from prefect.artifacts import create_markdown_artifact
from prefect.flow_runs import pause_flow_run
from prefect.logging import get_run_logger
from prefect.settings import get_current_settings

from flows.pipeline.pages import current_flow_run
from tasks.spine.stage.context import run_context
from tasks.spine.store.runtime import Approval, Runtime

TIMEOUT_S = 7 * 24 * 3600
"""A run that nobody resumes in this time fails; what it has made is kept. Ours."""
POLL_S = 5


def wait_for_approval(step: Approval, runtime: Runtime, about: Callable[[], str]) -> None:
    """Pause the run before a step that `runtime.approve` names, and return when it is resumed.

    A run that is started again after a crash does not ask a second time.

    Args:
        about: what comes next, as Markdown; empty where that is nothing, and nobody is asked.

    Raises:
        ValueError: no page shows the run, so that nobody could resume it.
    """
    if step not in runtime.approve or run_context().visitor is not None:
        return
    if current_flow_run() is None or not get_current_settings().server.ui.enabled:
        raise ValueError(
            f"runtime.approve={step}: this run has no page on which it could be approved; start `midtrain ui`, or set "
            "PREFECT_API_URL to a server of yours"
        )
    if text := about():
        create_markdown_artifact(text, key=f"approve-{step}", description=f"Resume the run to go on: {step}")
        # On the page, and on a terminal: a person is waited for.
        said = "Waits for approval (%s): resume the run on its page; what comes next stands under Artifacts"
        get_run_logger().warning(said, step)
        pause_flow_run(timeout=TIMEOUT_S, poll_interval=POLL_S, key=step)
