"""Scores of lines and comparisons of two of them, over documents, from tallies."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tasks.predict.schema import DIRECT, REASONING
from tasks.predict.tally import EXACT, MEAN
from tasks.report.rmt.config import RMTReportConfig
from tasks.report.rmt.material import Line
from tasks.report.summary import ComparisonRow, Metric
from tasks.shared.statistics.bootstrap import Interval
from tasks.shared.statistics.clustered import Array, clustered_mean, compare_clustered
from tasks.shared.statistics.paired import Paired

PART_NAMES = {MEAN: "the mean of the tiers", "easy": "easy tokens", "medium": "medium tokens", "hard": "hard tokens"}
ACCURACY = "next-token accuracy"


def accuracy(config: RMTReportConfig, line: Line, mode: str, rule: str) -> dict[str, Metric]:
    """Accuracy by tier and their mean: mean over seeds, interval over documents."""
    each = [seed.tally.right[mode, rule] for seed in line.seeds]
    return {part: _metric(config, line, line.right(mode, rule), each, part, share=True) for part in line.tally.parts}


def reasoning_tokens(config: RMTReportConfig, line: Line, part: str) -> Metric:
    """Mean length of the reasoning, tokens."""
    return _metric(config, line, line.lengths(), [seed.tally.lengths for seed in line.seeds], part, share=False)


def compare_lengths(config: RMTReportConfig, baseline: Line, candidate: Line, part: str) -> Paired:
    """Tokens of reasoning of the candidate minus those of the baseline."""
    return _paired(config, baseline, baseline.lengths(), candidate.lengths(), part)


def comparisons(config: RMTReportConfig, lines: dict[str, Line]) -> Iterator[ComparisonRow]:
    """Every comparison that the configuration asks for, by part."""
    for base, label in config.comparisons:
        if base in lines and label in lines:
            yield from (compare(config, lines[base], lines[label], part) for part in lines[label].tally.parts)
    for base, label in config.against_direct:
        for part in lines[label].tally.parts:
            yield compare(config, lines[base], lines[label], part, baseline_mode=DIRECT)


def compare(
    config: RMTReportConfig, baseline: Line, candidate: Line, part: str, *, baseline_mode: str = REASONING
) -> ComparisonRow:
    """Accuracy of the candidate with reasoning minus that of the baseline, at the same positions."""
    result = _paired(config, baseline, baseline.right(baseline_mode, EXACT), candidate.right(REASONING, EXACT), part)
    detectable = result.minimum_detectable
    return ComparisonRow(
        baseline=baseline.label + (" without reasoning" if baseline_mode == DIRECT else ""),
        candidate=candidate.label,
        benchmark=PART_NAMES[part],
        metric=ACCURACY,
        difference=result.difference,
        low=result.low,
        high=result.high,
        p_value=result.p_value,
        minimum_detectable=detectable if math.isfinite(detectable) and detectable > 0 else None,
        confidence=config.confidence,
    )


def _paired(config: RMTReportConfig, baseline: Line, a: Array, b: Array, part: str) -> Paired:
    columns = baseline.tally.columns(part)
    return compare_clustered(a[:, columns], b[:, columns], baseline.tally.weights[:, columns], **_settings(config))


def _metric(config: RMTReportConfig, line: Line, sums: Array, each: list[Array], part: str, *, share: bool) -> Metric:
    columns = line.tally.columns(part)
    weights = line.tally.weights[:, columns]
    interval: Interval = clustered_mean(sums[:, columns], weights, share=share, **_settings(config))
    totals = weights.sum(axis=0)
    by_seed = {
        seed.entry.seed: float((values[:, columns].sum(axis=0) / totals).mean())
        for seed, values in zip(line.seeds, each, strict=True)
    }
    spread = float(np.std(list(by_seed.values()), ddof=1)) if len(by_seed) > 1 else None
    return Metric(mean=interval.mean, low=interval.low, high=interval.high, by_seed=by_seed, spread=spread)


def _settings(config: RMTReportConfig) -> dict[str, Any]:
    return {"confidence": config.confidence, "resamples": config.resamples, "seed": config.seed}
