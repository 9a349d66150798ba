"""Planning: walk a pipeline's own orchestration code and say, per stage, hit or miss, why, and at what cost.

Nothing runs. The same stage calls compute the same keys, so a plan cannot disagree with a run.
A plan is one `Visitor`: something that takes stage calls in Prefect's place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from tasks.spine.stage.stage import Body, Stage, stage_payload
from tasks.spine.store.fingerprint import fingerprint
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.store import Store

SHOWN = 6
"""Names that a line for people lists."""


def is_missing(ref: ArtifactRef) -> bool:
    """True for what a plan speaks of before it exists.

    Its key stands for its content, which nobody knows yet, so that what depends on different artifacts differs too.
    """
    return ref.digest == ref.fingerprint


class Visitor(Protocol):
    """Takes the stage calls of flows that run as plain functions."""

    def visit(
        self,
        stage: Stage,
        body: Body,
        config: Any,
        runtime: Runtime,
        parents: dict[str, ArtifactRef],
        force: bool,
    ) -> ArtifactRef:
        """Take one stage call; returns its artifact."""
        ...


@dataclass(frozen=True)
class PlannedStage:
    """One stage call of the pipeline."""

    stage: str
    verdict: str
    """`hit`, `miss`, `forced`, or `waits` when a parent does not exist yet."""
    why: str
    seconds: float | None
    """What the artifact cost, or what the newest one of its stage did; None where the stage never ran here."""
    ref: ArtifactRef
    """Its fingerprint is the stage's key; where a parent does not exist yet, another than it will have."""
    context: Any = field(default=None, compare=False)
    """What `announce` said last: the settings of the arm that the stage belongs to."""


@dataclass
class Plan:
    """Collects the stages that a pipeline would pass through."""

    store: Store
    rows: list[PlannedStage] = field(default_factory=list)
    context: Any = None
    missing: dict[str, ArtifactRef] = field(default_factory=dict)
    """By the name under which flows pass it on."""

    def visit(
        self,
        stage: Stage,
        body: Body,
        config: Any,
        runtime: Runtime,
        parents: dict[str, ArtifactRef],
        force: bool,
    ) -> ArtifactRef:
        """Record one stage call; returns its artifact, or a reference that marks it as not there yet."""
        key = fingerprint(stage.name, stage.version, config, parents)
        waiting = [role for role, parent in parents.items() if is_missing(parent)]
        if waiting:
            return self._missing(stage, key, "waits", f"waits for {_listed(waiting)}")
        found = self.store.find(stage.kind, key)
        if found is not None and not force:
            why = f"made {found.created_at}"
            self.rows.append(PlannedStage(stage.name, "hit", why, found.seconds, found.ref, self.context))
            return found.ref
        if force:
            return self._missing(stage, key, "forced", "asked for with force")
        changes = self.store.explain_miss(stage.kind, stage_payload(stage, config, parents))
        return self._missing(stage, key, "miss", describe_changes(changes))

    def _missing(self, stage: Stage, key: str, verdict: str, why: str) -> ArtifactRef:
        peers = [manifest for manifest in self.store.all(stage.kind) if manifest.stage == stage.name]
        ref = ArtifactRef(kind=stage.kind, fingerprint=key, digest=key)
        self.missing[str(ref)] = ref
        seconds = peers[-1].seconds if peers else None
        self.rows.append(PlannedStage(stage.name, verdict, why, seconds, ref, self.context))
        return ref


def _listed(names: list[str]) -> str:
    """The first of them, for people: a comparison's report waits for dozens."""
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return ", ".join([*names[:SHOWN], *more])


def describe_changes(changes: dict[str, tuple[Any, Any]] | None) -> str:
    """One line for people about the fields in which a stage differs from its nearest artifact."""
    if changes is None:
        return "never made in this store"
    if not changes:
        return "its files are gone"

    def short(value: Any) -> str:
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:37]}..."

    return "; ".join(f"{name}: {short(old)} -> {short(new)}" for name, (old, new) in changes.items())


_current: ContextVar[Visitor | None] = ContextVar("visitor", default=None)


def current_visitor() -> Visitor | None:
    """What takes stage calls in Prefect's place, or None when they run as Prefect tasks."""
    return _current.get()


def announce(context: Any) -> None:
    """Tell a plan what the stage calls that follow belong to; nothing happens in a run."""
    visitor = _current.get()
    if isinstance(visitor, Plan):
        visitor.context = context


@contextmanager
def visiting(visitor: Visitor) -> Iterator[None]:
    """Give every stage call in the block to `visitor`; flows run as plain functions."""
    token = _current.set(visitor)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def planning(store: Store) -> Iterator[Plan]:
    """Make every stage call in the block record itself instead of running."""
    plan = Plan(store)
    with visiting(plan):
        yield plan
