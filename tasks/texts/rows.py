"""A publisher's row as a document: fields, checks and id of a single row."""

import json
from typing import Any

from tasks.shared.sources.errors import Record, Reject, excerpt
from tasks.shared.sources.paths import MissingField, look_up, scalars
from tasks.shared.sources.values import UnusableValue, as_text, check_text
from tasks.spine.store.fingerprint import digest_text
from tasks.texts.config import TextFields, TextsConfig

ID_HEX_DIGITS = 32
"""Digits of an id, enough for a corpus of any size: documents with one id are taken for the same."""


def document_id(text: str, given_chars: int) -> str:
    """Digest of a document and of how much of it is given."""
    return digest_text(f"{given_chars}:{text}")[:ID_HEX_DIGITS]


def to_document(record: Record, config: TextsConfig, fields: TextFields) -> dict[str, Any] | Reject:
    """The row of a texts table that `record` holds, or the reason why there is none. No character is changed."""
    field, value, given = fields.given, None, ""
    try:
        if fields.given:
            value = look_up(record.row, fields.given)
            given = as_text(value)
            given += fields.joiner if given else ""
        field = fields.text
        value = look_up(record.row, fields.text)
        text = as_text(value)
        _check(text, given, config)
    except MissingField as error:
        return Reject(record.file, record.line, error.field, excerpt(record.row), str(error))
    except UnusableValue as error:
        return Reject(record.file, record.line, field, excerpt(value), str(error))
    return {
        "document_id": document_id(given + text, len(given)),
        "text": given + text,
        "given_chars": len(given),
        "source": config.label(),
        "meta": json.dumps(scalars(record.row, fields.meta), sort_keys=True),
    }


def _check(text: str, given: str, config: TextsConfig) -> None:
    check_text(given + text)
    if not text.strip():
        raise UnusableValue("is empty")
    if len(text) < config.min_chars:
        raise UnusableValue(f"is {len(text)} characters long, fewer than min_chars")
    if len(given) + len(text) > config.max_chars:
        raise UnusableValue(f"makes a document of {len(given) + len(text)} characters, more than max_chars")
