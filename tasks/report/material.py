"""Gathering what a report is about: evaluations, and everything they came from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.artifacts.lineage import Node, ancestry
from tasks.artifacts.manifest import Manifest
from tasks.artifacts.ref import ArtifactRef
from tasks.artifacts.store import Store
from tasks.report.collect import Evaluated, read_evaluation
from tasks.report.config import ReportConfig, ReportEntry

ROLE = "questions."
"""Before the benchmark's name in the role of its questions among an evaluation's parents."""


@dataclass(frozen=True)
class Curve:
    """Per-step values of one training run."""

    label: str
    seed: int
    stage: str
    points: tuple[Mapping[str, float], ...]
    """Each has `step` and the metrics of that step."""

    def series(self, metric: str) -> tuple[list[float], list[float]]:
        """Steps and values of a metric, where it was reported."""
        found = [point for point in self.points if metric in point]
        return [point["step"] for point in found], [point[metric] for point in found]


@dataclass(frozen=True)
class Material:
    """What the tables and plots of a report are made of."""

    config: ReportConfig
    by_label: dict[str, list[Evaluated]]
    roots: dict[str, Node]
    """Ancestry of each evaluation, by role."""
    entries_of: dict[ArtifactRef, list[ReportEntry]]
    """Entries that each artifact went into."""

    @property
    def manifests(self) -> list[Manifest]:
        """Every artifact behind the report, each once, in the order in which they were made."""
        found: dict[ArtifactRef, Manifest] = {}
        for root in self.roots.values():
            for node in root.walk():
                if node.manifest is not None:
                    found.setdefault(node.ref, node.manifest)
        return sorted(found.values(), key=lambda manifest: manifest.created_at)

    @property
    def lost(self) -> list[ArtifactRef]:
        """Ancestors that the store no longer has whole."""
        nodes = (node for root in self.roots.values() for node in root.walk())
        return list(dict.fromkeys(node.ref for node in nodes if node.manifest is None))

    def used_by(self, ref: ArtifactRef) -> str:
        """The arms and seeds that an artifact went into, for people."""
        entries = [entry for entry in self.entries_of[ref] if entry.arm]
        mine, seeds = _names(entry.arm for entry in entries), _names(str(entry.seed) for entry in entries)
        every = [entry for entry in self.config.entries if entry.arm]
        if not entries or (mine == _names(e.arm for e in every) and seeds == _names(str(e.seed) for e in every)):
            return "all"
        several_seeds = len({entry.seed for entry in every}) > 1
        return f"{mine}, seed {seeds}" if several_seeds else mine

    def benchmark_of(self, ref: ArtifactRef) -> str:
        """The benchmark whose questions an artifact holds; empty for all others."""
        roles = (role for root in self.roots.values() for role, node in root.parents.items() if node.ref == ref)
        return next((role.removeprefix(ROLE) for role in roles if role.startswith(ROLE)), "")

    def curves(self) -> list[Curve]:
        """Training curves of the models that were evaluated."""
        found = []
        for evaluated in (item for several in self.by_label.values() for item in several):
            model = self.roots[evaluated.entry.role].parents.get("model")
            if model is not None and model.manifest is not None and model.manifest.summary.get("curve"):
                points = tuple(model.manifest.summary["curve"])
                found.append(Curve(evaluated.entry.label, evaluated.entry.seed, model.manifest.stage, points))
        return found


def gather(store: Store, config: ReportConfig, parents: Mapping[str, ArtifactRef]) -> Material:
    """Read every evaluation of the report and walk its ancestry.

    Raises:
        ValueError: an entry's role is not among the parents.
    """
    by_label: dict[str, list[Evaluated]] = {label: [] for label in config.labels}
    roots: dict[str, Node] = {}
    entries_of: dict[ArtifactRef, list[ReportEntry]] = {}
    for entry in config.entries:
        if entry.role not in parents:
            raise ValueError(f"entries: role {entry.role!r} is not among the parents: {', '.join(parents)}")
        ref = parents[entry.role]
        roots[entry.role] = ancestry(store, ref)
        for node in roots[entry.role].walk():
            entries_of.setdefault(node.ref, []).append(entry)
        by_label[entry.label].append(read_evaluation(entry, store.manifest(ref), store.local(ref)))
    return Material(config, by_label, roots, entries_of)


def _names(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values)))
