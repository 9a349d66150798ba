"""What could be known before RL was paid for: whether groups of the model that it starts from can teach anything."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tasks.errors import Permanent
from tasks.report.numbers.collect import Evaluated
from tasks.report.numbers.inputs import ReportInputs
from tasks.report.rows import Metric
from tasks.report.training_rows import StartRow
from tasks.shared.statistics.bootstrap import bootstrap_mean
from tasks.shared.statistics.passk import pass_at_k, same_reward, seldom_right
from tasks.spine.store.lineage import Node

ZERO_ADVANTAGE = "zero_advantage_group_share"


def starts(inputs: ReportInputs) -> list[StartRow]:
    """The start of every RL training whose first model was measured as well, in the order of the report."""
    measured = {node.ref: evaluated for evaluated, node in _models(inputs)}
    rows = []
    for evaluated, trained in _models(inputs):
        start = trained.parents.get("model")
        if _group_size(trained) and start is not None and start.ref in measured:
            rows += list(_rows(inputs, evaluated, trained, measured[start.ref]))
    return rows


def check_start(start: Evaluated, group_size: int, most: float) -> None:
    """Refuse to train a model whose groups of rollouts would seldom hold a right one, on each of its benchmarks.

    Raises:
        Permanent: the share of such questions is above `most` everywhere.
    """
    shares = {
        name: float(seldom_right(scores.samples, scores.correct, group_size).mean())
        for name, scores in start.benchmarks.items()
    }
    if min(shares.values(), default=0.0) > most:
        found = ", ".join(f"{share:.0%} of {name}" for name, share in shares.items())
        raise Permanent(
            f"max_seldom_share={most}: RL would start from {start.entry.label!r}, for which a group of {group_size} "
            f"rollouts more likely than not has no right one on {found}; nothing was trained. Start from a better "
            "model, raise rl.group_size, or set max_seldom_share to null"
        )


def _models(inputs: ReportInputs) -> Iterator[tuple[Evaluated, Node]]:
    for evaluated in (one for seeds in inputs.evaluations.values() for one in seeds):
        node = inputs.provenance.roots[evaluated.entry.evaluation].parents.get("model")
        if node is not None and node.manifest is not None:
            yield evaluated, node


def _group_size(trained: Node) -> int:
    """Rollouts of a prompt; 0 for a model that was not trained by GRPO on questions."""
    manifest = trained.manifest
    if manifest is None or manifest.stage != "rl" or not isinstance(manifest.payload.get("config"), dict):
        return 0
    return int(manifest.payload["config"].get("group_size", 0))


def _rows(inputs: ReportInputs, after: Evaluated, trained: Node, before: Evaluated) -> Iterator[StartRow]:
    assert trained.manifest is not None
    group_size, curve = _group_size(trained), trained.manifest.summary.get("curve") or []
    seen = [point[ZERO_ADVANTAGE] for point in curve if ZERO_ADVANTAGE in point]
    entropy = [point["entropy"] for point in curve if "entropy" in point]
    for name, scores in before.benchmarks.items():
        lost = same_reward(scores.samples, scores.correct, group_size)
        hard = seldom_right(scores.samples, scores.correct, group_size)
        yield StartRow(
            label=after.entry.label,
            seed=after.entry.seed,
            start=before.entry.label,
            benchmark=name,
            group_size=group_size,
            samples=scores.samples,
            solved=float(pass_at_k(scores.samples, scores.correct, scores.samples).mean()),
            expected=_share(inputs, lost),
            seldom=_share(inputs, hard),
            likelihood=_likelihood(before),
            seen=sum(seen) / len(seen) if seen else None,
            first_entropy=entropy[0] if entropy else None,
            last_entropy=entropy[-1] if entropy else None,
        )


def _likelihood(measured: Evaluated) -> Metric | None:
    """Likelihood of right solutions as the evaluation found it; it is the model's, whatever the benchmark."""
    found = measured.manifest.summary.get("likelihood")
    return Metric(mean=found["mean"], low=found["low"], high=found["high"]) if found else None


def _share(inputs: ReportInputs, values: NDArray[np.float64]) -> Metric:
    """The mean over questions, with its interval."""
    interval = bootstrap_mean(values, **inputs.config.bootstrap)
    return Metric(mean=interval.mean, low=interval.low, high=interval.high)
