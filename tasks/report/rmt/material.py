"""Gathering what a report of reinforcement mid-training is about: predictions, evaluations, and their ancestry."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.predict.tally import Tally, read_tally
from tasks.report import config as plain
from tasks.report import material as evaluations
from tasks.report.provenance import Provenance, trace
from tasks.report.rmt.config import CHECKPOINTS, RMTEntry, RMTReportConfig, labels
from tasks.shared.statistics.clustered import Array
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store

_PLAIN_CHECKPOINT: dict[str, plain.Checkpoint] = dict(zip(CHECKPOINTS, plain.CHECKPOINTS, strict=True))


@dataclass(frozen=True)
class Predicted:
    """One prediction artifact, read."""

    entry: RMTEntry
    manifest: Manifest
    tally: Tally


@dataclass(frozen=True)
class Line:
    """The seeds of one label."""

    label: str
    seeds: tuple[Predicted, ...]

    @property
    def entry(self) -> RMTEntry:
        """One of the entries, for what all of them share."""
        return self.seeds[0].entry

    @property
    def tally(self) -> Tally:
        """One of the tallies, for documents and weights, which all of them share."""
        return self.seeds[0].tally

    def right(self, mode: str, rule: str) -> Array:
        """Right predictions, mean over seeds, shape (documents, tiers)."""
        return np.mean([seed.tally.right[mode, rule] for seed in self.seeds], axis=0)

    def lengths(self) -> Array:
        """Tokens of reasoning, mean over seeds, shape (documents, tiers)."""
        return np.mean([seed.tally.lengths for seed in self.seeds], axis=0)


@dataclass(frozen=True)
class RMTMaterial:
    """What the tables and plots of a report are made of."""

    config: RMTReportConfig
    lines: dict[str, Line]
    """By label, in the order of the tables."""
    evaluations: evaluations.Material | None
    """Benchmarks, as a report of evaluations alone would have them."""
    provenance: Provenance
    folders: dict[ArtifactRef, Path]
    """Local folder of every artifact behind the report that may bring a figure."""


def gather(store: Store, config: RMTReportConfig, parents: Mapping[str, ArtifactRef]) -> RMTMaterial:
    """Read every prediction and evaluation of the report and walk its ancestry.

    Raises:
        ValueError: a role is not among the parents, or two checkpoints predicted other positions.
    """
    entry_of = {role: entry for entry in config.entries for role in (entry.prediction, entry.evaluation) if role}
    provenance = trace(store, entry_of, parents)
    lines: dict[str, list[Predicted]] = {label: [] for label in labels(config.predicted)}
    for entry in config.predicted:
        ref = parents[entry.prediction]
        lines[entry.label].append(Predicted(entry, store.manifest(ref), read_tally(store.local(ref))))
    found = {label: Line(label, tuple(seeds)) for label, seeds in lines.items()}
    _same_positions(found)
    figures = {
        manifest.ref: store.local(manifest.ref)
        for manifest in provenance.manifests
        if manifest.kind in ("entropy", "schedule")
    }
    return RMTMaterial(config, found, _evaluations(store, config, parents), provenance, figures)


def _same_positions(lines: Mapping[str, Line]) -> None:
    every = [seed for line in lines.values() for seed in line.seeds]
    first = every[0]
    for other in every[1:]:
        if other.tally.positions_digest != first.tally.positions_digest:
            raise ValueError(
                f"{first.entry.prediction} ({first.tally.weights.sum():.0f} positions) and {other.entry.prediction} "
                f"({other.tally.weights.sum():.0f}) predicted other positions, which cannot be compared; predict with "
                "the same entropy artifact, tiers, documents, positions_per_tier, max_prompt_tokens and seed"
            )


def _evaluations(
    store: Store, config: RMTReportConfig, parents: Mapping[str, ArtifactRef]
) -> evaluations.Material | None:
    entries = [
        plain.ReportEntry(
            label=entry.label,
            arm=entry.arm,
            seed=entry.seed,
            checkpoint=_PLAIN_CHECKPOINT[entry.checkpoint],
            role=entry.evaluation,
        )
        for entry in config.evaluated
    ]
    if not entries:
        return None
    known = set(labels(config.evaluated))
    shared = ("title", "recipe", "confidence", "resamples", "seed")
    report = plain.ReportConfig(
        entries=tuple(entries),
        comparisons=tuple(pair for pair in config.comparisons if set(pair) <= known),
        **{name: getattr(config, name) for name in shared},
    )
    return evaluations.gather(store, report, parents)
