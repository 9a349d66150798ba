"""Plans: what a run would do, told without doing it."""

from typing import Any

import pytest

from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.context import run_context
from tasks.spine.stage.plan import Plan, describe_changes, is_missing, planning
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.store import Store
from tests.support.publishing import Publish

SAMPLES = Stage("generate", version=1, kind="samples")
FILTERED = Stage("filter", version=1, kind="filtered")


def last(plan: Plan) -> tuple[str, str]:
    return plan.rows[-1].verdict, plan.rows[-1].why


def visit(plan: Plan, stage: Stage, config: Any, parents: dict[str, ArtifactRef], *, force: bool) -> ArtifactRef:
    return plan.visit(StageCall(stage, never_called, config, Runtime(), parents, force))


def never_called(*_: Any) -> None:
    raise AssertionError("a plan ran a stage")


def test_nothing_is_current_outside_the_block(store: Store) -> None:
    assert run_context().visitor is None
    with planning(store) as plan:
        assert run_context().visitor is plan
    assert run_context().visitor is None


def test_an_empty_store_means_a_miss_and_then_waiting(store: Store) -> None:
    plan = Plan(store)
    samples = visit(plan, SAMPLES, {"n": 4}, {}, force=False)
    assert last(plan) == ("miss", "never made in this store")
    assert is_missing(samples)
    filtered = visit(plan, FILTERED, {}, {"samples": samples}, force=False)
    assert last(plan) == ("waits", "waits for samples")
    assert is_missing(filtered)
    assert store.files.sizes("") == {}


def test_what_waits_for_different_things_is_told_apart(store: Store) -> None:
    plan = Plan(store)
    once, again, other = (visit(plan, SAMPLES, {"n": n}, {}, force=False) for n in (4, 4, 8))
    waiting = [visit(plan, FILTERED, {}, {"samples": samples}, force=False) for samples in (once, again, other)]
    assert waiting[0] == waiting[1] != waiting[2]


def test_a_hit_returns_what_is_there_so_that_the_next_stage_is_planned_too(store: Store, publish: Publish) -> None:
    samples = publish(store, "samples", {"n": 4}, stage="generate", seconds=12.5)
    filtered = publish(store, "filtered", {"keep": 1}, stage="filter", parents={"samples": samples.ref})
    plan = Plan(store)
    assert visit(plan, SAMPLES, {"n": 4}, {}, force=False) == samples.ref
    assert plan.rows[0].verdict == "hit"
    assert plan.rows[0].seconds == 12.5
    assert visit(plan, FILTERED, {"keep": 1}, {"samples": samples.ref}, force=False) == filtered.ref


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"n": 8, "sampling": {"temperature": 1}}, "config.n: 4 -> 8"),
        ({"n": 4, "sampling": {"temperature": 0.8}}, "config.sampling.temperature: 1 -> 0.8"),
        ({"n": 4, "sampling": {"temperature": 1}, "limit": None}, "config.limit: '(absent)' -> None"),
    ],
)
def test_a_miss_names_the_field(store: Store, publish: Publish, config: dict[str, Any], why: str) -> None:
    publish(store, "samples", {"n": 4, "sampling": {"temperature": 1}}, stage="generate", seconds=30)
    plan = Plan(store)
    visit(plan, SAMPLES, config, {}, force=False)
    assert last(plan) == ("miss", why)
    assert plan.rows[0].seconds == 30


def test_a_changed_parent_and_a_raised_version_are_named(store: Store, publish: Publish) -> None:
    samples = publish(store, "samples", {"n": 4}, stage="generate")
    publish(store, "filtered", {}, stage="filter", parents={"samples": samples.ref})
    plan = Plan(store)
    changed = ArtifactRef(kind="samples", fingerprint="a" * 64, digest="b" * 64)
    visit(plan, FILTERED, {}, {"samples": changed}, force=False)
    assert "parents.samples.digest" in last(plan)[1]
    visit(plan, Stage("filter", version=2, kind="filtered"), {}, {"samples": samples.ref}, force=False)
    assert last(plan) == ("miss", "version: 1 -> 2")


def test_lost_files_are_told_from_changed_settings(store: Store, publish: Publish) -> None:
    samples = publish(store, "samples", {"n": 4}, stage="generate")
    (store.local(samples.ref) / "data.txt").unlink()
    plan = Plan(store)
    visit(plan, SAMPLES, {"n": 4}, {}, force=False)
    assert last(plan) == ("miss", "its files are gone")


def test_force_is_told_and_makes_the_rest_wait(store: Store, publish: Publish) -> None:
    publish(store, "samples", {"n": 4}, stage="generate", seconds=3)
    plan = Plan(store)
    samples = visit(plan, SAMPLES, {"n": 4}, {}, force=True)
    assert last(plan) == ("forced", "asked for with force")
    assert plan.rows[0].seconds == 3
    visit(plan, FILTERED, {}, {"samples": samples}, force=False)
    assert last(plan)[0] == "waits"


def test_a_long_list_of_parents_is_cut_for_people(store: Store) -> None:
    plan = Plan(store)
    samples = visit(plan, SAMPLES, {}, {}, force=False)
    visit(plan, FILTERED, {}, {f"arm-{number}": samples for number in range(9)}, force=False)
    assert last(plan)[1] == "waits for arm-0, arm-1, arm-2, arm-3, arm-4, arm-5, 3 more"


def test_long_values_are_cut_for_people() -> None:
    text = describe_changes({"config.prompt": ("a" * 100, "b")})
    assert len(text) < 80
    assert text.endswith("-> 'b'")
