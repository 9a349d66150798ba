"""Gathering what a report is about: evaluations, and everything they came from."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.report.collect import Evaluated, read_evaluation
from tasks.report.config import ReportConfig
from tasks.report.provenance import Provenance, trace
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store


@dataclass(frozen=True)
class Material:
    """What the tables and plots of a report are made of."""

    config: ReportConfig
    by_label: dict[str, list[Evaluated]]
    provenance: Provenance


def gather(store: Store, config: ReportConfig, parents: Mapping[str, ArtifactRef]) -> Material:
    """Read every evaluation of the report and walk its ancestry.

    Raises:
        ValueError: an entry's role is not among the parents.
    """
    provenance = trace(store, {entry.role: entry for entry in config.entries}, parents)
    by_label: dict[str, list[Evaluated]] = {label: [] for label in config.labels}
    for entry in config.entries:
        ref = parents[entry.role]
        by_label[entry.label].append(read_evaluation(entry, store.manifest(ref), store.local(ref)))
    return Material(config, by_label, provenance)
