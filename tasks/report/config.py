"""What a report shows."""

from typing import Literal, get_args

from pydantic import Field, model_validator

from tasks.config import Frozen

Checkpoint = Literal["base", "midtrained", "rl"]
CHECKPOINTS = get_args(Checkpoint)


class Entry(Frozen):
    """One checkpoint of a report. Entries with the same label are seeds of one line of the tables."""

    label: str
    """What tables call it, e.g. `RL from mid-trained`."""
    arm: str = ""
    """Arm of the recipe; empty for the base model, which all arms share."""
    seed: int = Field(0, ge=0)
    """Seed of generation and training that led to it."""


class ReportEntry(Entry):
    """One evaluated checkpoint."""

    checkpoint: Checkpoint
    """How far along the arm it is."""
    role: str
    """Role of its evaluation among the report's parents."""


class ReportConfig(Frozen):
    """Models, comparisons and words of one report. Statistics settings are ours."""

    title: str = "Mid-training before RL"
    recipe: str = ""
    """Name of the recipe that was run."""
    notes: tuple[str, ...] = ()
    """Shown beside the results, e.g. what the questions were built for."""
    entries: tuple[ReportEntry, ...]
    comparisons: tuple[tuple[str, str], ...] = ()
    """Pairs of labels (baseline, candidate), compared on the same questions."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of the intervals."""
    resamples: int = Field(2000, ge=100)
    """Bootstrap resamples of questions."""
    seed: int = Field(0, ge=0)
    """Of the bootstrap."""

    @model_validator(mode="after")
    def _consistent(self) -> "ReportConfig":
        roles = [entry.role for entry in self.entries]
        if not roles:
            raise ValueError("entries: a report needs at least one evaluation")
        if twice := sorted({role for role in roles if roles.count(role) > 1}):
            raise ValueError(f"entries: roles {twice} are used more than once")
        for pair in self.comparisons:
            if unknown := [label for label in pair if label not in self.labels]:
                raise ValueError(
                    f"comparisons: no entry is labelled {unknown[0]!r}; there are: {', '.join(self.labels)}"
                )
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the tables: the base model, mid-trained ones, those after RL."""
        ordered = sorted(self.entries, key=lambda entry: CHECKPOINTS.index(entry.checkpoint))
        return tuple(dict.fromkeys(entry.label for entry in ordered))

    def of(self, label: str) -> tuple[ReportEntry, ...]:
        """Entries of one label: its seeds."""
        return tuple(entry for entry in self.entries if entry.label == label)
