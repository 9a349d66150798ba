"""A model's chat template, rendered in a process of its own that ends when a rendering takes too long."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import Permanent
from tasks.shared.prompts.config import TemplateConfig

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

LIMIT_S = 1.0
"""CPU time of one rendering, seconds, compiling included (ours): real templates take milliseconds."""
MEMORY_MB = 1024
"""Address space of the process, MiB (ours)."""
Messages = list[dict[str, Any]]
_SHOWN_CHARS = 100
_ROOT = Path(__file__).resolve().parents[3]


class TemplateError(Exception):
    """A template that raised; the message is its own."""


class ChatTemplate:
    """Renders messages; may be used from any thread. The process starts with the first rendering.

    Templates are programs that come with a model. The sandbox keeps them from files and from Python, but not from
    running for ever, and neither a signal handler nor a thread can stop a single long operation.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", config: TemplateConfig) -> None:
        arguments = dict(config.chat_template_kwargs)
        self.name = str(tokenizer.name_or_path)
        """Where the tokenizer is from, for messages."""
        self._settings: dict[str, Any] = {
            "template": tokenizer.get_chat_template(arguments.pop("chat_template", None)),
            "variables": {**tokenizer.special_tokens_map, **arguments},
            "asked": list(arguments),
            "now": config.date,
            "seconds": LIMIT_S,
            "memory_mb": MEMORY_MB,
        }
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def render(self, messages: Messages) -> str:
        """The text up to where the assistant begins to write.

        Raises:
            TemplateError: the template raised.
            Permanent: it took more than `LIMIT_S` seconds, or more than `MEMORY_MB`.
        """
        with self._lock:
            self._process = self._process or self._start()
            reply = self._ask(self._process, json.dumps(messages))
        if "error" in reply:
            raise TemplateError(reply["error"])
        if reply["clock"]:
            self._tell_once("writes the date: prompts have prompt.date=" + self._settings["now"])
        if reply["unused"]:
            self._tell_once("passes over prompt.chat_template_kwargs: it has no " + ", ".join(reply["unused"]))
        return str(reply["text"])

    def _tell_once(self, what: str) -> None:
        if what not in self._told:
            log.warning("the chat template of %s %s", self.name, what)
        self._told.add(what)

    def _start(self) -> "subprocess.Popen[str]":
        search_path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks.shared.prompts.template_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": search_path, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        )
        # It also ends with its input, and so with this process, however that ends.
        weakref.finalize(self, _end, process)
        print(json.dumps(self._settings), file=process.stdin, flush=True)
        return process

    def _ask(self, process: "subprocess.Popen[str]", line: str) -> dict[str, Any]:
        try:
            print(line, file=process.stdin, flush=True)
            answer = process.stdout.readline() if process.stdout else ""
        except BrokenPipeError:
            answer = ""
        if answer:
            return dict(json.loads(answer))
        self._process = None
        code, errors = process.wait(), process.stderr.read() if process.stderr else ""
        if code == -signal.SIGPROF:
            raise Permanent(
                f"the chat template of {self.name} runs for more than {LIMIT_S:g} s on one prompt; mend it, or set "
                f"prompt.style=plain. The prompt ends {line[-_SHOWN_CHARS:]}"
            )
        raise Permanent(
            f"the chat template of {self.name} ended its process (exit status {code}; it may use {MEMORY_MB} MiB): "
            f"{errors[-300:].strip()}; mend it, or set prompt.style=plain"
        )


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
