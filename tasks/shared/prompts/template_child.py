"""The process that renders a chat template, so that one that hangs or grows can be ended from outside.

``python -m tasks.shared.prompts.template_child``. The first line of standard input is a JSON object (`template`,
`variables`, those of them that are `asked` for by name, `now` as ISO time, `seconds`, `memory_mb`); every further line
is a list of messages. One JSON object a line comes back: `text`, whether the template asked for the time (`clock`), and
which variables that were asked for it does not have (`unused`); or `error`.

The environment is that of transformers' `apply_chat_template`, but for what would make two renderings of one prompt
differ: the time is the one given, and nothing draws at random.
"""

import json
import resource
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
import jinja2.meta
import jinja2.nodes
import jinja2.parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class GenerationBlock(jinja2.ext.Extension):
    """`{% generation %}`, which marks an assistant's words for training: its content as it stands."""

    tags = {"generation"}

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        """The block's body, in a scope of its own."""
        line = next(parser.stream).lineno
        return jinja2.nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class Rendering:
    """Renders one template; `reply` answers one line of input."""

    def __init__(self, template: str, variables: dict[str, Any], asked: Sequence[str], now: datetime) -> None:
        self._source, self._variables, self._asked, self._now = template, variables, asked, now
        self._template: jinja2.Template | None = None
        self._unused: list[str] = []
        self._asked_for_the_time = False

    def reply(self, line: str) -> str:
        """The answer to a list of messages in JSON, in JSON."""
        try:
            # Compiled here, within the limits: constant expressions of a template are evaluated when it is compiled.
            self._template = self._template or self._compiled()
            fixed = {"messages": json.loads(line), "add_generation_prompt": True}
            text = self._template.render({"tools": None, "documents": None, **self._variables, **fixed})
            return json.dumps({"text": text, "clock": self._asked_for_the_time, "unused": self._unused})
        except Exception as error:
            return json.dumps({"error": f"{type(error).__name__}: {error}"[:500]})

    def _compiled(self) -> jinja2.Template:
        environment = self._environment()
        known = jinja2.meta.find_undeclared_variables(environment.parse(self._source))
        self._unused = sorted(set(self._asked) - known)
        return environment.from_string(self._source)

    def _environment(self) -> ImmutableSandboxedEnvironment:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals |= {"raise_exception": _raise, "strftime_now": self._strftime}
        del environment.filters["random"], environment.globals["lipsum"]
        return environment

    def _strftime(self, form: str) -> str:
        self._asked_for_the_time = True
        return self._now.strftime(form)


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    """JSON without jinja's escapes for HTML, as transformers has it."""
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def main() -> None:
    """Serve lines until standard input ends, or until one takes too much time or memory."""
    # A terminal's Ctrl-C reaches the whole process group; the parent decides when this ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # No handler: the kernel ends the process at the time limit, whatever the interpreter is busy with.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    settings = json.loads(sys.stdin.readline())
    memory = settings["memory_mb"] << 20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rendering = Rendering(
        settings["template"], settings["variables"], settings["asked"], datetime.fromisoformat(settings["now"])
    )
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, settings["seconds"])
        reply = rendering.reply(line)
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(reply, flush=True)


if __name__ == "__main__":
    main()
