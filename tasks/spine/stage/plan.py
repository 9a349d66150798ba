"""Planning: walk a pipeline's own orchestration code and say, per stage, hit or miss, why, and at what cost.

Nothing runs. The same stage calls compute the same keys, so a plan cannot disagree with a run.
A plan is one `Visitor`: something that takes stage calls in Prefect's place. Without a store it is an outline: which
stages there are with which settings, on a machine that may have neither model nor data.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from tasks.spine.stage.call import StageCall
from tasks.spine.stage.context import run_context, run_context_with
from tasks.spine.store.fingerprint import digest_text
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store

SourceConfig = TypeVar("SourceConfig", bound=BaseModel)
"""Settings whose `source_digest` says what their source holds."""
Changes = dict[str, tuple[Any, Any]]
"""Old and new value of what differs, by its dotted name."""
CONFIG = "config."
"""Begin of the names of a stage's own settings."""
SHOWN = 6
"""Names that a line for people lists."""


def is_missing(ref: ArtifactRef) -> bool:
    """True for what a plan speaks of before it exists.

    Its key stands for its content, which nobody knows yet, so that what depends on different artifacts differs too.
    """
    return ref.digest == ref.fingerprint


class NamesSettings(Protocol):
    """Settings of all stages of an arm, which know by what name people set each."""

    def set_as(self, config: BaseModel, key: str) -> str:
        """The name of the setting at a dotted key of one stage's settings."""
        ...


@dataclass(frozen=True)
class PlannedStage:
    """One stage call of the pipeline."""

    stage: str
    verdict: str
    """`hit`, `miss`, `forced`, or `waits` when a parent does not exist yet; `outlined` where nothing was looked at."""
    why: str
    seconds: float | None
    """What the artifact cost, or what the newest one of its stage did; None where the stage never ran here."""
    ref: ArtifactRef
    """Its fingerprint is the stage's key; where a parent does not exist yet, another than it will have."""
    config: Any = field(default=None, compare=False)
    """Settings of the call."""
    context: Any = field(default=None, compare=False)
    """What `announce` said last: the settings of the arm that the stage belongs to."""
    arm: str = field(default="", compare=False)
    """Name of that arm; empty for what belongs to all."""
    label: str = field(default="", compare=False)
    """What people call what is made."""


@dataclass
class Plan:
    """Collects the stages that a pipeline would pass through."""

    store: Store | None
    """Where artifacts are looked for; None for an outline."""
    rows: list[PlannedStage] = field(default_factory=list)
    context: NamesSettings | None = None
    arm: str = ""
    missing: dict[str, ArtifactRef] = field(default_factory=dict)
    """Artifacts that are not there yet, under the names by which flows pass them on."""

    def visit(self, call: StageCall) -> ArtifactRef:
        """Record one stage call; returns its artifact, or a reference that marks it as not there yet."""
        if self.store is None:
            return self._missing(call, "outlined", "")
        waiting = [role for role, parent in call.parents.items() if is_missing(parent)]
        if waiting:
            return self._missing(call, "waits", f"waits for {_listed(waiting)}")
        manifest = self.store.find(call.stage.kind, call.key)
        if manifest is not None and not call.force:
            why = f"made {manifest.created_at}"
            return self._noted(call, "hit", why, manifest.seconds, manifest.ref)
        if call.force:
            return self._missing(call, "forced", "asked for with force")
        changes = self.store.explain_miss(call.stage.kind, call.payload)
        return self._missing(call, "miss", describe_changes(changes and self._as_set(call, changes)))

    def _as_set(self, call: StageCall, changes: Changes) -> Changes:
        """Changes under the names by which people set them, where that is known."""
        if self.context is None:
            return changes
        name = self.context.set_as
        return {
            name(call.config, key.removeprefix(CONFIG)) if key.startswith(CONFIG) else key: values
            for key, values in changes.items()
        }

    def _missing(self, call: StageCall, verdict: str, why: str) -> ArtifactRef:
        stage, key = call.stage, call.key
        made = self.store.all(stage.kind) if self.store is not None else []
        peers = [manifest for manifest in made if manifest.stage == stage.name]
        ref = ArtifactRef(kind=stage.kind, fingerprint=key, digest=key)
        self.missing[str(ref)] = ref
        return self._noted(call, verdict, why, peers[-1].seconds if peers else None, ref)

    def _noted(self, call: StageCall, verdict: str, why: str, seconds: float | None, ref: ArtifactRef) -> ArtifactRef:
        said = {"config": call.config, "context": self.context, "arm": self.arm, "label": call.label}
        self.rows.append(PlannedStage(call.stage.name, verdict, why, seconds, ref, **said))
        return ref


def count_stages(rows: Sequence[PlannedStage]) -> int:
    """Artifacts that the stage calls lead to: one that several arms ask for is made once."""
    return len({row.ref for row in rows})


def _listed(names: list[str]) -> str:
    """The first of them, for people: a comparison's report waits for dozens."""
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return ", ".join([*names[:SHOWN], *more])


def describe_changes(changes: Changes | None) -> str:
    """One line for people about the fields in which a stage differs from its nearest artifact."""
    if changes is None:
        return "never made in this store"
    if not changes:
        return "its files are gone"

    def short(value: Any) -> str:
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:37]}..."

    return "; ".join(f"{name}: {short(old)} -> {short(new)}" for name, (old, new) in changes.items())


def announce(context: NamesSettings, arm: str = "") -> None:
    """Tell a plan what the stage calls that follow belong to: an arm, or all; nothing happens in a run."""
    visitor = run_context().visitor
    if isinstance(visitor, Plan):
        visitor.context, visitor.arm = context, arm


def is_outline() -> bool:
    """Whether stage calls are outlined: neither models nor data are to be looked at."""
    visitor = run_context().visitor
    return isinstance(visitor, Plan) and visitor.store is None


def settings_digest(config: BaseModel) -> str:
    """What an outline knows a source by in place of its content: the settings that lead to it."""
    return digest_text(config.model_dump_json())


def looked_at(config: SourceConfig, resolve: Callable[[SourceConfig], SourceConfig]) -> SourceConfig:
    """`config` with the digest of its source, which `resolve` reads unless this is an outline."""
    return config.model_copy(update={"source_digest": settings_digest(config)}) if is_outline() else resolve(config)


@contextmanager
def planning(store: Store | None) -> Iterator[Plan]:
    """Make every stage call in the block record itself instead of running; flows run as plain functions."""
    plan = Plan(store)
    with run_context_with(visitor=plan):
        yield plan
