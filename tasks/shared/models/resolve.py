"""Resolution of a model's address to a local folder with whole weights, and to the digest of its files."""

import contextlib
import importlib.metadata
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import Permanent
from tasks.shared.models.config import EMBEDDED, EMBEDDED_OVERTHINK, EMBEDDED_THINK, ModelCheckJob, ModelConfig
from tasks.shared.models.fetching import download, fetch
from tasks.shared.models.files import Incomplete, check_fetched, local_names, local_reader, model_files, shortened
from tasks.shared.models.finite import check_finite
from tasks.shared.models.folder import quantization
from tasks.shared.models.weights import Weights, read_weights
from tasks.spine.stage.launch import run_worker
from tasks.spine.store.digests import digest_memory, file_identity
from tasks.spine.store.fingerprint import digest_text
from tasks.spine.store.integrity import content_digest
from tasks.spine.store.manifest import FileEntry
from tasks.spine.store.settings import Settings

log = logging.getLogger(__name__)

EMBEDDED_PATH = Path(__file__).resolve().parents[2] / "tiny" / "model"
SHIPPED = {
    EMBEDDED: EMBEDDED_PATH,
    EMBEDDED_THINK: EMBEDDED_PATH.with_name("think_model"),
    EMBEDDED_OVERTHINK: EMBEDDED_PATH.with_name("overthink_model"),
}
"""Models that come with this package, whose weights its tests look at."""
CHECK_TIMEOUT_S = 1800.0
"""Longest look at a model's architecture; without its data it takes seconds (ours)."""

FETCH_AGAIN = "fetch it again, or take a checkpoint from before its training diverged"


@dataclass(frozen=True)
class ResolvedModel:
    """A model on this machine."""

    path: Path
    files: tuple[FileEntry, ...]
    """Weights, configuration, tokenizer and code, which it is known by; not its card, nor other weights beside."""
    name: str
    """Address for people, with the commit where there is one."""
    parameters: int
    """Number of weights, from the safetensors headers."""

    @property
    def digest(self) -> str:
        """Digest of the files that the model is known by."""
        return content_digest(self.files)


def resolve(
    config: ModelConfig, settings: Settings, *, classifies: bool = False, trust_remote_code: bool = False
) -> ResolvedModel:
    """Bring the model to this machine if need be, see that it is whole, and hash it.

    Args:
        classifies: it is to give sequences a score, not to write text.
        trust_remote_code: run code that ships with the model, without which some cannot be looked at; its *.py are
            then part of the digest, as they are wherever an auto_map names any.

    Raises:
        Incomplete: files of the model are missing or cut.
        Permanent: there is no such model, or its files are damaged or do not belong together.
    """
    try:
        path, name = _locate(config, settings, trust_remote_code)
        entries, weights = _look(path, settings, trust_remote_code)
        if method := quantization(path):
            log.warning(
                "%s is quantized (%s): it can be sampled from and measured where what reads that is installed, and its "
                "parameters are checked when it is loaded; it cannot be trained, for which give its weights in 16 bits",
                config.source,
                method,
            )
        if path not in SHIPPED.values() or classifies:
            _check_once(path, _structure(entries, weights), settings, classifies, trust_remote_code)
    except Permanent as error:
        raise type(error)(f"model.source={config.source!r}: {error}") from error
    except (ValueError, ImportError) as error:
        # Of a file system: an address that it cannot read, or one that there is no package for.
        raise Permanent(f"model.source={config.source!r}: {error}") from error
    return ResolvedModel(path, entries, name, weights.parameters)


def _look(path: Path, settings: Settings, trust_remote_code: bool) -> tuple[tuple[FileEntry, ...], Weights]:
    """The files of a model folder, hashed, and the headers of its weights."""
    names = model_files(local_names(path), local_reader(path), trust_remote_code=trust_remote_code)
    files = [path / name for name in names]
    for file in files:
        check_fetched(file)
    weights = read_weights(path)
    before = [file_identity(file.stat()) for file in files]
    digests = []
    for file in files:
        (digest,) = digest_memory(settings.cache).digests([file])
        if file.name in weights.files:
            # At once, as long as the file is still in memory: large ones are not read from the disk twice.
            _check_finite_once(file, digest, settings)
        digests.append(digest)
    if before != [file_identity(file.stat()) for file in files]:
        raise Incomplete(f"{path} changed while it was read; run again when nobody writes to it")
    entries = [
        FileEntry(path=name, size=(path / name).stat().st_size, sha256=digest)
        for name, digest in zip(names, digests, strict=True)
    ]
    return tuple(entries), weights


def _check_finite_once(file: Path, digest: str, settings: Settings) -> None:
    """See that all values of a weight file are numbers, unless a file of this content was looked at."""
    checked = settings.cache / "finite" / digest[:16]
    if not checked.exists():
        if zeros := check_finite(file, FETCH_AGAIN):
            log.warning(
                "%s: %d matrices are all zeros (%s), as in a file whose download was cut; fetch it again unless the "
                "model is made that way",
                file,
                len(zeros),
                shortened(zeros),
            )
        _note(checked)


def _note(checked: Path) -> None:
    """Remember a look; where nothing can be written, the next run looks again."""
    with contextlib.suppress(OSError):
        checked.parent.mkdir(parents=True, exist_ok=True)
        checked.touch()


def _structure(entries: Sequence[FileEntry], weights: Weights) -> str:
    """Digest of all that decides whether a model can be loaded: of everything but numbers and how they are sharded."""
    sharding = {weights.entry, *weights.files}
    beside = [(entry.path, entry.sha256) for entry in entries if entry.path not in sharding]
    tensors = {name: (it.shape, it.dtype) for name, it in weights.tensors.items()}
    return digest_text(json.dumps([beside, tensors], sort_keys=True))


def _check_once(path: Path, structure: str, settings: Settings, classifies: bool, trust_remote_code: bool) -> None:
    """Have a child process see that a model can be loaded, unless it saw one that is made alike."""
    version = importlib.metadata.version("transformers")
    asked = f"{structure} {trust_remote_code} {version}{' classifier' if classifies else ''}"
    checked = settings.cache / "checked" / digest_text(asked)[:16]
    if checked.exists() or (not classifies and structure in _shipped(settings)):
        return
    job = ModelCheckJob(folder=path, classifies=classifies, trust_remote_code=trust_remote_code)
    settings.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.work, prefix="model-") as folder:
        found = run_worker("tasks.shared.models.worker", job, Path(folder), timeout_s=CHECK_TIMEOUT_S)
    if found["problem"]:
        raise Permanent(found["problem"])
    _note(checked)


def _shipped(settings: Settings) -> set[str]:
    return {_structure(*_look(folder, settings, False)) for folder in SHIPPED.values()}


def _locate(config: ModelConfig, settings: Settings, trust_remote_code: bool) -> tuple[Path, str]:
    if config.source in SHIPPED:
        return SHIPPED[config.source], config.source
    source = config.source.removeprefix("file://")
    local = Path(source).expanduser()
    if local.is_dir():
        return local.resolve(), config.source
    if "://" in source:
        return fetch(source, settings, trust_remote_code=trust_remote_code), config.source
    if source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise Permanent("no such folder; give a folder, an id org/name, or s3://...")
    return download(config, trust_remote_code=trust_remote_code)
