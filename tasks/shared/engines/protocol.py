"""The protocol of engines: a stream of completions for a list of requests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, Field

from tasks.config import Frozen

FinishReason = Literal["stop", "length"]

_WHOLE = frozenset({"stop", "eos", "eos_token", "stop_sequence"})
"""Ways to say that the model ended by itself or met a stop text: vLLM, SGLang and llama.cpp, then Together and TGI."""
_CUT = frozenset({"length", "max_tokens", "model_length", "repetition"})
"""Ways to say that a completion was cut: by a limit, or by vLLM because the model went round in circles."""


def _without_empty(texts: tuple[str, ...]) -> tuple[str, ...]:
    if "" in texts:
        raise ValueError("an empty stop text stands everywhere, so that nothing would be left; drop it")
    return texts


StopTexts = Annotated[tuple[str, ...], AfterValidator(_without_empty)]
"""Texts that end a completion and are no part of it."""


class Sampling(Frozen):
    """How tokens are drawn: part of the identity of every sample. All defaults are ours."""

    temperature: float = Field(1.0, ge=0, le=2)
    """0 is greedy decoding; 2 is the most that vLLM and OpenAI's API take."""
    top_p: float = Field(0.95, gt=0, le=1)
    """Nucleus: the smallest set of tokens whose probabilities add up to this."""
    top_k: int = Field(0, ge=0)
    """The k likeliest tokens only; 0 keeps all."""
    max_new_tokens: int = Field(1024, ge=1)
    """Longest completion; one that reaches it without an end is marked `length`."""
    stop: StopTexts = ()
    """Texts that end a completion and are cut off, besides the model's own end token."""

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed, and that special tokens stay in the text: older samples without them are others."""
        return {**super().identity_payload(), "keep_special_tokens": True}

    @property
    def greedy(self) -> bool:
        """Whether every token is the likeliest one."""
        return self.temperature == 0


@dataclass(frozen=True, slots=True)
class Request:
    """One completion that is wanted."""

    key: str
    prompt: str
    """Exact text to be continued (rendered, chat template included)."""
    seed: int
    """Seed of 31 bits of the request's own draws, whatever stands beside it. The same one gives the same text on the
    same engine, but for rounding that differs with the shape of a batch."""


@dataclass(frozen=True, slots=True)
class Completion:
    """Text that an engine wrote for a request."""

    key: str
    text: str
    """Completion as it was written, special tokens included, without the end token and the stop text."""
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    """Tokens that were generated, the end token included."""


class Engine(Protocol):
    """Something that completes prompts."""

    name: str

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """Yield one completion for each request, as they finish, in any order."""
        ...

    def close(self) -> None:
        """Give memory and processes back."""
        ...


def read_finish_reason(reported: object) -> FinishReason | None:
    """How a completion ended, from what a server or vLLM says; None for one that is no completion.

    Filtered, aborted, failed, a call of a tool, nothing said at all: such a text may end anywhere, so it is asked for
    again, and a request that never gets a whole one has failed.
    """
    if reported in _WHOLE:
        return "stop"
    return "length" if reported in _CUT else None


class PromptTooLong(ValueError):
    """A prompt that leaves no room for a completion in the model's context."""


class RequestsFailed(RuntimeError):
    """Requests that an engine could not serve although it retried; all others were served before this is raised."""

    def __init__(self, failures: dict[str, str]) -> None:
        shown = "; ".join(f"{key}: {reason}" for key, reason in sorted(failures.items())[:10])
        more = f" and {len(failures) - 10} more" if len(failures) > 10 else ""
        super().__init__(f"{len(failures)} requests failed after retries: {shown}{more}")
        self.failures = failures
