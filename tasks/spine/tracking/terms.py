"""What artifacts and their numbers are called in MLflow, within what it takes."""

import re
from collections.abc import Iterator
from typing import Any

from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store

NAME_CHARS = 8
"""Characters of a fingerprint or digest in a name."""
DIGEST_CHARS = 32
"""MLflow takes at most 36 characters for a dataset digest."""
NOTE = "mlflow.note.content"
"""Tag that MLflow shows as a run's description, in markdown."""
NOTE_CHARS = 7500
"""MLflow takes at most 8,000 characters for a tag."""
NAME_LENGTH = 250
"""Characters of a metric's name that MLflow takes at most."""
REFUSED = r"[/:.%\"']"
"""Characters that MLflow refuses in a model's name."""


def dataset_of(manifest: Manifest) -> tuple[str, str]:
    """Name and digest of an artifact as a dataset; a question set's own name is part of it."""
    label = str(manifest.summary.get("label", ""))
    return f"{manifest.kind} {label}".strip(), manifest.digest[:DIGEST_CHARS]


def model_name(label: str, ref: ArtifactRef) -> str:
    """What people call a model, told apart from others that they call the same."""
    return f"{re.sub(REFUSED, '-', label)} {ref.digest[:NAME_CHARS]}"


def scores(manifest: Manifest, store: Store) -> Iterator[tuple[str, float, tuple[str, str] | tuple[()]]]:
    """Scores of an evaluation or prediction: name, value, and the dataset that the model was asked about, if known.

    MLflow shows a chart for each metric, under a heading for what stands before the slash.
    """
    for benchmark, values in manifest.summary.get("scores", {}).items():
        role = manifest.measured_on.get(benchmark)
        dataset = dataset_of(store.manifest(manifest.parents[role])) if role else ()
        for key, value in values.items():
            if isinstance(value, int | float):
                yield f"{benchmark}/{key}".replace("@", "_at_"), float(value), dataset


def metric_name(group: str, name: str) -> str:
    """A metric under a heading, in characters that MLflow takes."""
    return "/".join(re.sub(r"[^\w. :-]", "-", part.replace("@", "_at_")) for part in (group, name))[:NAME_LENGTH]


def note(head: str, markdown: str) -> str:
    """A run's description, cut at a line where it is too long."""
    text = f"{head}\n\n{markdown}".strip()
    if len(text) <= NOTE_CHARS:
        return text
    return text[:NOTE_CHARS].rpartition("\n")[0] + "\n\n... and more in the report under Artifacts."


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names."""
    if not isinstance(value, dict) or (prefix and not value):
        return {prefix.rstrip("."): value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= flatten(item, f"{prefix}{key}.")
    return flat
