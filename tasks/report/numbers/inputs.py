"""Gathering what a report is about: evaluations, predictions, and everything they came from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.schema import OVERLAPS_FILE
from tasks.predict.tally import Tally, read_tally
from tasks.report.completions import ExampleSet
from tasks.report.config import ReportConfig, ReportEntry, labels
from tasks.report.numbers.collect import Evaluated, read_evaluation
from tasks.report.numbers.examples import examples
from tasks.report.numbers.provenance import Provenance, trace
from tasks.shared.statistics.clustered import Array
from tasks.shared.tables.parquet import read_rows
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store


@dataclass(frozen=True)
class Predicted:
    """One prediction artifact, read."""

    entry: ReportEntry
    manifest: Manifest
    tally: Tally


@dataclass(frozen=True)
class Line:
    """The seeds of one label in the table of predictions."""

    label: str
    seeds: tuple[Predicted, ...]

    @property
    def entry(self) -> ReportEntry:
        """One of the entries, for what all of them share."""
        return self.seeds[0].entry

    @property
    def tally(self) -> Tally:
        """One of the tallies, for documents and weights, which all of them share."""
        return self.seeds[0].tally

    def mean(self, values_of: Callable[[Tally], Array]) -> Array:
        """Values of the tallies, mean over seeds, shape (documents, tiers)."""
        return np.mean([values_of(seed.tally) for seed in self.seeds], axis=0)


@dataclass(frozen=True)
class ReportInputs:
    """What the numbers of a report are computed from."""

    config: ReportConfig
    evaluations: dict[str, list[Evaluated]]
    """The seeds of each label, in the order of the tables."""
    predictions: dict[str, Line]
    """The line of each label, in the order of the tables."""
    provenance: Provenance
    folders: dict[ArtifactRef, Path]
    """Local folder of every artifact behind the report that may bring a figure."""
    examples: tuple[ExampleSet, ...]
    """Completions to read."""
    overlapping: Mapping[str, frozenset[str]]
    """Ids of each benchmark's questions that some training question shares text with."""


def gather(store: Store, config: ReportConfig, parents: Mapping[str, ArtifactRef]) -> ReportInputs:
    """Read every evaluation and prediction of the report and walk its ancestry.

    Raises:
        ValueError: a role is not among the parents, or two checkpoints predicted other positions.
    """
    provenance = trace(store, {role: entry for entry in config.entries for role in entry.roles}, parents)
    predicted: dict[str, list[Predicted]] = {label: [] for label in labels(config.predicted)}
    for entry in config.predicted:
        ref = parents[entry.prediction]
        predicted[entry.label].append(Predicted(entry, store.manifest(ref), read_tally(store.local(ref))))
    _same_positions([seed for seeds in predicted.values() for seed in seeds])
    evaluations: dict[str, list[Evaluated]] = {label: [] for label in labels(config.evaluated)}
    for entry in config.evaluated:
        ref = parents[entry.evaluation]
        evaluations[entry.label].append(read_evaluation(entry, store.manifest(ref), store.local(ref)))
    folders = {
        manifest.ref: store.local(manifest.ref)
        for manifest in provenance.manifests
        if manifest.kind in ("entropy", "schedule")
    }
    lines = {label: Line(label, tuple(seeds)) for label, seeds in predicted.items()}
    shown, overlapping = tuple(examples(store, provenance, evaluations)), _overlapping(store, provenance)
    return ReportInputs(config, evaluations, lines, provenance, folders, shown, overlapping)


def _overlapping(store: Store, provenance: Provenance) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for manifest in provenance.manifests:
        if manifest.stage == DecontaminateConfig.STAGE and manifest.rows["overlaps"]:
            for row in read_rows(store.local(manifest.ref) / OVERLAPS_FILE, ["benchmark", "benchmark_id"]):
                found.setdefault(row["benchmark"], set()).add(row["benchmark_id"])
    return {benchmark: frozenset(ids) for benchmark, ids in found.items()}


def _same_positions(predicted: list[Predicted]) -> None:
    for other in predicted[1:]:
        first = predicted[0]
        if other.tally.positions_digest != first.tally.positions_digest:
            raise ValueError(
                f"{first.entry.prediction} ({first.tally.weights.sum():.0f} positions) and {other.entry.prediction} "
                f"({other.tally.weights.sum():.0f}) predicted other positions, which cannot be compared; predict with "
                "the same entropy artifact, tiers, documents, positions_per_tier, max_prompt_tokens and seed"
            )
