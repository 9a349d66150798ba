"""Rows of a sample pool."""

from typing import Any


def row(key: str, text: str = "text") -> dict[str, Any]:
    """A completion that is known by its key."""
    return {
        "key": key,
        "completion": f"{text} of {key}",
        "finish_reason": "stop",
        "prompt_tokens": 3,
        "completion_tokens": 5,
        "engine": "transformers",
    }
