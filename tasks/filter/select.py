"""Rules that decide on each sample, and a ledger that adds up."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from tasks.filter.config import FilterConfig
from tasks.shared.tables.parquet import Row
from tasks.shared.verification.verdict import TRUNCATED, VerdictName

CORRECT, WRONG = "correct", "wrong"
NOT_ADHERENT, NOT_BEST = "not_adherent", "not_best"
UNUSABLE = (TRUNCATED, *(name for name in get_args(VerdictName) if name != CORRECT))
"""Drop reasons of samples that are no correct whole solution."""


@dataclass
class GroupDecision:
    """The samples of one (question, heuristic), each with a drop reason, and the chosen ones."""

    reasons: dict[str, str]
    """Drop reason by sample key; empty for those that are kept."""
    kept: list[Row]
    wrong: list[Row]
    """Wrong solutions, as many and chosen by the same rule; the ablation trains on them."""


def decide(samples: Sequence[Row], config: FilterConfig) -> GroupDecision:
    """Choose among the samples of one (question, heuristic).

    Rows have key, sample_index, verdict, truncated and adherence (None where not scored). A truncated sample is never
    kept, whatever it contains. The best adherence wins, then the lowest index.
    """
    reasons = {row["key"]: TRUNCATED if row["truncated"] else str(row["verdict"]) for row in samples}
    correct = [row for row in samples if reasons[row["key"]] == CORRECT]
    adherent = [row for row in correct if _adheres(row, config.min_adherence)]
    kept = sorted(adherent, key=_rank)[: config.keep_per_heuristic]
    wrong = sorted((row for row in samples if reasons[row["key"]] == WRONG), key=_rank)[: config.keep_per_heuristic]
    reasons |= {row["key"]: NOT_ADHERENT for row in correct}
    reasons |= {row["key"]: NOT_BEST for row in adherent}
    reasons |= {row["key"]: "" for row in kept}
    return GroupDecision(reasons, kept, wrong)


def _adheres(row: Row, least: float | None) -> bool:
    return least is None or row["adherence"] is None or row["adherence"] >= least


def _rank(row: Row) -> tuple[float, int]:
    score = row["adherence"]
    return (0.0 if score is None else -score, row["sample_index"])


@dataclass
class FilterTally:
    """Counts of samples and of their tokens by what became of them, altogether and by heuristic."""

    samples: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    by_heuristic: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    adherence: Counter[str] = field(default_factory=Counter)
    """Sum of the scores by heuristic."""
    kept_questions: int = 0

    def add(self, rows: Iterable[Row], decision: GroupDecision) -> None:
        """Count the samples of one (question, heuristic)."""
        for row in rows:
            outcome = decision.reasons[row["key"]] or "kept"
            self.samples[outcome] += 1
            self.tokens[outcome] += row["completion_tokens"]
            counts = self.by_heuristic[row["heuristic"]]
            counts[outcome] += 1
            if row["adherence"] is not None and outcome not in UNUSABLE:
                counts["scored"] += 1
                self.adherence[row["heuristic"]] += row["adherence"]

    def ledger(self, generated: int) -> dict[str, int]:
        """Samples, then tokens, from generated to kept.

        generated = truncated + wrong + unparsed + timeout + error + correct; correct = not_adherent + adherent;
        adherent = not_best + kept. Raises AssertionError when a sample was lost or counted twice.
        """
        ledger = {**_stages(self.samples, ""), **_stages(self.tokens, "tokens_")}
        if ledger["generated"] != generated:
            raise AssertionError(f"{ledger['generated']} samples were decided on, {generated} were generated")
        return ledger

    def summary(self) -> dict[str, Any]:
        """Numbers of each heuristic for reports: samples, correct rate, mean adherence of correct ones, kept."""
        return {name: self._of_heuristic(name) for name in sorted(self.by_heuristic)}

    def _of_heuristic(self, name: str) -> dict[str, Any]:
        counts = self.by_heuristic[name]
        stages = _stages(counts, "")
        scored = counts["scored"]
        return {
            "samples": stages["generated"],
            "correct": stages["correct"],
            "correct_rate": round(stages["correct"] / stages["generated"], 4),
            "truncated": stages["truncated"],
            "kept": stages["kept"],
            "adherence": round(self.adherence[name] / scored, 4) if scored else None,
        }


def _stages(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    unusable = {reason: counts.get(reason, 0) for reason in UNUSABLE}
    kept, not_best, not_adherent = (counts.get(name, 0) for name in ("kept", NOT_BEST, NOT_ADHERENT))
    stages = {
        "generated": sum(unusable.values()) + not_adherent + not_best + kept,
        **unusable,
        "correct": not_adherent + not_best + kept,
        NOT_ADHERENT: not_adherent,
        "adherent": not_best + kept,
        NOT_BEST: not_best,
        "kept": kept,
    }
    return {prefix + name: count for name, count in stages.items()}
