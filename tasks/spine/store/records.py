"""JSON records that notice when a byte of them has changed: manifests, the memory of digests."""

import json
from collections.abc import Mapping
from typing import Any

from tasks.spine.store.fingerprint import canonical_json, digest_text

CHECKSUM = "checksum"


def sealed(values: Mapping[str, Any]) -> str:
    """JSON text of `values`, with a SHA-256 over them as one more key."""
    return json.dumps({**values, CHECKSUM: _checksum(values)}, indent=1, ensure_ascii=False)


def unsealed(text: str) -> dict[str, Any]:
    """The values of a sealed record; one without a checksum, from before there were any, is taken as it is.

    Raises:
        ValueError: it is not JSON, not an object, or not what was written.
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"not a JSON object but {type(values).__name__}")
    checksum = values.pop(CHECKSUM, None)
    if checksum is not None and checksum != _checksum(values):
        raise ValueError("its checksum is another: it was damaged or edited")
    return values


def _checksum(values: Mapping[str, Any]) -> str:
    try:
        return digest_text(canonical_json(values))
    except TypeError as error:
        raise ValueError(str(error)) from error
