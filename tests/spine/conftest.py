"""A store of its own per test, and a way to fill it with real artifacts."""

from pathlib import Path

import pytest

from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.publishing import Publish, publishing


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
    """`publish(store, kind, config, files={name: text}, parents=..., **manifest_fields)`, through the real store."""
    return publishing(tmp_path)
