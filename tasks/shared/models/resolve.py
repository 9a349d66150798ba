"""Resolution of a model's address to a local folder with safetensors, and to the digest of its files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import Permanent
from tasks.shared.models.config import EMBEDDED, EMBEDDED_THINK, ModelConfig
from tasks.spine.store.digests import digest_memory
from tasks.spine.store.files import Files
from tasks.spine.store.fingerprint import digest_text
from tasks.spine.store.manifest import FileEntry
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import content_digest

EMBEDDED_PATH = Path(__file__).resolve().parents[2] / "tiny" / "model"
SHIPPED = {EMBEDDED: EMBEDDED_PATH, EMBEDDED_THINK: EMBEDDED_PATH.with_name("think_model")}
"""Models that come with this package."""
PATTERNS = ("*.safetensors", "*.json", "*.jinja", "*.model", "tokenizer*", "vocab*", "merges.txt")
"""Files that make a model: safetensors only, so a checkpoint cannot run code by being read."""


@dataclass(frozen=True)
class ResolvedModel:
    """A model on this machine."""

    path: Path
    files: tuple[FileEntry, ...]
    """Weights, configuration and tokenizer, which it is known by; not its card."""
    name: str
    """Address for people, with the commit where there is one."""
    parameters: int
    """Number of weights, from the safetensors headers."""

    @property
    def digest(self) -> str:
        """Digest of the files that the model is known by."""
        return content_digest(self.files)


def resolve(config: ModelConfig, settings: Settings) -> ResolvedModel:
    """Bring the model to this machine if need be and hash it.

    Raises:
        Permanent: there is no such model, or it has no safetensors or no tokenizer.
    """
    path, name = _locate(config, settings)
    files = sorted({file for pattern in PATTERNS for file in path.glob(pattern) if file.is_file()})
    weights = [file for file in files if file.suffix == ".safetensors"]
    if not weights or not (path / "config.json").exists():
        missing = "no config.json" if weights else "no *.safetensors (pickled weights are refused)"
        raise Permanent(f"model.source={config.source!r}: {path} has {missing}")
    if not any(file.name.startswith(("tokenizer", "vocab")) for file in files):
        raise Permanent(f"model.source={config.source!r}: {path} has no tokenizer files")
    entries = tuple(_entries(files, path, settings))
    return ResolvedModel(path, entries, name, sum(_count_parameters(file) for file in weights))


def _locate(config: ModelConfig, settings: Settings) -> tuple[Path, str]:
    if config.source in SHIPPED:
        return SHIPPED[config.source], config.source
    local = Path(config.source).expanduser()
    if local.is_dir():
        return local.resolve(), config.source
    if "://" in config.source:
        return _fetch(config.source, settings), config.source
    if config.source.startswith((".", "/", "~")) or config.source.count("/") != 1:
        raise Permanent(f"model.source={config.source!r}: no such folder; give a folder, an id org/name, or s3://...")
    return _download(config)


def _download(config: ModelConfig) -> tuple[Path, str]:
    """Snapshot of a hub model at one commit."""
    import httpx
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    revision = config.revision or None
    try:
        commit = HfApi().model_info(config.source, revision=revision).sha
        path = snapshot_download(config.source, revision=commit, allow_patterns=list(PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        try:
            path = snapshot_download(config.source, revision=revision, local_files_only=True)
        except LocalEntryNotFoundError:
            raise Permanent(
                f"model.source={config.source!r}: not in the hub's cache on this machine and the hub did not "
                f"give it ({type(error).__name__}); check the name, or set model.source to a local folder"
            ) from error
    return Path(path), f"{config.source}@{Path(path).name[:12]}"


def _fetch(uri: str, settings: Settings) -> Path:
    """Local copy of a remote folder, named by the sizes and names of what is there now."""
    files = Files(uri)
    sizes = files.sizes("")
    if not sizes:
        raise Permanent(f"model.source={uri!r}: nothing is there")
    target = settings.cache / "models" / digest_text(json.dumps([uri, sizes], sort_keys=True))[:16]
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        files.fetch_folder("", sorted(sizes), target)
    return target


def _entries(files: Sequence[Path], root: Path, settings: Settings) -> list[FileEntry]:
    """Names, sizes and digests of a model's files."""
    digests = digest_memory(settings.cache).digests(files)
    return [
        FileEntry(path=file.relative_to(root).as_posix(), size=file.stat().st_size, sha256=digest)
        for file, digest in zip(files, digests, strict=True)
    ]


def _count_parameters(file: Path) -> int:
    """Number of elements in a safetensors file, from its header (8-byte length, then JSON)."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            count = 1
            for size in tensor["shape"]:
                count *= size
            total += count
    return total
