"""A publisher's row as a question: mapping, checks and the stable id of a single row."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from tasks.questions.answers import extract_answer
from tasks.questions.choices import lettered
from tasks.questions.config import QuestionsConfig
from tasks.questions.fields import FieldMapping
from tasks.questions.unit_tests import gold_tests
from tasks.shared.sources.errors import Record, Reject, excerpt
from tasks.shared.sources.paths import MissingField, look_up, resolve, scalars
from tasks.shared.sources.values import UnusableValue, as_text, check_decoded, check_text

ID_HEX_DIGITS = 16

Question = dict[str, str]

TINY_FIELDS = FieldMapping(question="question", answer="answer", meta={"family": "family"})


def normalise(text: str) -> str:
    """`text` in NFC with runs of white space collapsed and its ends trimmed; case is kept.

    NFC and not NFKC, because NFKC writes 2³ as 23 and so gives two different problems one id.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def question_id(question: str) -> str:
    """First 16 hex digits of the SHA-256 of the normalised question: the same in every file, format and order."""
    return hashlib.sha256(normalise(question).encode()).hexdigest()[:ID_HEX_DIGITS]


def to_question(record: Record, config: QuestionsConfig, mapping: FieldMapping) -> Question | Reject:
    """The row of questions.parquet that `record` holds, or the reason why there is none."""
    field, value = mapping.question, None
    try:
        value = resolve(record.row, mapping.question)
        question = _question_text(value, mapping, config)
        field, value = mapping.answer, None
        value = resolve(record.row, mapping.answer)
        if mapping.unit_tests:
            answer = gold_tests(record.row, value, mapping.unit_tests)
        elif mapping.choices:
            question, answer = lettered(record.row, question, value, mapping.choices)
        else:
            answer = extract_answer(value, mapping.answer_rule)
        if len(answer) > config.max_answer_chars:
            raise UnusableValue(f"is {len(answer)} characters long, more than max_answer_chars")
    except MissingField as error:
        return Reject(record.file, record.line, error.field, excerpt(record.row), str(error))
    except UnusableValue as error:
        return Reject(record.file, record.line, field, excerpt(value), str(error))
    return {
        "id": question_id(question),
        "question": question,
        "answer": answer,
        "source": config.label(),
        "meta": json.dumps(_meta(record.row, mapping), sort_keys=True),
    }


def members(records: Iterable[Record | Reject], mapping: FieldMapping) -> Iterator[Record | Reject]:
    """The records of single questions: those of `mapping.each` in the place of a row that holds several."""
    for record in records:
        if isinstance(record, Reject) or not mapping.each:
            yield record
            continue
        try:
            found = look_up(record.row, mapping.each)
            if not isinstance(found, list) or not found or not all(isinstance(member, dict) for member in found):
                raise UnusableValue("is no list of objects")
        except (MissingField, UnusableValue) as error:
            yield Reject(record.file, record.line, mapping.each, excerpt(record.row), str(error))
            continue
        for member in found:
            yield Record(record.file, record.line, {**record.row, **member})


def _question_text(value: Any, mapping: FieldMapping, config: QuestionsConfig) -> str:
    text = as_text(value)
    for fixed in mapping.remove:
        text = text.replace(fixed, "")
    text = text.strip()
    check_text(text)
    check_decoded(text)
    if not normalise(text):
        raise UnusableValue("is empty")
    if len(text) < config.min_question_chars:
        raise UnusableValue(f"is {len(text)} characters long, fewer than min_question_chars")
    if len(text) > config.max_question_chars:
        raise UnusableValue(f"is {len(text)} characters long, more than max_question_chars")
    return text


def _meta(row: dict[str, Any], mapping: FieldMapping) -> dict[str, Any]:
    return scalars(row, {**mapping.meta, **({"id": mapping.id} if mapping.id else {})})
