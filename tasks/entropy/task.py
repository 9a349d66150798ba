"""The entropy stage as a Prefect task."""

import base64
import logging
from pathlib import Path

from prefect.artifacts import create_image_artifact
from prefect.context import TaskRunContext

from tasks.entropy.config import EntropyConfig, EntropyJob
from tasks.entropy.plot import draw_histogram
from tasks.entropy.schema import PLOT_FILE
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

ENTROPY = Stage("entropy", version=1, kind="entropy", pool="gpu")

log = logging.getLogger(__name__)


@stage_task(ENTROPY)
def compute_entropy(build: Build, config: EntropyConfig) -> None:
    """Entropy at every position of the parent `texts` under the parent `model`: the policy, or a smaller proxy."""
    job = EntropyJob(
        config=config, model=build.path("model"), texts=build.path("texts"), out=build.out, runtime=build.runtime
    )
    result = build.worker("tasks.entropy.worker", job)
    draw_histogram(result["histogram"], build.out / PLOT_FILE)
    ledger = result.pop("ledger")
    settings = config.model_dump(include={"context_tokens", "overlap_tokens", "top_k", "dtype"})
    build.record(
        rows={"documents": ledger["read"] - ledger["rejected"], "positions": result["positions"]},
        ledger=ledger,
        summary={**result, **settings},
    )
    if TaskRunContext.get() is not None:
        _show_in_prefect(build.out / PLOT_FILE, build.call.key)


def _show_in_prefect(plot: Path, fingerprint: str) -> None:
    """The picture beside the run; a server that refuses it does not stop a stage whose work is done."""
    try:
        image = base64.b64encode(plot.read_bytes()).decode()
        create_image_artifact(
            key=f"entropy-{fingerprint[:8]}",
            image_url=f"data:image/png;base64,{image}",
            description="Positions by entropy of the next token",
        )
    except Exception as error:
        log.warning("the picture of the entropies could not be shown in Prefect: %s", error)
