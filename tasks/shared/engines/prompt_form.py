"""How prompts were made: what those who read, continue or train on them have to know, and the text does not tell."""

from typing import Literal

from tasks.config import Frozen
from tasks.errors import Permanent
from tasks.spine.store.manifest import Manifest

SUMMARY_KEY = "prompt_form"
"""Where a manifest's summary holds the form of the prompts among the artifact's tables."""


class PromptForm(Frozen):
    """The form of all prompts of one model and prompt setting."""

    style: Literal["chat", "plain", "message"] = "plain"
    """`chat`: rendered by the chat template. `plain`: text to be continued. `message`: a bare user message, which a
    server renders."""
    adds_prefix: bool = True
    """Whether the tokenizer's own prefix (begin of text) has to be put before the ids of the text: where no template
    wrote it."""
    opened_thought: str = ""
    """Mark of the thought that the prompts end in, so that completions begin inside it; empty for none."""

    def graded(self, completion: str, *, whole: bool) -> str:
        """The text in which a completion's answer is looked for; one that was cut has given no final answer."""
        return self.opened_thought + completion if whole else ""

    def summary(self) -> dict[str, dict[str, str | bool]]:
        """The entry of a manifest's summary from which `form_of` reads the form."""
        return {SUMMARY_KEY: self.model_dump()}


def form_of(manifest: Manifest) -> PromptForm:
    """The form of the prompts of an artifact.

    Raises:
        Permanent: the artifact does not say, because it was made before prompts had a form.
    """
    if SUMMARY_KEY not in manifest.summary:
        raise Permanent(
            f"{manifest.ref} does not say how its prompts were made (an older version wrote it); run the stage "
            f"{manifest.stage!r} again"
        )
    return PromptForm.model_validate(manifest.summary[SUMMARY_KEY])
