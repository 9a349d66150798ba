"""What an OpenAI-compatible server answers with: a completion, or why it is none."""

import functools
import logging
from typing import Any, Literal

import httpx

from tasks.shared.engines.protocol import Completion, read_finish_reason

log = logging.getLogger(__name__)

Endpoint = Literal["completions", "chat"]
THOUGHT_FIELDS = ("reasoning_content", "reasoning")
"""Where servers with a reasoning parser put a thought: llama.cpp, SGLang, DeepSeek; then vLLM, Ollama, OpenRouter."""
Outcome = Completion | tuple[str, str]
"""A completion, or the key of a failed request and why it failed."""


class NoCompletion(Exception):
    """An answer in which no completion ended; another attempt may bring one."""


def read_answer(key: str, response: httpx.Response, endpoint: Endpoint) -> Outcome:
    """The completion in an answer that is called a success, or why it cannot be used.

    Raises:
        NoCompletion: there is none in it, or it did not end.
    """
    try:
        content = response.json()
        choice = content["choices"][0]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        # A page of a proxy, or an error that is called a success.
        raise NoCompletion(_unread(error, response)) from error
    try:
        usage = content["usage"]
        text = _with_thought(choice["message"]) if endpoint == "chat" else choice["text"]
        if not isinstance(text, str | None):
            raise TypeError(f"the text is of type {type(text).__name__}")
        ended = choice.get("finish_reason")
        reason = read_finish_reason(ended)
        # A thought that was cut, or a call of a tool, may leave no text.
        if reason is None or (reason == "stop" and text is None):
            raise NoCompletion(f"finish reason {ended!r} {'without a' if text is None else 'behind the'} text")
        return Completion(
            key=key,
            text=text or "",
            finish_reason=reason,
            prompt_tokens=int(usage["prompt_tokens"]),
            completion_tokens=int(usage["completion_tokens"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        return key, _unread(error, response)


def _with_thought(message: dict[str, Any]) -> Any:
    """The content of a message, behind the thought that a server has parted from it: without it a solution that is kept
    would lack its reasoning, and one that was cut inside the thought could not be told from one without.
    """
    thought = next((found for name in THOUGHT_FIELDS if isinstance(found := message.get(name), str) and found), "")
    if not thought:
        return message["content"]
    content = message.get("content")
    _warn_once(
        "the server parts thoughts from answers: they stand between <think> and </think> again, but not to the letter "
        "as the model wrote them; to train on them, start the server without a reasoning parser"
    )
    return f"<think>\n{thought}" + (f"\n</think>\n\n{content}" if content else "")


@functools.cache
def _warn_once(text: str) -> None:
    log.warning("%s", text)


def _unread(error: Exception, response: httpx.Response) -> str:
    return f"not an OpenAI completion ({type(error).__name__}: {error}): {response.text[:200]}"
