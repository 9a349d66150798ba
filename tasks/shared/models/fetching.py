"""A base model brought to this machine: of a hub at one commit, of a bucket as its objects are now."""

import glob
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.errors import Permanent
from tasks.shared.models.config import ModelConfig
from tasks.shared.models.files import Incomplete, model_files
from tasks.spine.store.files import Files
from tasks.spine.store.fingerprint import digest_text
from tasks.spine.store.settings import Settings

VERSIONS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "VersionId")
"""Fields in which object stores say which content an object has; listings of S3 have the first alone."""
TIMES = ("size", "mtime", "LastModified", "last_modified", "updated", "created", "ino")
"""Fields that tell one content from the next where a file system has none of `VERSIONS`."""


def download(config: ModelConfig, *, trust_remote_code: bool) -> tuple[Path, str]:
    """Snapshot of a hub model at one commit, and its name with that commit.

    Raises:
        Incomplete: the repository lacks files of the model.
        Permanent: neither the hub nor its cache on this machine has it.
    """
    import httpx
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    source, revision = config.source, config.revision or None

    def read(name: str) -> str:
        return Path(hf_hub_download(source, name, revision=commit)).read_text(encoding="utf-8")

    try:
        info = HfApi().model_info(source, revision=revision)
        commit = info.sha
        names = [sibling.rfilename for sibling in info.siblings or ()]
        wanted = model_files(names, read, trust_remote_code=trust_remote_code)
        path = snapshot_download(source, revision=commit, allow_patterns=[glob.escape(name) for name in wanted])
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        try:
            path = snapshot_download(source, revision=revision, local_files_only=True)
        except LocalEntryNotFoundError:
            raise Permanent(
                f"not in the hub's cache on this machine and the hub did not give it ({type(error).__name__}); check "
                "the name, or set model.source to a local folder"
            ) from error
    return Path(path), f"{source}@{Path(path).name[:12]}"


def fetch(uri: str, settings: Settings, *, trust_remote_code: bool) -> Path:
    """Local copy of a remote folder, named by the versions of the objects that make the model.

    Raises:
        Incomplete: files of the model are missing there, or somebody writes to it.
        Permanent: nothing is there.
    """
    files = Files(uri)
    versions = {name: version(entry) for name, entry in _entries(files).items()}
    if not versions:
        raise Permanent("nothing is there")
    names = model_files(versions, lambda name: _text(files, name), trust_remote_code=trust_remote_code)
    wanted = {name: versions[name] for name in names}
    target = settings.cache / "models" / digest_text(json.dumps([uri, wanted], sort_keys=True))[:16]
    if target.is_dir():
        return target

    def check(name: str, local: Path) -> None:
        if version(files.fs.info(files.full(name), refresh=True)) != wanted[name]:
            raise Incomplete(f"{uri}/{name} was overwritten while it was fetched; run again when nobody writes to it")

    target.parent.mkdir(parents=True, exist_ok=True)
    files.fetch_folder("", sorted(wanted), target, check)
    return target


def version(entry: Mapping[str, Any]) -> str:
    """Which content a remote file has, as its file system says: never its name and size alone.

    Raises:
        Permanent: the file system says nothing of the kind.
    """
    named = next((str(entry[field]) for field in VERSIONS if entry.get(field)), "")
    times = {field: str(entry[field]) for field in TIMES if entry.get(field) is not None}
    if not named and times.keys() <= {"size"}:
        raise Permanent("its file system tells no version or time of a file; copy it to a local folder or to S3")
    return named or json.dumps(times)


def _entries(files: Files) -> dict[str, Mapping[str, Any]]:
    """What the file system says of every file, by name; hidden ones are left out."""
    found = files.fs.find(files.root, detail=True)
    names = {path: path.removeprefix(files.root).lstrip("/") for path in found}
    return {name: found[path] for path, name in names.items() if "/." not in f"/{name}"}


def _text(files: Files, name: str) -> str:
    text = files.read_text_or_none(name)
    if text is None:
        raise Incomplete(f"{name} is not there any more")
    return text
