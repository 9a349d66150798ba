"""A model as a folder of its own: weights, tokenizer, chat template and a card, whole or not there at all."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import yaml

from tasks.errors import Permanent
from tasks.release.card import UNKNOWN, base_of, model_card
from tasks.report.models import MODEL
from tasks.shared.models.files import local_reader, model_files
from tasks.spine.store.lineage import ancestry
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.store import ArtifactMissing, Store

CARD = "README.md"
FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


def export_model(store: Store, name: str, folder: Path, licence: str = "") -> list[str]:
    """Write a model and its card to a folder that is new or empty; returns the names of the files.

    They are written beside it and become visible together, so that a killed export leaves nothing that loads.

    Args:
        licence: empty takes the one that the card beside the base model's weights names, if any.

    Raises:
        Permanent: it is no model, or there is something in the folder, or no place for one.
        ArtifactMissing: it is not in the store, or damaged.
    """
    manifest = check_kind(store, name, MODEL)
    _check_place(folder)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        out = Path(beside) / folder.name
        out.mkdir()
        files, card = model_content(store, manifest, licence)
        for file, path in files.items():
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / file)
        (out / CARD).write_text(card, encoding="utf-8")
        # Takes the place of an empty folder, and of no other.
        os.rename(out, folder)
    return sorted(path.name for path in folder.iterdir())


def check_kind(store: Store, name: str, kind: str) -> Manifest:
    """The manifest of an artifact of a kind.

    Raises:
        Permanent: it is of another one.
    """
    manifest = store.manifest(name)
    if manifest.kind != kind:
        raise Permanent(f"{name} is of kind {manifest.kind}, not {kind}; `midtrain ls {kind}` lists what there is")
    return manifest


def model_content(store: Store, manifest: Manifest, licence: str) -> tuple[dict[str, Path], str]:
    """The files that make a model, by name, and the text of its card."""
    place = store.local(manifest.ref)
    names = model_files((entry.path for entry in manifest.files), local_reader(place), trust_remote_code=True)
    return {name: place / name for name in names}, model_card(
        store, manifest, licence or _licence_of_base(store, manifest)
    )


def _licence_of_base(store: Store, model: Manifest) -> str:
    """The licence in the card beside the weights that the model's line begins with."""
    base = base_of(list(ancestry(store, model.ref).walk()))
    try:
        found = FRONT_MATTER.search((store.local(base.ref) / CARD).read_text(encoding="utf-8"))
        values = yaml.safe_load(found[1]) if found else None
    except (ArtifactMissing, OSError, UnicodeDecodeError, yaml.YAMLError):
        return UNKNOWN
    licence = values.get("license") if isinstance(values, dict) else None
    return licence if isinstance(licence, str) else UNKNOWN


def _check_place(folder: Path) -> None:
    if re.match(r"\w+:/", str(folder)):
        raise Permanent(
            f"{folder} is an address, and only folders of this machine are written; `midtrain push` uploads"
        )
    if folder.exists() and not folder.is_dir():
        raise Permanent(f"{folder} is a file; name a new folder")
    if folder.is_dir() and (there := sorted(path.name for path in folder.iterdir())):
        raise Permanent(f"{folder} is not empty ({len(there)} entries, {there[0]} first); name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Permanent(f"no folder can be made in {folder.parent} ({error.strerror}); name another place") from error
