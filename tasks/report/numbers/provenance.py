"""Where everything in a report came from: ancestry, who used what, training curves, and the rows of the ledger."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.report.config import ReportEntry
from tasks.report.models import then_rl
from tasks.report.summary import Branch, Curve, StageRow
from tasks.spine.store.lineage import Node, ancestry, describe
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store
from tasks.spine.tracking.terms import flatten
from tasks.text import without_passwords

ROLE = "questions."
"""Before the benchmark's name in the role of its questions among an evaluation's parents."""


@dataclass(frozen=True)
class Provenance:
    """The ancestry of every parent of a report."""

    entry_of: Mapping[str, ReportEntry]
    """The line of the report that a parent belongs to, by role, in the order of the report."""
    roots: Mapping[str, Node]
    """Ancestry by role."""
    entries_of: Mapping[ArtifactRef, Sequence[ReportEntry]]
    """Entries that each artifact went into."""
    place_of: Callable[[Manifest], str]
    """Where an artifact's files lie."""

    @property
    def entries(self) -> list[ReportEntry]:
        """Every line of the report."""
        return list(dict.fromkeys(self.entry_of.values()))

    @property
    def manifests(self) -> list[Manifest]:
        """Every artifact behind the report, each once: line by line of the report, parents before children.

        What is made side by side is ready in another order each time.
        """
        return list({node.ref: node.manifest for node in self._nodes() if node.manifest is not None}.values())

    @property
    def lost(self) -> list[ArtifactRef]:
        """Ancestors that the store no longer has whole."""
        return list(dict.fromkeys(node.ref for node in self._nodes() if node.manifest is None))

    def _nodes(self) -> Iterator[Node]:
        return (node for root in self.roots.values() for node in root.walk())

    def used_by(self, ref: ArtifactRef) -> str:
        """The arms and seeds that an artifact went into, for people."""
        entries = [entry for entry in self.entries_of[ref] if entry.arm]
        mine, seeds = _names(entry.arm for entry in entries), _names(str(entry.seed) for entry in entries)
        every = [entry for entry in self.entries if entry.arm]
        if not entries or (mine == _names(e.arm for e in every) and seeds == _names(str(e.seed) for e in every)):
            return "all"
        several_seeds = len({entry.seed for entry in every}) > 1
        return f"{mine}, seed {seeds}" if several_seeds else mine

    def benchmark_of(self, ref: ArtifactRef) -> str:
        """The benchmark whose questions an artifact holds; empty for all others."""
        roles = (role for root in self.roots.values() for role, node in root.parents.items() if node.ref == ref)
        return next((role.removeprefix(ROLE) for role in roles if role.startswith(ROLE)), "")

    def curves(self) -> list[Curve]:
        """Training curves of the models that were measured, each model once."""
        curves: dict[ArtifactRef, Curve] = {}
        for role, entry in self.entry_of.items():
            model = self.roots[role].parents.get("model")
            if model is not None and model.manifest is not None and model.manifest.summary.get("curve"):
                points = tuple(model.manifest.summary["curve"])
                curves.setdefault(model.ref, Curve(entry.label, entry.seed, model.manifest.stage, points))
        return list(curves.values())

    @property
    def base_model(self) -> str:
        """Where the models that all others came from were read from."""
        models = [manifest for manifest in self.manifests if manifest.stage == "model"]
        return ", ".join(dict.fromkeys(str(manifest.summary.get("source", manifest.ref)) for manifest in models))

    @property
    def commits(self) -> list[str]:
        """Commits of the project that built the stages."""
        return sorted({manifest.git_commit for manifest in self.manifests if manifest.git_commit})

    @property
    def versions(self) -> dict[str, list[str]]:
        """Package: versions that stages were built with."""
        packages: dict[str, set[str]] = {}
        for manifest in self.manifests:
            for package, version in manifest.versions.items():
                packages.setdefault(package, set()).add(version)
        return {package: sorted(versions) for package, versions in sorted(packages.items())}

    def stages(self) -> list[StageRow]:
        """Every artifact behind the report as a row."""
        return [self._stage(manifest) for manifest in self.manifests]

    def lineage(self) -> list[Branch]:
        """Ancestry of each measured model; what was shown before is not unfolded again."""
        shown: set[ArtifactRef] = set()

        def unfold(role: str, node: Node) -> Branch:
            repeated = node.ref in shown
            shown.add(node.ref)
            note = "as above" if repeated else "" if node.manifest else "no longer in the store"
            facts = describe(node.manifest) if node.manifest and not repeated else {}
            # Ledger and commit stand in sections of their own.
            facts = {name: text for name, text in facts.items() if name not in ("ledger", "commit")}
            parents = () if repeated else tuple(unfold(name, parent) for name, parent in node.parents.items())
            link = _link(node.ref) if node.manifest else ""
            return Branch(role, str(node.ref), link, note, facts, parents)

        checkpoints = [(entry.label, entry.checkpoint) for entry in self.entry_of.values()]

        def called(entry: ReportEntry) -> str:
            label = entry.label + then_rl(entry.label, entry.checkpoint, checkpoints)
            return f"{label}, seed {entry.seed}" if entry.is_trained else label

        return [unfold(called(entry), self.roots[role]) for role, entry in self.entry_of.items()]

    def warnings(self) -> Iterator[str]:
        """What a reader has to know about how the stages were built."""
        if any(commit.endswith("+changes") for commit in self.commits):
            yield "Some stages ran from a checkout with uncommitted changes."
        if len(self.commits) > 1:
            yield f"Stages were built at {len(self.commits)} commits; see the lineage."
        for package, versions in self.versions.items():
            if len(versions) > 1:
                yield f"Stages were built with different versions of {package}: {', '.join(versions)}."
        for ref in self.lost:
            yield f"{ref} is no longer in the store; its part of the lineage cannot be shown."

    def _stage(self, manifest: Manifest) -> StageRow:
        config = manifest.payload.get("config")
        source = manifest.summary.get("source", manifest.summary.get("label", ""))
        return StageRow(
            stage=manifest.stage,
            what=self.benchmark_of(manifest.ref) or str(source),
            used_by=self.used_by(manifest.ref),
            ref=str(manifest.ref),
            link=_link(manifest.ref),
            rows=manifest.rows,
            ledger=manifest.ledger,
            seconds=manifest.seconds,
            created_at=manifest.created_at,
            git_commit=manifest.git_commit,
            mlflow_run_id=manifest.mlflow_run_id,
            place=without_passwords(self.place_of(manifest)),
            settings=flatten(config) if isinstance(config, dict) else {},
        )


def trace(store: Store, entry_of: Mapping[str, ReportEntry], parents: Mapping[str, ArtifactRef]) -> Provenance:
    """Walk the ancestry of every parent that an entry names.

    Raises:
        ValueError: an entry's role is not among the parents.
    """
    roots: dict[str, Node] = {}
    entries_of: dict[ArtifactRef, list[ReportEntry]] = {}
    for role, entry in entry_of.items():
        if role not in parents:
            raise ValueError(f"entries: role {role!r} is not among the parents: {', '.join(parents)}")
        roots[role] = ancestry(store, parents[role])
        for node in roots[role].walk():
            entries_of.setdefault(node.ref, []).append(entry)
    return Provenance(entry_of, roots, entries_of, store.place)


def _link(ref: ArtifactRef) -> str:
    """Within the page, so that it leads somewhere wherever the page is read."""
    return f"#{ref}".replace("/", "-")


def _names(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values)))
