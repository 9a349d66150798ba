"""Lineage from the manifests alone: what an artifact came from, what came from it, and which models saw a question."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow.parquet as pq

from tasks.spine.store.manifest import OWN, Manifest, TrainedRows
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import ArtifactMissing, Store


@dataclass(frozen=True)
class Node:
    """An artifact and all that it was made from."""

    ref: ArtifactRef
    manifest: Manifest | None
    """None when the store no longer has it whole; its name and digest are known from its child."""
    parents: dict[str, "Node"] = field(default_factory=dict)

    def walk(self) -> Iterator["Node"]:
        """This artifact's ancestors and itself, each once, parents before children."""
        seen: set[ArtifactRef] = set()

        def visit(node: Node) -> Iterator[Node]:
            if node.ref in seen:
                return
            seen.add(node.ref)
            for parent in node.parents.values():
                yield from visit(parent)
            yield node

        return visit(self)


def ancestry(store: Store, ref: ArtifactRef) -> Node:
    """The tree of what an artifact was made from; a shared ancestor is one shared node."""
    known: dict[ArtifactRef, Node] = {}

    def visit(ref: ArtifactRef) -> Node:
        if ref not in known:
            try:
                manifest = store.manifest(ref)
            except ArtifactMissing:
                known[ref] = Node(ref, None)
            else:
                known[ref] = Node(ref, manifest, {role: visit(parent) for role, parent in manifest.parents.items()})
        return known[ref]

    return visit(ref)


def descendants(store: Store, ref: ArtifactRef) -> list[Manifest]:
    """Every artifact that was made from this one, directly or not, oldest first."""
    found: set[ArtifactRef] = {ref}
    made = []
    waiting = store.all()
    while fresh := [manifest for manifest in waiting if found & set(manifest.parents.values())]:
        made += fresh
        found |= {manifest.ref for manifest in fresh}
        waiting = [manifest for manifest in waiting if manifest not in fresh]
    return sorted(made, key=lambda manifest: manifest.created_at)


@dataclass(frozen=True)
class Sighting:
    """A model that was trained on a question or a document."""

    model: Manifest
    dataset: ArtifactRef
    method: str
    """Kind of training, as the model's stage names it."""
    rows: int
    """Training rows that came from it."""
    direct: bool
    """Trained on the dataset itself, not on top of a model that was."""


def models_that_saw(store: Store, source_id: str) -> list[Sighting]:
    """Every model with training rows from a question or a document among its ancestors; reads only the id column."""
    counted: dict[tuple[ArtifactRef, TrainedRows], int] = {}
    sightings = []
    made = store.all()
    # A model may be made from trained ones without any training of its own.
    kinds = {item.kind for item in made if item.trained_on}
    for model in made:
        if model.kind not in kinds:
            continue
        tables: dict[tuple[ArtifactRef, TrainedRows], Manifest] = {}
        for node in ancestry(store, model.ref).walk():
            for rows in node.manifest.trained_on if node.manifest is not None else ():
                dataset = node.manifest if rows.role == OWN else node.parents[rows.role].manifest
                if dataset is not None:
                    tables[dataset.ref, rows] = dataset
        for (ref, rows), dataset in tables.items():
            if (ref, rows) not in counted:
                counted[ref, rows] = _rows_with(store, dataset, rows.path, rows.id_column, source_id)
            if count := counted[ref, rows]:
                direct = ref in (model.ref, *model.parents.values())
                sightings.append(Sighting(model, ref, rows.method, count, direct))
    return sightings


def describe(manifest: Manifest) -> dict[str, str]:
    """Facts of one artifact for people, by name; only those that it has."""
    facts = {
        "stage": f"{manifest.stage} v{manifest.version}, {manifest.created_at}, {manifest.seconds:.1f} s",
        "source": str(manifest.summary.get("source", manifest.summary.get("label", ""))),
        **manifest.facts,
        "rows": _counts(manifest.rows),
        "ledger": _counts(manifest.ledger),
        "commit": manifest.git_commit or "",
        "MLflow run": manifest.mlflow_run_id or "",
    }
    return {name: text for name, text in facts.items() if text}


def find_source(store: Store, source_id: str) -> str | None:
    """Text of a question or a document, from whatever artifact of the store brought it in."""
    for manifest in store.all():
        for table in manifest.sources:
            if _rows_with(store, manifest, table.path, table.id_column, source_id):
                path = f"{manifest.ref.path}/{manifest.data}/{table.path}"
                with store.files.fs.open(store.files.full(path), "rb") as file:
                    wanted = [(table.id_column, "==", source_id)]
                    found = pq.read_table(
                        file, columns=[table.text_column], filters=wanted, page_checksum_verification=True
                    )
                return found[table.text_column][0].as_py()
    return None


def _rows_with(store: Store, manifest: Manifest, name: str, column: str, value: str) -> int:
    """Rows of a Parquet file in which `column` is `value`; skips row groups by their statistics."""
    path = store.files.full(f"{manifest.ref.path}/{manifest.data}/{name}")
    with store.files.fs.open(path, "rb") as file:
        wanted = [(column, "==", value)]
        return pq.read_table(file, columns=[column], filters=wanted, page_checksum_verification=True).num_rows


def _counts(values: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in values.items() if count)
