"""Files that make a model: the ones that are hashed, fetched and loaded, whatever else lies in the folder."""

import fnmatch
import json
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from tasks.errors import Permanent

CONFIG, ADAPTER = "config.json", "adapter_config.json"
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZER_CONFIG, GENERATION_CONFIG = "tokenizer_config.json", "generation_config.json"
BESIDE_WEIGHTS = ("*.json", "*.jinja", "*.model", "*.tiktoken", "tokenizer*", "vocab*", "merges.txt")
"""A model's other files at the top of its folder."""
IN_FOLDERS = ("additional_chat_templates/*.jinja", "custom_generate/*.py")
"""Files in folders below that transformers reads with a model."""
VOCABULARIES = ("tokenizer.json", "vocab.json merges.txt", "vocab.txt", "tekken.json", "*.model", "*.tiktoken")
"""Files, or pairs of them, that hold a whole vocabulary."""
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
MOST_NAMED = 4

Read = Callable[[str], str]
"""Text of one of a folder's files, by its name in the folder."""


class Incomplete(Permanent):
    """Files of a model are missing or cut: it may still be on its way."""


def model_files(names: Iterable[str], read: Read, *, trust_remote_code: bool = False) -> list[str]:
    """Those of a folder's files that make the model: weights, configuration, tokenizer, and code.

    Code is every *.py, where it is trusted or an auto_map names any: whoever trusts it later finds it in the digest.

    Raises:
        Incomplete: one of them is missing.
        Permanent: the folder holds no model of its own, or a damaged file.
    """
    present = set(names)
    if not any(name.endswith(".safetensors") for name in present) and INDEX not in present:
        raise Incomplete("has no *.safetensors (pickled weights are refused; save_pretrained writes safetensors)")
    if CONFIG not in present:
        raise Incomplete(f"has no {CONFIG}")
    if ADAPTER in present:
        raise Permanent(f"has an {ADAPTER}: merge the adapter into its base model, and give the merged folder")
    wanted = {*weight_files(present, read)[1], *(name for name in present if _is_beside_weights(name))}
    if trust_remote_code or _code(present, read):
        wanted |= {name for name in present if name.endswith(".py")}
    # Without one, transformers makes an empty tokenizer of many a class and says nothing.
    has_vocabulary = any(all(fnmatch.filter(wanted, it) for it in files.split()) for files in VOCABULARIES)
    if not has_vocabulary and not _code(present & {TOKENIZER_CONFIG}, read):
        raise Incomplete(f"has no vocabulary of a tokenizer ({'; '.join(VOCABULARIES)})")
    return sorted(wanted)


def weight_files(present: Collection[str], read: Read) -> tuple[str, tuple[str, ...]]:
    """The file that a loader begins with, and all files with weights.

    Where there is an index, only what it names counts: a `model.safetensors` beside it is an older one.

    Raises:
        Incomplete: one of them is missing.
        Permanent: the index is damaged, or names files elsewhere.
    """
    entry = parsed(CONFIG, read).get("transformers_weights") if CONFIG in present else None
    entry = str(entry or (INDEX if INDEX in present else SINGLE))
    files = [entry]
    if entry.endswith(".index.json"):
        _check_present([entry], present, f"{CONFIG} names")
        shards = parsed(entry, read).get("weight_map")
        files = sorted({str(name) for name in shards.values()}) if isinstance(shards, dict) else []
        if not files:
            raise Permanent(f"{entry} is damaged: it has no weight_map; fetch it again")
    outside = [name for name in files if "/" in name or not name.endswith(".safetensors")]
    if outside:
        raise Permanent(f"{entry}: {outside[0]!r} is no safetensors file beside it")
    _check_present(files, present, f"{entry} names" if entry not in files else f"without {INDEX}, weights are in")
    return entry, tuple(files)


def local_names(folder: Path) -> list[str]:
    """Names of all files below a folder but the hidden ones; links that lead nowhere are among them."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]


def local_reader(folder: Path) -> Read:
    """Reads the files of a local folder."""

    def read(name: str) -> str:
        check_fetched(folder / name)
        return (folder / name).read_text(encoding="utf-8")

    return read


def check_fetched(file: Path) -> None:
    """Refuse a file that only stands for another one.

    Raises:
        Incomplete: it is a pointer of git-lfs, or a link that leads nowhere.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(len(LFS_POINTER))
    except FileNotFoundError as error:
        raise Incomplete(f"{file} is a link to a file that is not there; fetch the model again") from error
    if head == LFS_POINTER:
        raise Incomplete(
            f"{file} is a pointer of git-lfs and not the file itself; run `git lfs pull` in {file.parent}, or fetch "
            "the model with `hf download`"
        )


def parsed(name: str, read: Read) -> dict[str, Any]:
    """A JSON object of a folder.

    Raises:
        Permanent: the file holds none.
    """
    try:
        values = json.loads(read(name))
    except ValueError as error:
        raise Permanent(f"{name} is damaged ({error}); fetch it again") from error
    if not isinstance(values, dict):
        raise Permanent(f"{name} is damaged (no JSON object); fetch it again")
    return values


def shortened(names: Iterable[str]) -> str:
    """The first of many names, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - MOST_NAMED} more" if len(ordered) > MOST_NAMED else ""
    return ", ".join(ordered[:MOST_NAMED]) + more


def _check_present(names: Iterable[str], present: Collection[str], what: str) -> None:
    if missing := [name for name in names if name not in present]:
        raise Incomplete(f"{what} {shortened(missing)}: not there; fetch what is missing")


def check_code(folder: Path) -> None:
    """Refuse a model that takes its code from elsewhere; for loads that run it.

    Raises:
        Permanent: an auto_map names another repository.
    """
    present = [path.name for path in folder.iterdir()]
    if foreign := [reference for reference in _code(present, local_reader(folder)) if "--" in reference]:
        raise Permanent(
            f"{folder}: auto_map takes code from another repository ({foreign[0]}), which no digest of this model "
            f"covers; put its *.py beside {CONFIG} and take the part up to -- out of auto_map"
        )


def _code(present: Collection[str], read: Read) -> list[str]:
    """References to code, as `module.Class`, in the files whose auto_map transformers follows."""
    files = [name for name in (CONFIG, TOKENIZER_CONFIG) if name in present]
    return sorted({item for name in files for item in _texts(parsed(name, read).get("auto_map"))})


def _texts(value: Any) -> Iterable[str]:
    """Every text in nested lists and objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _is_beside_weights(name: str) -> bool:
    if "/" in name:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in IN_FOLDERS)
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in BESIDE_WEIGHTS) and not name.endswith(".safetensors")
