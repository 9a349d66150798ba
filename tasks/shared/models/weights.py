"""The weights of a model folder as the headers of its files describe them, read before they are hashed or loaded."""

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import Permanent
from tasks.shared.models.files import Incomplete, check_fetched, local_reader, parsed, weight_files

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
        Incomplete: a file is missing or cut, is a pointer of git-lfs, or is not of one save with the index.
        Permanent: a file is damaged, or two hold a tensor of one name.
    """
    read = local_reader(folder)
    entry, files = weight_files([path.name for path in folder.iterdir()], read)
    tensors: dict[str, StoredTensor] = {}
    for name in files:
        for tensor, stored in _header(folder / name).items():
            if tensor in tensors:
                raise Permanent(f"{folder}: tensor {tensor} is in {tensors[tensor].file.name} and in {name}")
            tensors[tensor] = stored
    if entry not in files:
        _check_index(folder / entry, parsed(entry, read)["weight_map"], tensors)
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


def _check_index(index: Path, listed: dict[str, str], tensors: dict[str, StoredTensor]) -> None:
    """Refuse an index of other files: loaders differ in whether they go by it or take what the files hold."""
    held = {name: stored.file.name for name, stored in tensors.items()}
    if wrong := [name for name in sorted({*held, *listed}) if held.get(name) != listed.get(name)]:
        name = wrong[0]
        raise Incomplete(
            f"{index} and the files that it names are not of one save: tensor {name} is listed in "
            f"{listed.get(name, 'no file')} and is in {held.get(name, 'none')} ({len(wrong)} such tensors); fetch the "
            "index and all files of one revision"
        )


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
