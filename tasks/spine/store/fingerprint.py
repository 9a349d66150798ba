"""Identity: the one function that computes a stage's key, and what it hashes; digests of text, files and records.

A fingerprint is the SHA-256 of canonical JSON over (stage, version, config, parents' content digests). Where a stage
runs (host, device, shard count, log level) lives in `tasks.spine.store.runtime.Runtime`, which is refused here by type.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tasks.config import Frozen
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime

Payload = dict[str, Any]
ABSENT = "(absent)"
CHECKSUM = "checksum"
"""Key of a record under which the digest of all its others stands."""


def canonical(value: Any, where: str = "value") -> Any:
    """`value` as plain JSON with one possible spelling; `where` names it in errors.

    Raises:
        TypeError: for a value that has no stable form (sets, callables, arbitrary objects, NaN, a `Runtime`).
    """
    if isinstance(value, Runtime):
        raise TypeError(f"{where}: Runtime says where a stage runs and must not enter its identity")
    if isinstance(value, ArtifactRef):
        return {"kind": value.kind, "digest": value.digest}
    if isinstance(value, Frozen):
        return canonical(value.identity_payload(), where)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where}: key {key!r} is not a string; use string keys")
        return {key: canonical(value[key], f"{where}.{key}") for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{where}: {value!r} has no stable form; use a finite number")
        return int(value) if value.is_integer() else value
    if value is None or isinstance(value, str | bool | int):
        return value
    raise TypeError(
        f"{where}: {type(value).__name__} has no stable form; use numbers, strings, lists, string-keyed maps or models"
    )


def canonical_json(value: Any) -> str:
    """Canonical JSON text: sorted keys, no spaces, `1.0` spelled `1`."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def payload(stage: str, version: int, config: Any, parents: Mapping[str, ArtifactRef]) -> Payload:
    """What a stage's fingerprint is computed over, in canonical form; stored in the manifest to explain misses."""
    return canonical({"stage": stage, "version": version, "config": config, "parents": dict(parents)}, where=stage)


def fingerprint(stage: str, version: int, config: Any, parents: Mapping[str, ArtifactRef]) -> str:
    """The 64 hex digits that name what a stage would produce from `config` and `parents`."""
    return digest_text(canonical_json(payload(stage, version, config, parents)))


def digest_text(text: str) -> str:
    """SHA-256 of UTF-8 text, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits; reads in blocks, so memory does not grow with the file."""
    with path.open("rb") as file:
        return digest_stream(file)


def digest_stream(file: BinaryIO) -> str:
    """SHA-256 of what is left of an open file, 64 hex digits."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def stable_seed(*parts: Any) -> int:
    """A 31-bit seed that depends on `parts` alone, the same in every process and on every machine."""
    return int(digest_text(canonical_json(list(parts)))[:8], 16) & 0x7FFFFFFF


def changed_fields(old: Payload, new: Payload, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted names of the leaves in which two payloads differ, with (old, new) values; `ABSENT` where one has none."""
    changes: dict[str, tuple[Any, Any]] = {}
    for key in sorted({*old, *new}):
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        if isinstance(before, dict) and isinstance(after, dict):
            changes |= changed_fields(before, after, f"{prefix}{key}.")
        elif before != after:
            changes[f"{prefix}{key}"] = (before, after)
    return changes


def sealed(values: Mapping[str, Any]) -> str:
    """JSON text of `values`, with a SHA-256 over them as one more key."""
    return json.dumps({**values, CHECKSUM: _checksum(values)}, indent=1, ensure_ascii=False)


def unsealed(text: str) -> dict[str, Any]:
    """The values of a sealed record; one without a checksum, from before there were any, is taken as it is.

    Raises:
        ValueError: it is not JSON, not an object, or not what was written.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"not a JSON object but {type(values).__name__}")
        checksum = values.pop(CHECKSUM, None)
        found = None if checksum is None else _checksum(values)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if checksum != found:
        raise ValueError("its checksum is another: it was damaged or edited")
    return values


def _checksum(values: Mapping[str, Any]) -> str:
    try:
        return digest_text(canonical_json(values))
    except TypeError as error:
        raise ValueError(str(error)) from error
