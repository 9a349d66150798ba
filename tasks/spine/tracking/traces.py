"""Completions as traces of a stage's run in MLflow, whose pages show texts, find them and have them compared."""

import base64
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Span

    from tasks.spine.tracking.tracker import Tracker

TRACES = 200
"""Most traces of one artifact. Ours: all are written in one transaction, in half a second of CPU time; one by one, in
eight."""
TRACE_CHARS = 8_000
"""Characters of a text in a trace; whole ones are in the artifact. Ours."""
LINKED_AT_ONCE = 100
"""Traces that MLflow ties to a run in one call, at most."""


@dataclass(frozen=True)
class Trace:
    """What was asked and what came, with what is known of it."""

    name: str
    asked: str
    written: str
    facts: Mapping[str, Any]


def log_traces(tracker: "Tracker", run_id: str, traces: Sequence[Trace]) -> None:
    """Write traces and tie them to a run; the same ones again take their own place."""
    from mlflow.tracing.client import TracingClient

    now = time.time_ns()
    spans = [_span(run_id, number, now, trace) for number, trace in enumerate(traces)]
    TracingClient(tracker.address).log_spans(tracker.experiment_id, spans)
    names = [span.trace_id for span in spans]
    for start in range(0, len(names), LINKED_AT_ONCE):
        tracker.client.link_traces_to_run(names[start : start + LINKED_AT_ONCE], run_id)


def _span(run_id: str, number: int, now: int, trace: Trace) -> "Span":
    """The one span of a trace; its times are those of the writing, in order."""
    from mlflow.entities import Span

    name = hashlib.sha256(f"{run_id}:{number}".encode()).digest()[:16]
    attributes = {
        "mlflow.traceRequestId": f"tr-{name.hex()}",
        "mlflow.spanType": "LLM",
        "mlflow.spanInputs": {"question": trace.asked[:TRACE_CHARS]},
        "mlflow.spanOutputs": trace.written[:TRACE_CHARS],
        **trace.facts,
    }
    return Span.from_dict(
        {
            "trace_id": base64.b64encode(name).decode(),
            "span_id": base64.b64encode(name[:8]).decode(),
            "parent_span_id": None,
            "name": trace.name,
            "start_time_unix_nano": now + number,
            "end_time_unix_nano": now + number,
            "status": {"code": "STATUS_CODE_OK", "message": ""},
            "events": [],
            "attributes": {key: json.dumps(value) for key, value in attributes.items()},
        }
    )
