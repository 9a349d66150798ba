"""What a report shows."""

from collections.abc import Iterable
from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

from tasks.config import Frozen, Seed

Checkpoint = Literal["base", "midtrained", "rl"]
CHECKPOINTS = get_args(Checkpoint)

Method = Literal["", "ntr", "ntp", "rpt", "rmt", "no-budget", "no-curriculum", "no-ntp", "rollout-sft"]
"""What a checkpoint is in the terms of arXiv 2509.24375. `ntr`: the untrained model, which reasons and then predicts;
its direct prediction is the untrained baseline of next-token prediction. The last five: RMT without one of its parts,
and supervised fine-tuning in its place."""


class ReportEntry(Frozen):
    """One checkpoint, measured on benchmarks, by next-token prediction, or both."""

    label: str
    """What tables call it, e.g. `RL from mid-trained`; entries with the same label are seeds of one line."""
    arm: str = ""
    """Arm of the recipe; empty for the base model, which all arms share."""
    seed: Seed = 0
    """Seed of generation and training that led to it."""
    checkpoint: Checkpoint
    """How far along the arm it is; `rl` after GRPO on questions."""
    method: Method = ""
    """What it is in the paper on reinforcement mid-training; empty leaves it out of that paper's claims."""
    prediction: str = ""
    """Role of its prediction among the report's parents; empty for none."""
    evaluation: str = ""
    """Role of its pass@k evaluation among the report's parents; empty for none."""

    @model_validator(mode="after")
    def _is_measured(self) -> Self:
        if not self.roles:
            raise ValueError(f"entries: {self.label!r} has neither a prediction nor an evaluation")
        return self

    @property
    def is_trained(self) -> bool:
        """Whether a training led to it, and so its luck; the untrained model may stand as an arm of its own."""
        return self.checkpoint != "base"

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of its measurements."""
        return tuple(role for role in (self.prediction, self.evaluation) if role)


class StatedClaim(Frozen):
    """That one label scores above another one."""

    higher: str
    lower: str
    text: str
    """The claim as a sentence without its full stop."""
    paper: str = ""
    """What the paper gives for both; empty where it gives nothing."""

    @property
    def pair(self) -> tuple[str, str]:
        """The labels as a comparison has them: baseline, candidate."""
        return self.lower, self.higher


class ReportConfig(Frozen):
    """Checkpoints, comparisons and words of one report. Statistics settings are ours."""

    title: str = "Mid-training before RL"
    recipe: str = ""
    """Name of the recipe that was run."""
    notes: tuple[str, ...] = ()
    """Shown beside the results, e.g. what the questions were built for."""
    entries: tuple[ReportEntry, ...]
    """A checkpoint before GRPO and the one after it may share a label: one line of the table of predictions, one of the
    tables of benchmarks."""
    comparisons: tuple[tuple[str, str], ...] = ()
    """Pairs of labels (baseline, candidate): pass@k on the same questions, and with reasoning against with reasoning at
    the same positions, wherever both labels were measured."""
    claims: tuple[StatedClaim, ...] = ()
    """What a recipe claims of labels that are compared, checked in pass@1 on every benchmark."""
    against_direct: tuple[tuple[str, str], ...] = ()
    """Pairs of labels: the candidate's reasoning against the baseline's direct prediction, without reasoning."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of the intervals."""
    resamples: int = Field(2000, ge=100)
    """Bootstrap resamples of questions and of documents."""
    seed: Seed = 0
    """Seed of the bootstrap."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        roles = [role for entry in self.entries for role in entry.roles]
        if not roles:
            raise ValueError("entries: a report needs at least one evaluation or prediction")
        if twice := sorted({role for role in roles if roles.count(role) > 1}):
            raise ValueError(f"entries: roles {twice} are used more than once")
        if open_ones := [claim.text for claim in self.claims if claim.pair not in self.comparisons]:
            raise ValueError(f"claims: {open_ones} are about pairs that are not in comparisons")
        tables = (self.predicted, self.evaluated)
        for entries in tables:
            _check_lines(entries)
        for name, where in (("comparisons", tables), ("against_direct", (self.predicted,))):
            for pair in getattr(self, name):
                if not any(set(pair) <= set(labels(entries)) for entries in where):
                    known = ", ".join(dict.fromkeys(label for entries in where for label in labels(entries)))
                    raise ValueError(f"{name}: {pair} are not both labels of one table; there are: {known}")
        return self

    @property
    def predicted(self) -> tuple[ReportEntry, ...]:
        """Entries of the table of predictions."""
        return tuple(entry for entry in self.entries if entry.prediction)

    @property
    def evaluated(self) -> tuple[ReportEntry, ...]:
        """Entries of the tables of benchmarks."""
        return tuple(entry for entry in self.entries if entry.evaluation)

    @property
    def bootstrap(self) -> dict[str, Any]:
        """Settings of every interval and test."""
        return {"confidence": self.confidence, "resamples": self.resamples, "seed": self.seed}


def labels(entries: Iterable[ReportEntry]) -> tuple[str, ...]:
    """Labels in the order of the tables: the base model first, those after GRPO last."""
    ordered = sorted(entries, key=lambda entry: CHECKPOINTS.index(entry.checkpoint))
    return tuple(dict.fromkeys(entry.label for entry in ordered))


def _check_lines(entries: tuple[ReportEntry, ...]) -> None:
    seen: dict[str, ReportEntry] = {}
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
