"""The models that reports are about: what people call each, where its files lie, and how it was measured."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import ArtifactMissing, Store

MODEL = "model"
"""Kind of artifact, and role of the model among the parents of a measurement."""
ROLES = ("prediction", "evaluation", "role")
"""Keys of an entry that name its measurements; reports of 0.1 have the last."""
MEASUREMENTS = ("evaluation", "prediction")
"""Kinds of artifacts that are about one model."""


@dataclass(frozen=True)
class MeasuredModel:
    """One model of a report."""

    label: str
    """What the report's tables call it; with its seed where there are several."""
    ref: ArtifactRef


def measured_models(store: Store, report: Manifest) -> list[MeasuredModel]:
    """The models of a report in the order of its entries; without those whose measurements are no longer there."""
    entries = report.payload.get("config", {}).get("entries", ())
    seeds: dict[str, set[int]] = {}
    for entry in entries:
        seeds.setdefault(entry["label"], set()).add(entry["seed"])
    found: dict[ArtifactRef, MeasuredModel] = {}
    for entry in entries:
        label = f"{entry['label']}, seed {entry['seed']}" if len(seeds[entry["label"]]) > 1 else entry["label"]
        for role in {entry.get(key) for key in ROLES} & report.parents.keys():
            with suppress(ArtifactMissing):
                ref = store.manifest(report.parents[role]).parents[MODEL]
                found.setdefault(ref, MeasuredModel(label, ref))
    return list(found.values())


def place_of_files(store: Store, ref: ArtifactRef) -> str:
    """Folder or address of an artifact's files, or a word about their being gone: a report outlives its models."""
    try:
        return store.place(store.manifest(ref))
    except ArtifactMissing:
        return "its files are gone"


def labels(store: Store, manifests: Iterable[Manifest]) -> dict[ArtifactRef, str]:
    """What people call artifacts: a model and its measurements as the newest report does, others as their summaries."""
    named = {model.ref: model.label for report in store.all("report") for model in measured_models(store, report)}
    found = {}
    for item in manifests:
        about = item.parents.get(MODEL, item.ref) if item.kind in MEASUREMENTS else item.ref
        found[item.ref] = named.get(about) or own_label(item)
    return found


def own_label(manifest: Manifest) -> str:
    """What an artifact's summary calls it; empty where that says nothing."""
    names = (manifest.summary.get(key) for key in ("source", "label", "title", "name"))
    return next((name for name in names if isinstance(name, str) and name), "")
