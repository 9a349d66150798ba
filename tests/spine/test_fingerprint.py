"""Identity: keys that never move by accident, and a refusal of everything without a stable form."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from tasks.config import ADDED, NOT_HASHED, Frozen
from tasks.spine.store.fingerprint import ABSENT, canonical_json, changed_fields, fingerprint, payload, stable_seed
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime

PARENT = ArtifactRef(kind="questions", fingerprint="a" * 64, digest="b" * 64)

GOLDEN = "49144a652bfc3291241372b373f4db66c8df32bc7056169fd870bd0143c4fe81"
GOLDEN_SEED = 695052481


class Inner(Frozen):
    rate: float = 0.5
    names: tuple[str, ...] = ("analogy", "décomposition")


class Outer(Frozen):
    inner: Inner = Inner()
    steps: int = 3
    base: ArtifactRef | None = None


def test_keys_are_pinned() -> None:
    """A change here orphans every artifact of every store; raise a stage's version instead."""
    assert fingerprint("toy", 1, Outer(), {"questions": PARENT}) == GOLDEN
    assert stable_seed("toy", 1, 0.5) == GOLDEN_SEED


class Grown(Outer):
    """`Outer`, a version later."""

    weight: Annotated[float, ADDED] = 0.0
    names: Annotated[tuple[str, ...], ADDED] = Field(default_factory=tuple)
    place: Annotated[str, NOT_HASHED] = ""


def test_a_field_that_came_later_counts_where_it_is_set_and_a_place_never() -> None:
    assert canonical_json(Grown()) == canonical_json(Grown(place="/data")) == canonical_json(Outer())
    keys = {canonical_json(made) for made in (Grown(), Grown(weight=0.1), Grown(names=("a",)), Grown(steps=4))}
    assert len(keys) == 4


def test_canonical_form_is_readable() -> None:
    assert canonical_json(Outer()) == (
        '{"base":null,"inner":{"names":["analogy","décomposition"],"rate":0.5},"steps":3}'
    )


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"x": {1, 2}}, "value.x: set"),
        ({"x": [len]}, r"value.x\[0\]: builtin"),
        ({"x": float("nan")}, "value.x: nan"),
        ({"x": float("inf")}, "value.x: inf"),
        ({"x": Path("/a")}, "value.x: .*Path"),
        ({"x": b"raw"}, "value.x: bytes"),
        ({"x": object()}, "value.x: object"),
        ({"x": {1: "a"}}, "value.x: key 1"),
        ({"x": Runtime()}, "value.x: Runtime"),
        (Runtime(), "value: Runtime"),
    ],
)
def test_refuses_what_has_no_stable_form(value: Any, named: str) -> None:
    with pytest.raises(TypeError, match=named):
        canonical_json(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}),
        ({"a": 1.0}, {"a": 1}),
        ({"a": -0.0}, {"a": 0}),
        ({"a": (1, 2)}, {"a": [1, 2]}),
        (Outer(), {"steps": 3, "inner": {"rate": 0.5, "names": ["analogy", "décomposition"]}, "base": None}),
    ],
)
def test_spelling_does_not_matter(one: Any, other: Any) -> None:
    assert fingerprint("toy", 1, one, {}) == fingerprint("toy", 1, other, {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 1.5}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": None}, {}),
        ({"ab": "c"}, {"a": "bc"}),
    ],
)
def test_meaning_does(one: Any, other: Any) -> None:
    assert fingerprint("toy", 1, one, {}) != fingerprint("toy", 1, other, {})


def test_stage_version_and_parent_roles_are_part_of_the_key() -> None:
    keys = {
        fingerprint("toy", 1, {}, {"a": PARENT}),
        fingerprint("toy", 2, {}, {"a": PARENT}),
        fingerprint("other", 1, {}, {"a": PARENT}),
        fingerprint("toy", 1, {}, {"b": PARENT}),
        fingerprint("toy", 1, {}, {}),
    }
    assert len(keys) == 5


def test_a_reference_counts_by_its_content_wherever_it_stands() -> None:
    rebuilt = PARENT.model_copy(update={"fingerprint": "c" * 64})
    changed = PARENT.model_copy(update={"digest": "c" * 64})
    for make in (
        lambda ref: fingerprint("toy", 1, Outer(base=ref), {}),
        lambda ref: fingerprint("t", 1, {}, {"p": ref}),
    ):
        assert make(PARENT) == make(rebuilt)
        assert make(PARENT) != make(changed)


def test_key_is_the_same_in_another_process() -> None:
    code = (
        "from tasks.spine.store.fingerprint import *;"
        "print(fingerprint('t', 1, {'b': 1, 'a': ['x']}, {}), stable_seed('q'))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {f"{fingerprint('t', 1, {'a': ['x'], 'b': 1}, {})} {stable_seed('q')}\n"}


def test_changed_fields_names_each_leaf_and_what_is_absent() -> None:
    old = payload("toy", 1, {"inner": {"rate": 0.5, "steps": 1}, "gone": None}, {"questions": PARENT})
    new = payload(
        "toy",
        2,
        {"inner": {"rate": 0.7, "steps": 1}, "added": None},
        {"questions": PARENT.model_copy(update={"digest": "c" * 64})},
    )
    assert changed_fields(old, new) == {
        "config.added": (ABSENT, None),
        "config.gone": (None, ABSENT),
        "config.inner.rate": (0.5, 0.7),
        "parents.questions.digest": ("b" * 64, "c" * 64),
        "version": (1, 2),
    }
    assert changed_fields(old, old) == {}


def test_config_models_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="extra"):
        Outer(stepz=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="frozen"):
        Outer().steps = 4  # type: ignore[misc]
