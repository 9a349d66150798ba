"""From a tally to the summary of a prediction: accuracy by tier and mode, length of reasoning, what became of all."""

from typing import Any

from tasks.predict.config import PredictConfig
from tasks.predict.schema import MODES
from tasks.predict.tally import RULES, Tally
from tasks.shared.next_token.method import TIERS
from tasks.shared.next_token.reader import OUTCOMES
from tasks.shared.statistics.bootstrap import Interval
from tasks.shared.statistics.clustered import Array, clustered_mean


def score(tally: Tally, config: PredictConfig) -> dict[str, Any]:
    """Summary: `accuracy[mode][rule][part]` and `reasoning_tokens[part]` with intervals over documents, `outcomes`.

    Parts are the tiers and `mean`, the plain mean of the three, as in the paper's tables. Reasoning that was never
    closed counts with the tokens that it had: a lower bound.
    """
    return {
        "budget_tokens": config.budget_tokens,
        "documents": len(tally.documents),
        "positions": {tier: int(tally.weights[:, index].sum()) for index, tier in enumerate(TIERS)},
        "positions_digest": tally.positions_digest,
        "samples": config.num_samples,
        "accuracy": {
            mode: {rule: _parts(tally, tally.right[mode, rule], config, share=True) for rule in RULES} for mode in MODES
        },
        "reasoning_tokens": _parts(tally, tally.lengths, config, share=False),
        "outcomes": {
            tier: {outcome: counts[outcome] / max(1, counts.total()) for outcome in OUTCOMES}
            for tier, counts in tally.outcomes.items()
        },
    }


def headline(summary: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Exact accuracy by mode and tier as plain numbers: what MLflow shows of a checkpoint."""
    tables = {mode: rules["exact"] for mode, rules in summary["accuracy"].items()}
    tables["reasoning_tokens"] = summary["reasoning_tokens"]
    return {name: {part: values["mean"] for part, values in table.items()} for name, table in tables.items()}


def ledger(tally: Tally) -> dict[str, int]:
    """Completions with reasoning, and what became of them."""
    totals = {outcome: sum(counts[outcome] for counts in tally.outcomes.values()) for outcome in OUTCOMES}
    return {"completions": sum(totals.values()), **totals}


def _parts(tally: Tally, sums: Array, config: PredictConfig, *, share: bool) -> dict[str, dict[str, float]]:
    return {part: _plain(_interval(tally, sums, part, config, share)) for part in tally.parts}


def _interval(tally: Tally, sums: Array, part: str, config: PredictConfig, share: bool) -> Interval:
    columns = tally.columns(part)
    return clustered_mean(
        sums[:, columns],
        tally.weights[:, columns],
        confidence=config.confidence,
        resamples=config.resamples,
        seed=config.seed,
        share=share,
    )


def _plain(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}
