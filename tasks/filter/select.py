"""Rules that decide on each sample, and a ledger that adds up."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from tasks.filter.config import FilterConfig
from tasks.shared.tables.parquet import Row
from tasks.shared.verification.verdict import TRUNCATED, VerdictName

CORRECT, WRONG = "correct", "wrong"
RUNS_ON, CUT_BACK = "runs_on", "cut_back"
BY_CHANCE, MISCALCULATED, NOT_ADHERENT, NOT_BEST = "by_chance", "miscalculated", "not_adherent", "not_best"
UNUSABLE = (TRUNCATED, *(name for name in get_args(VerdictName) if name != CORRECT), RUNS_ON)
"""Drop reasons of samples that are no correct whole solution."""
UNFIT = (BY_CHANCE, MISCALCULATED, NOT_ADHERENT)
"""Drop reasons of correct solutions, in the order in which they are tried."""


@dataclass
class GroupDecision:
    """The samples of one (question, heuristic), each with a drop reason, and the chosen ones."""

    reasons: dict[str, str]
    """Drop reason by sample key; empty for those that are kept."""
    kept: list[Row]
    wrong: list[Row]
    """Wrong solutions, as many and chosen by the same rule; the ablation trains on them."""


def decide(samples: Sequence[Row], config: FilterConfig, chance: float = 0.0) -> GroupDecision:
    """Choose among the samples of one (question, heuristic).

    Rows have key, sample_index, verdict, truncated, ending, arithmetic and adherence (None where there is none). A
    sample that was truncated before its solution was finished is never kept, whatever it contains, nor one that runs
    on. The best adherence wins, then the lowest index.

    Args:
        chance: of an answer to another question to be right here by accident.
    """
    reasons = {row["key"]: _unusable(row) for row in samples}
    correct = [row for row in samples if reasons[row["key"]] == CORRECT]
    shown = _is_shown(samples, len(correct), config, chance)
    reasons |= {row["key"]: _unfit(row, config) if shown else BY_CHANCE for row in correct}
    fit = [row for row in correct if not reasons[row["key"]]]
    kept = sorted(fit, key=_rank)[: config.keep_per_heuristic]
    wrong = [row for row in samples if reasons[row["key"]] == WRONG and row["ending"] != RUNS_ON]
    reasons |= {row["key"]: NOT_BEST for row in fit}
    reasons |= {row["key"]: "" for row in kept}
    return GroupDecision(reasons, kept, sorted(wrong, key=_rank)[: config.keep_per_heuristic])


def _unusable(row: Row) -> str:
    """The reason why a sample is no correct whole solution; `CORRECT` where it is one."""
    if row["truncated"]:
        return TRUNCATED
    return RUNS_ON if row["verdict"] == CORRECT and row["ending"] == RUNS_ON else str(row["verdict"])


def _is_shown(samples: Sequence[Row], correct: int, config: FilterConfig, chance: float) -> bool:
    """Whether the `correct` solutions of a pair show the evidence that is asked for."""
    answered = sum(1 for row in samples if row["verdict"] in (CORRECT, WRONG) and not row["truncated"])
    agree = correct >= config.min_agreement or correct >= max(2, answered // 2 + 1)
    unlikely = chance < config.max_chance
    return {"none": True, "agreement": agree, "unlikely": unlikely, "either": agree or unlikely}[config.evidence]


def _unfit(row: Row, config: FilterConfig) -> str:
    """The reason why a correct solution is not taken; empty for none."""
    if _is_below(row["arithmetic"], config.min_arithmetic):
        return MISCALCULATED
    return NOT_ADHERENT if _is_below(row["adherence"], config.min_adherence) else ""


def _is_below(score: float | None, least: float | None) -> bool:
    """Whether a score is too low; one that does not exist is not."""
    return score is not None and least is not None and score < least


def _rank(row: Row) -> tuple[bool, float, int]:
    score = row["adherence"]
    return (score is None, -(score or 0.0), row["sample_index"])


@dataclass
class FilterTally:
    """Counts of samples and of their tokens by what became of them, altogether and by heuristic."""

    samples: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    by_heuristic: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    adherence: Counter[str] = field(default_factory=Counter)
    """Sum of the scores of correct solutions by heuristic."""
    arithmetic: Counter[str] = field(default_factory=Counter)
    """Sum of the scores of whole samples by heuristic."""
    endings: Counter[str] = field(default_factory=Counter)
    """Whole samples by how they end behind their answer."""
    solvers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Heuristics under which a question has a right, whole solution, by question."""

    def add(self, rows: Iterable[Row], decision: GroupDecision) -> None:
        """Count the samples of one (question, heuristic)."""
        solved = False
        for row in rows:
            outcome = decision.reasons[row["key"]] or "kept"
            solved |= outcome not in UNUSABLE
            self.samples[outcome] += 1
            self.tokens[outcome] += row["completion_tokens"]
            counts = self.by_heuristic[row["heuristic"]]
            counts[outcome] += 1
            counts["tokens"] += row["completion_tokens"]
            counts["recovered"] += row["recovered"]
            if row["ending"] and not row["truncated"]:
                self.endings[row["ending"]] += 1
                counts["goes_on"] += row["ending"] != "whole"
                counts[CUT_BACK] += outcome == "kept" and row["ending"] == CUT_BACK
            if row["arithmetic"] is not None and not row["truncated"]:
                counts["calculated"] += 1
                self.arithmetic[row["heuristic"]] += row["arithmetic"]
            if row["adherence"] is not None and outcome not in UNUSABLE:
                counts["scored"] += 1
                self.adherence[row["heuristic"]] += row["adherence"]
        if solved:
            self.solvers[row["question_id"]].append(row["heuristic"])

    def ledger(self, generated: int) -> dict[str, int]:
        """Samples, then tokens, from generated to kept.

        generated = truncated + wrong + unparsed + timeout + error + runs_on + correct; correct = by_chance +
        miscalculated + not_adherent + adherent; adherent = not_best + kept. Raises AssertionError when a sample was
        lost or counted twice.
        """
        ledger = {**_stages(self.samples, ""), **_stages(self.tokens, "tokens_")}
        if ledger["generated"] != generated:
            raise AssertionError(f"{ledger['generated']} samples were decided on, {generated} were generated")
        return ledger

    def summary(self) -> dict[str, Any]:
        """Numbers of each heuristic for reports: samples, correct rate, mean adherence of correct ones, kept, how many
        were cut at the token limit before their solution was finished (`truncated`) and behind it (`recovered`), how
        many have no readable answer, mean tokens, how many go on behind their answer, how many of the kept ones were
        cut back, the mean share of equations that hold, with the number of samples in which any can be checked, and how
        many questions are solved, and solved under no other heuristic."""
        solves = Counter(name for names in self.solvers.values() for name in names)
        alone = Counter(names[0] for names in self.solvers.values() if len(names) == 1)
        return {
            name: self._of_heuristic(name) | {"solves": solves[name], "solves_alone": alone[name]}
            for name in sorted(self.by_heuristic)
        }

    def _of_heuristic(self, name: str) -> dict[str, Any]:
        counts = self.by_heuristic[name]
        stages = _stages(counts, "")
        scored, calculated = counts["scored"], counts["calculated"]
        return {
            "samples": stages["generated"],
            "correct": stages["correct"],
            "correct_rate": round(stages["correct"] / stages["generated"], 4),
            "truncated": stages["truncated"],
            "recovered": counts["recovered"],
            "unparsed": stages["unparsed"],
            "mean_tokens": round(counts["tokens"] / stages["generated"], 1),
            "kept": stages["kept"],
            "goes_on": counts["goes_on"],
            RUNS_ON: stages[RUNS_ON],
            CUT_BACK: counts[CUT_BACK],
            "arithmetic": round(self.arithmetic[name] / calculated, 4) if calculated else None,
            "calculated": calculated,
            "adherence": round(self.adherence[name] / scored, 4) if scored else None,
        }


def _stages(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    unusable = {reason: counts.get(reason, 0) for reason in UNUSABLE}
    unfit = {reason: counts.get(reason, 0) for reason in UNFIT}
    kept, not_best = (counts.get(name, 0) for name in ("kept", NOT_BEST))
    correct = sum(unfit.values()) + not_best + kept
    stages = {
        "generated": sum(unusable.values()) + correct,
        **unusable,
        "correct": correct,
        **unfit,
        "adherent": not_best + kept,
        NOT_BEST: not_best,
        "kept": kept,
    }
    return {prefix + name: count for name, count in stages.items()}
