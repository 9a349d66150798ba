"""The code in a completion."""

import re

from tasks.shared.thoughts import answer_part

_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


def code_of(completion: str) -> str | None:
    """The last fenced block behind the last thought, an unclosed one to its end; the whole text where there is none.

    None where there is no text.
    """
    answer = answer_part(completion)
    if not answer or not answer.strip():
        return None
    blocks = [block for block in _FENCED.findall(answer) if block.strip()]
    return str(blocks[-1]) if blocks else answer.rstrip()
