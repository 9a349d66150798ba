"""Rules that decide a verdict; everything here belongs into the identity of an artifact that holds verdicts."""

from importlib.metadata import version
from typing import Any, Literal

from pydantic import Field

from tasks.config import Frozen

RULES_VERSION = 8
"""Version of the rules, raised whenever a change in this package can change a verdict."""

ExtractionForm = Literal["boxed", "tag", "hash", "phrase"]


class VerificationConfig(Frozen):
    """Rules of grading. Number and memory cap of the processes are runtime matters of `VerifierPool`."""

    timeout_s: float = Field(default=1.0, gt=0)
    """Hard limit for one answer, seconds of CPU time, so that a busy machine gives the same verdicts (ours; Math-Verify
    stops after 5 s on the clock).
    """
    extraction: tuple[ExtractionForm, ...] = Field(default=("boxed", "tag", "hash", "phrase"), min_length=1)
    r"""Forms in which a final answer is looked for (ours): `\boxed{}`, `<answer>`, `#### x`, "answer is x". Their order
    does not matter: the last statement of any form is the answer.
    """
    max_answer_chars: int = Field(default=2_000, ge=1)
    """A longer extracted text is no final answer and is reported as unparsed (ours)."""
    float_decimals: int = Field(default=6, ge=0)
    """Number of decimals compared when one side has a decimal point: Math-Verify's `float_rounding` default."""
    relative_tolerance: float = Field(default=1e-4, gt=0, lt=1)
    """Largest relative difference of two numbers that agree to `float_decimals`: keeps 1e-8 and 2e-8 apart
    (ours).
    """

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed, with the versions of everything that reads mathematics."""
        return {**super().identity_payload(), "verifier": verifier_identity()}


def verifier_identity() -> str:
    """Name and version of everything, apart from the configuration, that can change a verdict."""
    libraries = ("math-verify", "latex2sympy2_extended", "sympy")
    return "/".join([f"rules-{RULES_VERSION}", *(f"{name}-{version(name)}" for name in libraries)])
