"""What a report of reinforcement mid-training shows."""

from collections.abc import Iterable
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from tasks.config import Frozen
from tasks.report.config import Entry

Checkpoint = Literal["base", "mid-trained", "rl"]
CHECKPOINTS = get_args(Checkpoint)

Method = Literal["", "ntr", "ntp", "rpt", "rmt", "no-budget", "no-curriculum", "no-ntp", "rollout-sft"]
"""What a checkpoint is in the paper's terms. `ntr`: the untrained model, which reasons and then predicts; its direct
prediction is the untrained baseline of next-token prediction. The last five: RMT without one of its parts, and
supervised fine-tuning in its place."""


class RMTEntry(Entry):
    """One checkpoint, measured by next-token prediction, on benchmarks, or both."""

    method: Method = ""
    """What it is in the paper; empty leaves it out of the paper's claims."""
    checkpoint: Checkpoint
    """How far along its arm it is; `rl` after GRPO on questions."""
    prediction: str = ""
    """Role of its prediction among the report's parents; empty for none."""
    evaluation: str = ""
    """Role of its pass@k evaluation among the report's parents; empty for none."""

    @model_validator(mode="after")
    def _is_measured(self) -> Self:
        if not self.prediction and not self.evaluation:
            raise ValueError(f"entries: {self.label!r} has neither a prediction nor an evaluation")
        return self


class RMTReportConfig(Frozen):
    """Checkpoints, comparisons and words of one report. Statistics settings are ours."""

    title: str = "Reinforcement mid-training"
    recipe: str = ""
    """Name of the recipe that was run."""
    notes: tuple[str, ...] = ()
    """Shown beside the results, e.g. what the texts were made for."""
    entries: tuple[RMTEntry, ...]
    """A label stands for one line of a table, its entries for the seeds of that line. A checkpoint before GRPO and the
    one after it may share a label: one line of the table of predictions, one of the table of benchmarks."""
    comparisons: tuple[tuple[str, str], ...] = ()
    """Pairs of labels (baseline, candidate): with reasoning against with reasoning at the same positions, and pass@k on
    the same questions, wherever both labels were measured."""
    against_direct: tuple[tuple[str, str], ...] = ()
    """Pairs of labels: the candidate's reasoning against the baseline's direct prediction, without reasoning."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of the intervals."""
    resamples: int = Field(2000, ge=100)
    """Bootstrap resamples of documents and of questions."""
    seed: int = Field(0, ge=0)
    """Of the bootstrap."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        roles = [role for entry in self.entries for role in (entry.prediction, entry.evaluation) if role]
        if not self.predicted:
            raise ValueError("entries: a report needs at least one prediction")
        if twice := sorted({role for role in roles if roles.count(role) > 1}):
            raise ValueError(f"entries: roles {twice} are used more than once")
        for table in (self.predicted, self.evaluated):
            _check_lines(table)
        for name, tables in (
            ("comparisons", (self.predicted, self.evaluated)),
            ("against_direct", (self.predicted,)),
        ):
            for pair in getattr(self, name):
                if not any(set(pair) <= set(labels(table)) for table in tables):
                    known = ", ".join(dict.fromkeys(label for table in tables for label in labels(table)))
                    raise ValueError(f"{name}: {pair} are not both labels of one table; there are: {known}")
        return self

    @property
    def predicted(self) -> tuple[RMTEntry, ...]:
        """Entries of the table of predictions."""
        return tuple(entry for entry in self.entries if entry.prediction)

    @property
    def evaluated(self) -> tuple[RMTEntry, ...]:
        """Entries of the table of benchmarks."""
        return tuple(entry for entry in self.entries if entry.evaluation)


def labels(entries: Iterable[RMTEntry]) -> tuple[str, ...]:
    """Labels in the order of the tables: the base model first, those after GRPO last."""
    ordered = sorted(entries, key=lambda entry: CHECKPOINTS.index(entry.checkpoint))
    return tuple(dict.fromkeys(entry.label for entry in ordered))


def _check_lines(entries: tuple[RMTEntry, ...]) -> None:
    seen: dict[str, RMTEntry] = {}
    seeds: set[tuple[str, int]] = set()
    for entry in entries:
        first = seen.setdefault(entry.label, entry)
        if (first.checkpoint, first.method) != (entry.checkpoint, entry.method):
            raise ValueError(
                f"entries: {entry.label!r} is {first.checkpoint} {first.method} and {entry.checkpoint} {entry.method} "
                "in one table; give them labels of their own"
            )
        if (entry.label, entry.seed) in seeds:
            raise ValueError(f"entries: {entry.label!r} has seed {entry.seed} twice in one table")
        seeds.add((entry.label, entry.seed))
