"""Outcome of a release: the trained model behind a report, and whether it is better than the one that leads."""

from collections.abc import Mapping, Sequence

import numpy as np

from tasks.config import Frozen
from tasks.errors import Permanent
from tasks.report.config import ReportConfig, ReportEntry
from tasks.report.numbers.collect import Evaluated, benchmarks, read_evaluation, same_questions
from tasks.report.numbers.statistics import values
from tasks.report.rows import p_text, points
from tasks.shared.statistics.paired import compare_paired
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store

CONFIDENCE = 0.95
RESAMPLES = 2000
QUESTIONS = "questions."
RELEASED = "released"
"""Arm that reports over several releases put trained models under."""


class Decision(Frozen):
    """Whether a candidate takes the lead, and why."""

    promote: bool
    reason: str
    difference: float | None = None
    """Candidate minus champion, a share; None where there is nothing to compare with."""
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    questions: int = 0


def trained_model(store: Store, report: Manifest, method: str) -> ArtifactRef:
    """The model that a pipeline is run for: of the arm named as the method, else of the last one, as far as it went.

    Raises:
        Permanent: the report has no trained checkpoint.
    """
    entries = [entry for entry in report.payload["config"]["entries"] if entry["checkpoint"] != "base"]
    mine = [entry for entry in entries if entry["arm"] == method] or entries
    if not mine:
        raise Permanent(f"{report.ref}: nothing was trained, so there is no model to release")
    last = max(mine, key=lambda entry: entry["checkpoint"] == "rl")
    return store.manifest(report.parents[last["evaluation"] or last["prediction"]]).parents["model"]


def comparable(one: Manifest, other: Manifest) -> bool:
    """Whether two evaluations asked the same questions in the same way."""
    asked = [{role: ref for role, ref in item.parents.items() if role.startswith(QUESTIONS)} for item in (one, other)]
    return asked[0] == asked[1] and one.payload["config"] == other.payload["config"]


def decide(champion: Evaluated | None, candidate: Evaluated, metric: str) -> Decision:
    """The candidate leads if the paired difference over all questions is above 0 by interval and by test.

    Args:
        champion: None where no model leads yet.
        metric: `greedy` or `pass@k`.

    Raises:
        ValueError: the two were asked other questions.
    """
    if champion is None:
        return Decision(promote=True, reason="The first model of its line.")
    shared = benchmarks([champion, candidate])
    for name in shared:
        same_questions(name, [champion, candidate])
    before, after = (
        np.concatenate([values(evaluated, name, metric) for name in shared]) for evaluated in (champion, candidate)
    )
    paired = compare_paired(before, after, confidence=CONFIDENCE, resamples=RESAMPLES, seed=0)
    better = paired.low > 0 and paired.p_value <= 1 - CONFIDENCE
    words = (
        f"{metric} on the same {paired.questions} questions of {', '.join(shared)}: {points(paired.difference)} points "
        f"({CONFIDENCE:.0%} interval {points(paired.low)} to {points(paired.high)}, {p_text(paired.p_value)})"
    )
    return Decision(
        promote=better,
        reason=f"{'Better than' if better else 'Not shown to be better than'} {champion.entry.label} in {words}.",
        difference=paired.difference,
        low=paired.low,
        high=paired.high,
        p_value=paired.p_value,
        questions=paired.questions,
    )


def evaluated(store: Store, ref: ArtifactRef, label: str) -> Evaluated:
    """An evaluation, read."""
    entry = ReportEntry(label=label, arm=RELEASED, checkpoint="rl", evaluation="evaluation")
    return read_evaluation(entry, store.manifest(ref), store.local(ref))


def comparison(
    line: str, notes: tuple[str, ...], releases: Sequence[tuple[str, Mapping[str, ArtifactRef]]]
) -> tuple[ReportConfig, dict[str, ArtifactRef]]:
    """One table of several releases, and its parents by role; the last one is compared with each of the others.

    Args:
        releases: label and artifacts by role, of which `model`, `base_evaluation` and `evaluation` are read.
    """
    entries, parents = [], {}
    for label, sources in releases:
        digest = sources["model"].digest[:12]
        for checkpoint, role, what in (("base", "base_evaluation", f"{label}, base"), ("rl", "evaluation", label)):
            name = f"{role}-{digest}"
            parents[name] = sources[role]
            arm = "" if checkpoint == "base" else RELEASED
            entries.append(ReportEntry(label=what, arm=arm, checkpoint=checkpoint, evaluation=name))
    *before, newest = [label for label, _ in releases]
    config = ReportConfig(
        title=f"Base models through {line}",
        recipe=line,
        notes=notes,
        entries=tuple(entries),
        comparisons=tuple((label, newest) for label in before),
    )
    return config, parents
