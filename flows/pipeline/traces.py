"""Some completions of each stage that was built, as traces in MLflow."""

import logging
from collections.abc import Sequence

from tasks.report.completions import ReadCompletion
from tasks.report.reading import has_completions, spread
from tasks.spine.stage.context import run_context
from tasks.spine.tracking.journal import StageRecord, once
from tasks.spine.tracking.traces import TRACES, Trace, log_traces
from tasks.spine.tracking.tracker import Tracker
from tasks.text import printable, without_passwords

log = logging.getLogger(__name__)

FACTS = ("model", "source", "heuristic", "gold", "verdict", "extracted", "fate", "step", "reward", "completion_tokens")


def trace_completions(stages: Sequence[StageRecord], tracker: Tracker) -> None:
    """Write them at even distances over each table, the same ones each time; what fails is said and harms nothing."""
    if run_context().visitor is not None or tracker.parent_run_id is None or tracker.broken:
        return
    store = run_context().store
    try:
        for record in once(stages):
            manifest = record.manifest
            # Samples are traced with their verdicts, once they are filtered.
            if not record.hit and manifest.mlflow_run_id and manifest.kind != "samples" and has_completions(manifest):
                log_traces(tracker, manifest.mlflow_run_id, list(map(_trace, spread(store, manifest, TRACES))))
    except Exception as error:
        log.warning("completions could not be traced: %s", without_passwords(str(error)))


def _trace(row: ReadCompletion) -> Trace:
    name = " ".join(filter(None, (row.heuristic or row.source, row.verdict))) or "completion"
    facts = {key: value for key in FACTS if (value := getattr(row, key)) not in ("", None)}
    return Trace(name, printable(row.question), printable(row.completion), facts)
