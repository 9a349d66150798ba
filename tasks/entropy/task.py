"""The entropy stage as a Prefect task."""

import base64
import logging
import time
from pathlib import Path

from prefect.artifacts import create_image_artifact
from prefect.context import TaskRunContext

from tasks.entropy.config import EntropyConfig, EntropyJob
from tasks.entropy.encoding import units_of
from tasks.entropy.plot import draw_histogram
from tasks.entropy.schema import PLOT_FILE
from tasks.entropy.tally import joined
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.spine.stage.call import Stage
from tasks.spine.stage.gpus import parts_here
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

ENTROPY = Stage("entropy", version=1, kind="entropy", pool="gpu")

WORKER = "tasks.entropy.worker"

log = logging.getLogger(__name__)


@stage_task(ENTROPY)
def compute_entropy(build: Build, config: EntropyConfig) -> None:
    """Entropy at every position of the parent `texts` under the parent `model`: the policy, or a smaller proxy."""
    started, folder, units = time.perf_counter(), build.work / "units", units_of(build.path("texts"))
    folder.mkdir(exist_ok=True)
    model = build.path("model")
    job = EntropyJob(config=config, model=model, texts=build.path("texts"), units=folder, runtime=build.runtime)
    parts = parts_here(build.runtime, len(units))
    speeds = build.workers(WORKER, [job.model_copy(update={"part": part}) for part in parts], name="entropy")
    result = {
        **joined(units, folder, build.out),
        "positions_per_s": round(sum(speed.get("positions_per_s", 0.0) for speed in speeds), 1),
        "seconds": round(time.perf_counter() - started, 3),
        "tokenizer_digest": tokenizer_digest(model),
    }
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
