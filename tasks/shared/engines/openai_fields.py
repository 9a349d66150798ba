"""The sampling fields of requests to an OpenAI-compatible server: all of them, less those that the server refuses."""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.shared.engines.protocol import Request, Sampling

log = logging.getLogger(__name__)

REFUSED_STATUS = frozenset({400, 422})
"""What servers answer to a field that they do not know."""
NEUTRAL: Mapping[str, tuple[float, ...]] = {
    "presence_penalty": (0.0,),
    "frequency_penalty": (0.0,),
    "top_k": (-1, 0),
    "min_p": (0.0,),
    "repetition_penalty": (1.0,),
    "repeat_penalty": (1.0,),
    "typical_p": (1.0,),
    "mirostat": (0,),
    "dry_multiplier": (0.0,),
    "xtc_probability": (0.0,),
}
"""Values that change nothing of the model's distribution; several: further ways to write it.

What a request leaves out vLLM and SGLang take from the model's generation config (down to `repetition_penalty`),
llama.cpp from its command line and from defaults that are not neutral, unseen by the sample's key.
"""
SPECIAL_TOKENS: Mapping[str, tuple[float, ...]] = {
    "skip_special_tokens": (False,),
    "spaces_between_special_tokens": (False,),
}
"""Keeps tags in texts, without which a thought reads as an answer; vLLM and SGLang take it."""
OPENAI = frozenset({"presence_penalty", "frequency_penalty", "seed"})
"""Fields that may be left out and are in OpenAI's own API."""


class SamplingFields:
    """How tokens are to be drawn, in the fields that one server takes.

    A server that ignores a field without a word cannot be told from one that heeds it.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self.refused: Counter[str] = Counter()
        """How many ways to write a field the server refuses."""

    def body(self, request: Request, sampling: Sampling, refused: Counter[str]) -> dict[str, Any]:
        """All fields but those whose every way to be written is refused."""
        optional = _optional(request, sampling)
        fields: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
            **{name: ways[refused[name]] for name, ways in optional.items() if refused[name] < len(ways)},
        }
        if sampling.top_k:
            # No field of OpenAI's own API; vLLM, SGLang and llama.cpp take it.
            fields["top_k"] = sampling.top_k
        if sampling.stop:
            fields["stop"] = list(sampling.stop)
        return fields

    def doubted(self, request: Request, sampling: Sampling, refused: Counter[str], answer: str) -> Counter[str]:
        """Fields that may be why a request was refused: those that the answer names, else those of servers' own."""
        optional = _optional(request, sampling)
        sent = [name for name, ways in optional.items() if refused[name] < len(ways)]
        named = [name for name in sent if re.search(rf"\b{name}\b", answer)]
        return Counter(named or [name for name in sent if name not in OPENAI])

    def settle(self, request: Request, sampling: Sampling, refused: Counter[str]) -> None:
        """Remember what a request went through without."""
        before, self.refused = self.refused, self.refused | refused
        gone = [
            name
            for name, ways in _optional(request, sampling).items()
            if before[name] < len(ways) <= self.refused[name]
        ]
        if gone:
            unseeded = "; draws cannot be repeated" if "seed" in gone else ""
            log.warning(
                "%s refuses %s: left out, so that the server's own values apply, of which the samples' keys know "
                "nothing%s",
                self._server,
                ", ".join(gone),
                unseeded,
            )


def _optional(request: Request, sampling: Sampling) -> dict[str, Sequence[float]]:
    """The fields that a request can do without, and ways to write each."""
    neutral = {name: ways for name, ways in NEUTRAL.items() if name != "top_k" or not sampling.top_k}
    return {**neutral, **SPECIAL_TOKENS, "seed": (request.seed,)}
