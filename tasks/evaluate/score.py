"""From graded completions to scores: pass@k and greedy accuracy per benchmark, with intervals over questions."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tasks.evaluate.config import EvaluateConfig
from tasks.shared.sampling.schema import TRUNCATED
from tasks.shared.statistics.best import best_at_k, best_ks
from tasks.shared.statistics.bootstrap import Interval, bootstrap_mean
from tasks.shared.statistics.majority import maj_at_k, majority_ks
from tasks.shared.statistics.passk import check_sample_counts, pass_at_k
from tasks.shared.tables.parquet import Row

GREEDY_INDEX = -1
OTHER = "other"
"""Style of an answer that begins as none of its benchmark's styles does."""


@dataclass
class BenchmarkTally:
    """What was counted on one benchmark."""

    opening_words: Mapping[str, str]
    """Styles of its answers by the words they begin with; none where styles are not told apart."""
    correct: Counter[str] = field(default_factory=Counter)
    """Correct samples by question id."""
    samples: Counter[str] = field(default_factory=Counter)
    """All samples by question id."""
    greedy: dict[str, float] = field(default_factory=dict)
    """1.0 where the greedy completion is right, by question id."""
    votes: dict[str, Counter[str]] = field(default_factory=dict)
    """Samples by class of equal answers, by question id."""
    right_votes: dict[str, Counter[str]] = field(default_factory=dict)
    """Right ones among them."""
    rewards: dict[str, list[tuple[float | None, bool]]] = field(default_factory=dict)
    """Score by the reward model, and whether it is right, of each sample by question id; empty without such a model."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """Samples by verdict, or `truncated`."""
    styles: Counter[str] = field(default_factory=Counter)
    """Samples by style."""
    composed: int = 0
    """Samples in which the opening words of more than one style stand."""
    tokens: int = 0
    empty: int = 0
    """Completions without a word, greedy ones too: a model that ends at once may not know the form of the prompts."""

    def add(self, row: Row) -> None:
        """Count one completion."""
        question, right = row["question_id"], row["verdict"] == "correct"
        self.empty += not row["completion"].strip()
        if row["sample_index"] == GREEDY_INDEX:
            self.greedy[question] = float(right)
            return
        self.samples[question] += 1
        self.correct[question] += right
        if row["vote"] is not None:
            self.votes.setdefault(question, Counter())[row["vote"]] += 1
            self.right_votes.setdefault(question, Counter())[row["vote"]] += right
        if "reward" in row:
            self.rewards.setdefault(question, []).append((row["reward"], right))
        # Each counts once: what was cut has no answer to be read either.
        self.verdicts["truncated" if row["finish_reason"] == TRUNCATED else row["verdict"]] += 1
        self.tokens += row["completion_tokens"]
        words = row["completion"].split() if self.opening_words else []
        self.styles[self.opening_words.get(words[0], OTHER) if words else OTHER] += 1
        self.composed += len({word for word in words if word in self.opening_words}) > 1


def score(rows: Iterable[Row], config: EvaluateConfig) -> dict[str, Any]:
    """Summary of an evaluation: `scores` and `curve` by benchmark and, where styles are told apart, `styles` and
    `composition`, the share of samples that use more than one.

    Raises:
        ValueError: a question does not have exactly `config.samples` completions; fewer would bias pass@k unseen.
    """
    tallies: dict[str, BenchmarkTally] = {}
    for row in rows:
        name = row["benchmark"]
        if name not in tallies:
            tallies[name] = BenchmarkTally({word: style for style, word in config.benchmark(name).styles.items()})
        tallies[name].add(row)
    summary: dict[str, Any] = {"scores": {}, "curve": {}, "styles": {}, "composition": {}}
    for name, tally in tallies.items():
        check_sample_counts(tally.samples, config.samples)
        curve = {k: _interval(_passes(tally, config.samples, k), config) for k in config.ks()}
        summary["scores"][name] = _scores(tally, curve, config)
        summary["curve"][name] = {
            "k": list(curve),
            "mean": [value.mean for value in curve.values()],
            "low": [value.low for value in curve.values()],
            "high": [value.high for value in curve.values()],
        }
        total = sum(tally.samples.values())
        if set(tally.styles) != {OTHER}:
            summary["styles"][name] = {style: count / total for style, count in tally.styles.most_common()}
            summary["composition"][name] = tally.composed / total
    return json.loads(json.dumps(summary))


def _scores(tally: BenchmarkTally, curve: dict[int, Interval], config: EvaluateConfig) -> dict[str, float]:
    total = sum(tally.samples.values())
    values: dict[str, float] = {"questions": len(tally.samples), "samples": config.samples}
    named = {f"pass@{k}": interval for k, interval in curve.items()}
    named |= {f"maj@{k}": _interval(_majorities(tally, k, config), config) for k in majority_ks(config.samples)}
    if tally.rewards:
        named |= {f"best@{k}": _interval(_best(tally, k), config) for k in best_ks(config.samples)}
    if tally.greedy:
        greedy = np.array([tally.greedy[question] for question in sorted(tally.samples)])
        named["greedy"] = _interval(greedy, config)
    for name, interval in named.items():
        values |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
    values["truncated_share"] = tally.verdicts["truncated"] / total
    values["empty_share"] = tally.empty / (total + len(tally.greedy))
    values["unparsed_share"] = tally.verdicts["unparsed"] / total
    values["timeout_share"] = tally.verdicts["timeout"] / total
    values["error_share"] = tally.verdicts["error"] / total
    values["mean_tokens"] = tally.tokens / total
    return values


def _passes(tally: BenchmarkTally, samples: int, k: int) -> np.ndarray:
    """Unbiased pass@k of each question, ordered by question id."""
    correct = np.array([tally.correct[question] for question in sorted(tally.samples)])
    return pass_at_k(samples, correct, k)


def _majorities(tally: BenchmarkTally, k: int, config: EvaluateConfig) -> np.ndarray:
    """maj@k of each question, ordered by question id."""
    votes = [tally.votes.get(question, Counter()) for question in sorted(tally.samples)]
    right = [tally.right_votes.get(question, Counter()) for question in sorted(tally.samples)]
    return maj_at_k(config.samples, [[*one.values()] for one in votes], [[*one.values()] for one in right], k)


def _best(tally: BenchmarkTally, k: int) -> np.ndarray:
    """best@k of each question, ordered by question id."""
    ranked = [tally.rewards[question] for question in sorted(tally.samples)]
    return best_at_k([[score for score, _ in one] for one in ranked], [[good for _, good in one] for one in ranked], k)


def _interval(values: np.ndarray, config: EvaluateConfig) -> Interval:
    return bootstrap_mean(values, confidence=config.confidence, resamples=config.resamples, seed=config.seed)
