"""`midtrain lineage`: what an artifact was made from, and which models saw a question, for people and for programs."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from flows.cli.output import model_name, print_json
from tasks.report.models import NamedModel, named_models
from tasks.spine.stage.context import run_context
from tasks.spine.store.lineage import Node, ancestry, describe, find_source, models_that_saw
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store

Named = Mapping[ArtifactRef, NamedModel]


def show_lineage(ref: str, question: str, as_json: bool, console: Console) -> None:
    """Print an artifact's ancestry, or the models that saw a question.

    Raises:
        ValueError: neither is asked for.
    """
    if not ref and not question:
        raise ValueError("lineage of what? Give an artifact, such as model/3f2a9c, or --question with an id")
    store = run_context().store
    if as_json:
        seen = sightings_record(store, question) if question else {}
        return print_json(seen | (ancestry_record(store, store.ref(ref)) if ref else {}))
    if question:
        console.print(sightings(store, question), soft_wrap=True)
    if ref:
        console.print(ancestry_tree(store, store.ref(ref)), soft_wrap=True)


def ancestry_tree(store: Store, ref: ArtifactRef) -> Tree:
    """The ancestry: what its stage told of it, counts and MLflow run of every artifact; label and folder of models."""
    root = ancestry(store, ref)
    named = _named(store, root)
    shown: set[ArtifactRef] = set()

    def add(node: Node, role: str, branch: Tree | None) -> Tree:
        label = Text.assemble((f"{role}: " if role else "", "dim"))
        repeated = node.ref in shown
        label.append_text(model_name(named[node.ref]) if node.ref in named else Text(str(node.ref), "bold cyan"))
        if repeated:
            label.append("  (as above)", "dim")
        elif node.manifest is None:
            label.append("  no longer in the store", "red")
        else:
            for name, text in describe(node.manifest).items():
                label.append(f"\n{name}: ", "dim").append(text)
        shown.add(node.ref)
        tree = branch.add(label) if branch is not None else Tree(label, guide_style="dim")
        for name, parent in node.parents.items() if not repeated else ():
            add(parent, name, tree)
        return tree

    return add(root, "", None)


def ancestry_record(store: Store, ref: ArtifactRef) -> dict[str, Any]:
    """The ancestry for programs: every artifact once, parents before children."""
    root = ancestry(store, ref)
    named = _named(store, root)
    nodes = [
        {
            "artifact": str(node.ref),
            **_name(named, node.ref),
            "digest": node.ref.digest,
            "in_store": node.manifest is not None,
            "stage": node.manifest.stage if node.manifest else None,
            "parents": {role: str(parent.ref) for role, parent in node.parents.items()},
            "facts": describe(node.manifest) if node.manifest else {},
        }
        for node in root.walk()
    ]
    return {"artifact": str(ref), "ancestry": nodes}


def sightings(store: Store, source_id: str) -> RenderableType:
    """The question or document, and the models that were trained on it."""
    text = find_source(store, source_id)
    head = Text.assemble(("source ", "dim"), (source_id, "bold cyan"))
    unknown = "\nin no question set and no corpus of this store"
    head.append(f"\n{text}" if text else unknown, "" if text else "red")
    found = models_that_saw(store, source_id)
    if not found:
        return Group(head, Text("No model of this store was trained on it."))
    named = named_models(store, [item.model for item in found])
    lines = []
    for item in found:
        method = item.method if item.direct else f"{item.method}, of a model it starts from"
        how = f"\n    {item.model.stage}: {item.rows} rows of {item.dataset} by {method}"
        lines.append(Text.assemble(model_name(named[item.model.ref], "    "), how))
    return Group(head, *lines)


def sightings_record(store: Store, source_id: str) -> dict[str, Any]:
    """The question or document and the models that were trained on it, for programs."""
    found = models_that_saw(store, source_id)
    named = named_models(store, [item.model for item in found])
    models = [
        {
            "model": str(item.model.ref),
            **_name(named, item.model.ref),
            "stage": item.model.stage,
            "method": item.method,
            "direct": item.direct,
            "rows": item.rows,
            "dataset": str(item.dataset),
        }
        for item in found
    ]
    return {"source_id": source_id, "text": find_source(store, source_id), "models": models}


def _named(store: Store, root: Node) -> Named:
    return named_models(store, [node.manifest for node in root.walk() if node.manifest is not None])


def _name(named: Named, ref: ArtifactRef) -> dict[str, str]:
    return {"label": named[ref].label, "path": named[ref].path} if ref in named else {}
