"""Mapping of a publisher's row to question and answer."""

from pydantic import Field, field_validator

from tasks.config import Frozen
from tasks.questions.answers import AnswerRule
from tasks.shared.sources.paths import checked_spec

SYNONYMS = {
    "question": ("question", "problem", "prompt", "query", "input", "instruction"),
    "answer": ("answer", "final_answer", "ground_truth", "gold", "target", "solution", "output", "response"),
}
"""Names under which publishers keep question and answer, the likeliest first."""


class FieldMapping(Frozen):
    """Which fields of a row become the question, the answer and the notes kept beside them.

    A field is named by a dotted path (`prompt[0].content`) or a template (`{Body|sentence} {Question}`, where
    `|sentence` ends the text with a full stop if it ends without a mark).
    """

    question: str
    """Path or template of the question text."""
    answer: str
    """Path or template of the answer."""
    answer_rule: AnswerRule = AnswerRule()
    """How the gold answer is taken from that field."""
    remove: tuple[str, ...] = ()
    """Fixed texts to delete from the question, e.g. a prompt wrapped around it."""
    id: str = ""
    """Path of the publisher's own id, kept as `meta.id`; ids of this project come from the text."""
    meta: dict[str, str] = Field(default_factory=dict)
    """Further values to keep: name in `meta` to path. A row may lack them."""

    @field_validator("question", "answer")
    @classmethod
    def _names_a_field(cls, value: str) -> str:
        return checked_spec(value)
