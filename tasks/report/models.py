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
class NamedModel:
    """One model as people are told of it."""

    label: str
    """What the tables of its newest report call it, with its seed where there are several and a word on whether it is
    after RL where both are; or its summary."""
    ref: ArtifactRef
    path: str
    """Folder or address of its files, or a word about their being gone: a report outlives its models."""


def measured_models(store: Store, report: Manifest) -> list[NamedModel]:
    """The models of a report in the order of its entries; without those whose measurements are no longer there."""
    entries = report.payload.get("config", {}).get("entries", ())
    checkpoints = [(entry["label"], entry.get("checkpoint", "")) for entry in entries]
    seeds: dict[str, set[int]] = {}
    for entry in entries:
        seeds.setdefault(entry["label"], set()).add(entry["seed"])
    found: dict[ArtifactRef, NamedModel] = {}
    for entry in entries:
        label = entry["label"] + then_rl(entry["label"], entry.get("checkpoint", ""), checkpoints)
        label = f"{label}, seed {entry['seed']}" if len(seeds[entry["label"]]) > 1 else label
        for role in {entry.get(key) for key in ROLES} & report.parents.keys():
            with suppress(ArtifactMissing):
                ref = store.manifest(report.parents[role]).parents[MODEL]
                found.setdefault(ref, NamedModel(label, ref, _place(store, ref)))
    return list(found.values())


def then_rl(label: str, checkpoint: str, checkpoints: Iterable[tuple[str, str]]) -> str:
    """Words that tell a checkpoint after RL from the one before it, where both go by one label in the tables.

    Args:
        checkpoints: label and checkpoint of every entry of the report.
    """
    return ", then RL" if checkpoint == "rl" and any(one == label and at != "rl" for one, at in checkpoints) else ""


def named_models(store: Store, manifests: Iterable[Manifest]) -> dict[ArtifactRef, NamedModel]:
    """The models among artifacts, each as its newest report names it."""
    models = [item for item in manifests if item.kind == MODEL]
    called = labels(store, models)
    return {item.ref: NamedModel(called[item.ref], item.ref, store.place(item)) for item in models}


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


def _place(store: Store, ref: ArtifactRef) -> str:
    try:
        return store.place(store.manifest(ref))
    except ArtifactMissing:
        return "its files are gone"
