"""Stable question ids: the same text has the same id in every file, format and order."""

import hashlib
import unicodedata

ID_HEX_DIGITS = 16


def normalise(text: str) -> str:
    """`text` in NFC with runs of white space collapsed and its ends trimmed; case is kept.

    NFC and not NFKC, because NFKC writes 2³ as 23 and so gives two different problems one id.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def question_id(question: str) -> str:
    """First 16 hex digits of the SHA-256 of the normalised question."""
    return hashlib.sha256(normalise(question).encode()).hexdigest()[:ID_HEX_DIGITS]
