"""Mapping of a publisher's row to question and answer."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from tasks.config import ADDED, Frozen
from tasks.questions.answers import AnswerRule
from tasks.questions.choices import ChoiceFields
from tasks.questions.unit_tests import UnitTestFields
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
    each: Annotated[str, ADDED] = ""
    """Path of a list whose members are questions of their own (of a story, say); the other paths then begin at a
    member, and find what it lacks in the row. Empty: a row is one question."""
    choices: Annotated[ChoiceFields | None, ADDED] = None
    """Where the choices stand of a question that is answered by a letter; `answer` then names the right one."""
    unit_tests: Annotated[UnitTestFields | None, ADDED] = None
    """What belongs to the tests of a question that is answered by code; `answer` then names the tests themselves."""
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

    @model_validator(mode="after")
    def _has_one_kind_of_answer(self) -> "FieldMapping":
        if self.choices and self.unit_tests:
            raise ValueError("a question has choices or unit_tests, not both; drop one of them")
        return self
