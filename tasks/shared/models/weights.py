"""The weights of a model folder as the headers of its files describe them, read before they are hashed or loaded."""

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import Permanent
from tasks.shared.models.files import Incomplete, check_fetched, local_reader, weight_files

CUT = ("header too small", "invalid header length", "incomplete metadata")
"""Parts of safetensors' message about a file whose length is not that of its header and tensors."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a safetensors file."""

    file: Path
    shape: tuple[int, ...]
    dtype: str
    """Name in the format: `BF16`, `F8_E4M3`."""


@dataclass(frozen=True)
class Weights:
    """The tensors of a model."""

    entry: str
    """File that a loader begins with: the index, or the only file."""
    files: tuple[str, ...]
    tensors: dict[str, StoredTensor]

    @property
    def parameters(self) -> int:
        """Number of all weights."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())


def read_weights(folder: Path) -> Weights:
    """The weights of a model folder.

    Raises:
        Incomplete: a file is missing or cut, or is a pointer of git-lfs.
        Permanent: a file is damaged, or two hold a tensor of one name.
    """
    entry, files = weight_files([path.name for path in folder.iterdir()], local_reader(folder))
    tensors: dict[str, StoredTensor] = {}
    for name in files:
        for tensor, stored in _header(folder / name).items():
            if tensor in tensors:
                raise Permanent(f"{folder}: tensor {tensor} is in {tensors[tensor].file.name} and in {name}")
            tensors[tensor] = stored
    return Weights(entry, files, tensors)


def own_weights_alone(folder: Path, links: Path) -> Path:
    """The folder; where other safetensors lie beside the model's own, `links` without them.

    For loaders that take every file, or an older model.safetensors though an index names others.
    """
    paths, own = list(folder.iterdir()), read_weights(folder).files
    stray = {path for path in paths if path.suffix == ".safetensors" and path.name not in own}
    if not stray:
        return folder
    links.mkdir(parents=True, exist_ok=True)
    for path in paths:
        if path not in stray:
            # Processes of one training make them at the same time.
            with suppress(FileExistsError):
                (links / path.name).symlink_to(path.resolve())
    return links


def _header(file: Path) -> dict[str, StoredTensor]:
    from safetensors import SafetensorError, safe_open

    check_fetched(file)
    try:
        with safe_open(file, framework="numpy") as stream:
            slices = {name: stream.get_slice(name) for name in stream.keys()}
            return {name: StoredTensor(file, tuple(it.get_shape()), it.get_dtype()) for name, it in slices.items()}
    except SafetensorError as error:
        kind = Incomplete if any(words in str(error) for words in CUT) else Permanent
        said = str(error).rpartition("header: ")[2]
        raise kind(f"{file}, {file.stat().st_size} bytes, is damaged or cut ({said}); fetch it again") from error
