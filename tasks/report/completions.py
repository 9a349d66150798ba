"""Completions as people read them: what was asked, what came, how it was judged; and sets of them for a report."""

from dataclasses import dataclass

from tasks.spine.store.fingerprint import digest_text


@dataclass(frozen=True)
class ReadCompletion:
    """One completion with all that is needed to judge it by eye."""

    model: str
    """Label in the report, or the reference of the model that wrote it."""
    source: str
    """Benchmark; empty for candidates of mid-training and rollouts."""
    heuristic: str
    """Empty: the plain prompt."""
    question_id: str
    question: str
    gold: str
    completion: str
    verdict: str
    """A verdict, `truncated`, or empty where nothing was judged."""
    extracted: str | None
    fate: str
    """Why a candidate was dropped, or `kept`; empty for others."""
    sample_index: int
    """-1: greedy."""
    completion_tokens: int
    step: int | None = None
    """Optimiser step of a training that wrote it as a rollout."""
    reward: float | None = None
    """What the training gave for it."""

    @property
    def place(self) -> str:
        """Where it comes in an order that is drawn by no seed and the same for every reader."""
        return digest_text(
            f"{self.model}:{self.source}:{self.question_id}:{self.heuristic}:{self.sample_index}:{self.step}"
        )


@dataclass(frozen=True)
class ExampleSet:
    """Completions that a report shows side by side."""

    about: str
    """Kind of examples, e.g. `heuristic`: what the sections group by."""
    name: str
    """What they have in common."""
    used_by: str
    """Arms that it went into; empty where it is all of them."""
    ref: str
    """Artifact that has more of them."""
    completions: tuple[ReadCompletion, ...]
