"""A store of its own per test, and a way to fill it with real artifacts."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.spine.store.fingerprint import fingerprint, payload
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store

Publish = Callable[..., Manifest]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store.open(settings)


@pytest.fixture
def remote(s3_bucket: str, tmp_path: Path) -> Settings:
    """An installation whose store is on S3."""
    return Settings(home=tmp_path / "home", store=f"s3://{s3_bucket}/{tmp_path.name}")


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    """`publish(store, kind, config, files={name: text}, parents=..., **manifest_fields)`, through the real store.

    Made from no samples unless it says otherwise, as a stage that samples nothing.
    """
    numbers = itertools.count()

    def call(
        store: Store, kind: str, config: Any = None, files: dict[str, str] | None = None, **fields: Any
    ) -> Manifest:
        folder = tmp_path / f"out-{next(numbers)}"
        for name, text in (files or {"data.txt": f"{kind} {config}"}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        stage, parents = fields.pop("stage", kind), fields.pop("parents", {})
        fields.setdefault("pools", ())
        return store.publish(
            folder,
            kind=kind,
            stage=stage,
            version=1,
            parents=parents,
            fingerprint=fingerprint(stage, 1, config, parents),
            payload=payload(stage, 1, config, parents),
            **fields,
        )

    return call
