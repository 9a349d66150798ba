"""Real artifacts with made-up contents."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.spine.store.fingerprint import fingerprint, payload
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.store import Store

Publish = Callable[..., Manifest]


def publishing(folder: Path) -> Publish:
    """A function that publishes files, which it writes to `folder` first, in a store.

    What it publishes is made from no samples unless it says otherwise, as by a stage that samples nothing.
    """
    numbers = itertools.count()

    def call(
        store: Store, kind: str, config: Any = None, files: dict[str, str] | None = None, **fields: Any
    ) -> Manifest:
        place = folder / f"out-{next(numbers)}"
        for name, text in (files or {"data.txt": f"{kind} {config}"}).items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
        stage, parents = fields.pop("stage", kind), fields.pop("parents", {})
        fields.setdefault("pools", ())
        return store.publish(
            place,
            kind=kind,
            stage=stage,
            version=1,
            parents=parents,
            fingerprint=fingerprint(stage, 1, config, parents),
            payload=payload(stage, 1, config, parents),
            **fields,
        )

    return call
