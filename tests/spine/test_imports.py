"""Imports of large frameworks, without what is not used."""

import gc
import importlib
import importlib.metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

from tasks.spine.stage.imports import lean_imports


def test_packages_that_are_not_used_are_hidden_until_the_imports_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unused_here.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with lean_imports("unused_here"):
        assert find_spec("unused_here") is None
        with pytest.raises(ImportError):
            importlib.import_module("unused_here")
    assert importlib.import_module("unused_here")
    with lean_imports("unused_here"):
        assert find_spec("unused_here") is not None


def test_garbage_is_looked_for_again_after_imports_that_fail_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_here.py").write_text("import gc\nassert gc.isenabled()")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AssertionError), lean_imports():
        importlib.import_module("broken_here")
    assert gc.isenabled()


def test_installed_packages_are_listed_once() -> None:
    listed = importlib.metadata.packages_distributions
    with lean_imports():
        assert importlib.metadata.packages_distributions() is importlib.metadata.packages_distributions()
    assert importlib.metadata.packages_distributions is listed
