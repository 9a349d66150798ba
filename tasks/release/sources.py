"""Sources of base models: a folder, S3, MLflow's registry, or an author or collection of the Hugging Face hub.

checkpoints/  s3://bucket/prefix      every folder with a config.json and safetensors
registry:NAME                         every version of a registered model
hub:AUTHOR  hub:OWNER/COLLECTION      the newest commit of every model of theirs that has the same files
"""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.config import Frozen
from tasks.errors import Permanent
from tasks.shared.models.files import CONFIG
from tasks.spine.store.files import Files
from tasks.spine.store.settings import Settings

if TYPE_CHECKING:
    from huggingface_hub import HfApi


class Candidate(Frozen):
    """A base model that a source has; whether it is new, its weights tell."""

    source: str
    revision: str = ""


def candidates(source: str, settings: Settings, settle_s: float) -> list[Candidate]:
    """Everything that a source has now, oldest or smallest name first.

    Args:
        settle_s: a folder with a file that is younger counts as one that is still being written, and is passed over.

    Raises:
        Permanent: there is no such source.
    """
    kind, colon, name = source.partition(":")
    if colon and kind == "hub":
        return list(_hub(name))
    if colon and kind == "registry":
        return list(_registry(name, settings))
    if "://" not in source and not Path(source).expanduser().is_dir():
        raise Permanent(f"source={source!r}: no such folder; give a folder, s3://..., registry:NAME or hub:AUTHOR")
    return list(_folders(source if "://" in source else str(Path(source).expanduser().resolve()), settle_s))


def _folders(root: str, settle_s: float) -> Iterator[Candidate]:
    files = Files(root)
    entries_of: dict[str, dict[str, Any]] = {}
    for path, entry in files.fs.find(files.root, detail=True).items():
        folder, _, name = path.removeprefix(files.root).strip("/").rpartition("/")
        entries_of.setdefault(folder, {})[name] = entry
    for folder, entries in sorted(entries_of.items()):
        if _has_weights(entries) and max(map(_changed, entries.values())) <= time.time() - settle_s:
            yield Candidate(source=f"{root.rstrip('/')}/{folder}".rstrip("/"))


def _changed(entry: dict[str, Any]) -> float:
    """When a file was last written, in seconds; 0 where the file system does not say."""
    value = entry.get("mtime", entry.get("LastModified", 0.0))
    return value.timestamp() if isinstance(value, datetime) else float(value)


def _registry(name: str, settings: Settings) -> Iterator[Candidate]:
    from mlflow import MlflowClient

    versions = MlflowClient(tracking_uri=settings.mlflow_uri).search_model_versions(f"name = '{name}'")
    for version in sorted(versions, key=lambda item: int(item.version)):
        uri = version.tags.get("uri") or version.source
        if uri.startswith(("models:", "runs:", "mlflow-artifacts:")):
            raise Permanent(
                f"registry:{name} version {version.version}: {uri} is an address that only MLflow can read; give the "
                "version a tag `uri` with the folder or s3:// address of the weights"
            )
        yield Candidate(source=uri.removeprefix("file://"))


def _hub(name: str) -> Iterator[Candidate]:
    """Models by commit; one that the hub does not describe is passed on, so that its import says why."""
    from huggingface_hub import HfApi, ModelInfo
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    infos: dict[str, ModelInfo | None] = {}
    if "/" not in name:
        infos = {model.id: model for model in api.list_models(author=name, full=True)}
    else:
        for model in _collected(api, name):
            try:
                infos[model] = api.model_info(model)
            except HfHubHTTPError:
                infos[model] = None
    for model, info in sorted(infos.items()):
        if info is None or _has_weights(sibling.rfilename for sibling in info.siblings or ()):
            yield Candidate(source=model, revision=(info and info.sha) or "")


def _collected(api: "HfApi", name: str) -> list[str]:
    """Ids of the models of a collection."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        items = api.get_collection(name).items
    except HfHubHTTPError as error:
        if error.response.status_code != 404:
            raise
        raise Permanent(f"source='hub:{name}': the hub has no such collection; give the end of its address") from error
    return [item.item_id for item in items if item.item_type == "model"]


def _has_weights(names: Iterable[str]) -> bool:
    """Whether files are of a model that may be imported; whether they are whole, its import tells."""
    files = set(names)
    return CONFIG in files and any(name.endswith(".safetensors") for name in files)
