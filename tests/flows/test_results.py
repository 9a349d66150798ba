"""Results that Prefect keeps: references, which may outlive the artifact and the version that wrote them."""

from pathlib import Path

import pytest

from flows.stages.questions import questions
from tasks.spine.store.store import Store
from tests.support.small import SMALL, run

pytestmark = pytest.mark.slow


def test_a_result_of_an_earlier_version_is_made_anew(in_new_home: Path) -> None:
    first = run(questions, recipe="tiny-cpu", overrides=SMALL)
    renamed = 0
    for path in (in_new_home / "results").rglob("*"):
        if path.is_file() and "tasks.spine.store.ref" in (text := path.read_text()):
            path.write_text(text.replace("tasks.spine.store.ref", "tasks.artifacts.ref"))
            renamed += 1
    assert renamed
    again = run(questions, recipe="tiny-cpu", overrides=SMALL)
    assert again.ref == first.ref
    assert Store.open().manifest(again.ref).created_at == Store.open().manifest(first.ref).created_at
