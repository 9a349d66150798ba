"""The model card: base, method, data, scores with intervals, licence and lineage, from the manifests alone."""

import json
import re
from collections.abc import Sequence

import yaml

from tasks.dataset.card import fenced
from tasks.report.blocks import Block, Column, Paragraph, Table
from tasks.report.models import MEASUREMENTS, MODEL, labels, own_label
from tasks.report.render.markdown import document
from tasks.report.show import tables
from tasks.spine.store.lineage import Node, ancestry
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import SHORT
from tasks.spine.store.store import Store
from tasks.text import in_markdown

UNKNOWN = "unknown"
"""What the hub calls a licence that nobody named."""
DATA = ("questions", "texts", "dataset", "schedule")
"""Kinds of artifacts that are data, as rows that a model was trained on or as what these were made from."""
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
USE = """from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)"""


def model_card(store: Store, model: Manifest, licence: str) -> str:
    """Markdown with the front matter that the Hugging Face hub reads."""
    nodes = list(ancestry(store, model.ref).walk())
    made = [node.manifest for node in nodes if node.manifest is not None]
    trained = [item for item in made if item.kind == MODEL and item.parents]
    base = base_of(nodes)
    source = (base.manifest and own_label(base.manifest)) or str(base.ref)
    measured = [item for kind in MEASUREMENTS for item in store.all(kind) if item.parents.get(MODEL) == model.ref]
    blocks: list[Block] = [
        Paragraph(_about(model, source, base, trained)),
        _methods(trained),
        _data([item for item in made if item.kind in DATA]),
        *(table for item in measured for table in tables(item)),
        *([] if measured else [Paragraph("Its scores are unknown: it was not measured.")]),
        _lineage(nodes),
    ]
    settings = {item.stage: item.payload["config"] for item in trained}
    parts = [
        document(labels(store, [model])[model.ref] or str(model.ref), blocks),
        f"### Licence\n\n{in_markdown(_licence_words(licence, source))}\n",
        f"### Settings\n\n{fenced(json.dumps(settings, indent=1, ensure_ascii=False), 'json')}\n",
        f"### Use\n\n{fenced(USE, 'python')}\n",
    ]
    return f"---\n{_front_matter(source, licence)}---\n\n" + "\n".join(parts)


def base_of(nodes: Sequence[Node]) -> Node:
    """The model that a line of models begins with, of all that its last one was made from."""
    return next(node for node in nodes if node.ref.kind == MODEL and not node.parents)


def _front_matter(source: str, licence: str) -> str:
    fields = {"license": licence, "library_name": "transformers", "pipeline_tag": "text-generation"}
    name = source.partition("@")[0]
    if HUB_NAME.fullmatch(name) and not name.startswith(f"{MODEL}/"):
        fields["base_model"] = name
    return yaml.safe_dump({**fields, "tags": ["mid-training"]}, sort_keys=False)


def _about(model: Manifest, source: str, base: Node, trained: Sequence[Manifest]) -> str:
    weights = f"{source} (weights {base.ref.digest[:SHORT]})"
    if not trained:
        return f"The base model {weights}, as it was imported."
    methods = " and then ".join(dict.fromkeys(map(_method, trained)))
    return f"Trained by {methods} from the base model {weights}. Artifact {model.ref}, weights {model.digest[:SHORT]}."


def _method(item: Manifest) -> str:
    return ", ".join(dict.fromkeys(rows.method for rows in item.trained_on)) or item.stage


def _licence_words(licence: str, source: str) -> str:
    if licence == UNKNOWN:
        return f"That of the base model {source}, which is not stated beside its weights."
    return f"{licence}: as the base model {source} states it, or as whoever exported this model said."


def _methods(trained: Sequence[Manifest]) -> Table:
    columns = [
        Column("stage", lambda item: f"{item.stage} v{item.version}"),
        Column("method", _method),
        Column("counts", lambda item: ", ".join(f"{name} {count:,}" for name, count in item.rows.items())),
        Column("artifact", lambda item: str(item.ref)),
    ]
    return Table.of("Method", trained, columns)


def _data(made: Sequence[Manifest]) -> Table:
    columns = [
        Column("data", lambda item: f"{item.stage} {own_label(item)}".strip()),
        Column("rows", lambda item: ", ".join(f"{name} {count:,}" for name, count in item.rows.items())),
        Column("artifact", lambda item: str(item.ref)),
    ]
    return Table.of("Data", made, columns)


def _lineage(nodes: Sequence[Node]) -> Table:
    columns = [
        Column("artifact", lambda node: str(node.ref)),
        Column("made by", lambda node: f"{node.manifest.stage} v{node.manifest.version}" if node.manifest else "gone"),
        Column("content", lambda node: node.ref.digest[:SHORT]),
        Column("commit", lambda node: (node.manifest and node.manifest.git_commit) or ""),
    ]
    return Table.of("Lineage", nodes, columns)
