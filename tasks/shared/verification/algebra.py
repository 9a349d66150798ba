"""Math-Verify with exact and tiny numbers and equations minded. Anything here may run for ever."""

import logging
from functools import lru_cache
from typing import Any

from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Expr, Float, N, UnevaluatedExpr, nan, zoo

from tasks.shared.verification import forms
from tasks.shared.verification.config import VerificationConfig

logging.getLogger("math_verify").setLevel(logging.CRITICAL)
logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)

_SPELLING = NormalizationConfig(basic_latex=True, malformed_operators=True, nits=True, boxed="all")
"""Units are taken off before: Math-Verify takes ``2ab`` for 2 of some unit."""
_TARGETS = (LatexExtractionConfig(boxed_match_priority=0, normalization_config=_SPELLING),)
_SMALL = 1e-2
_DIGITS = 40
"""Digits to which exact values must agree; far more than two different answers to a question ever share."""


def symbols(parsed: list[Any]) -> set[Any]:
    """Free symbols of a parsed answer."""
    return set().union(*(item.free_symbols for item in parsed if isinstance(item, Basic)))


@lru_cache(maxsize=16_384)
def parsed_gold(gold: str) -> list[Any]:
    """SymPy objects of a gold answer, cached: a question is asked many times."""
    return parse_answer(gold)


def parse_answer(text: str) -> list[Any]:
    """SymPy objects of one answer; an empty list where it does not parse. MemoryError passes through."""
    try:
        return parse(
            rf"\boxed{{{forms.for_algebra(text)}}}",
            extraction_config=_TARGETS,
            fallback_mode="no_fallback",
            parsing_timeout=None,
            raise_on_error=True,
        )
    except MemoryError:
        raise
    except Exception:
        return []


def equal(gold: list[Any], answer: list[Any], config: VerificationConfig) -> bool:
    """Whether two parsed answers are equal; the gold answer comes first, for Math-Verify is not symmetric."""
    if not gold or not answer:
        return False
    try:
        if gold[0] == answer[0]:
            return gold[0] not in (nan, zoo)
        if _far_apart(gold[0], answer[0], config.float_decimals):
            return False
        same = verify(gold, answer, float_rounding=config.float_decimals, timeout_seconds=None, raise_on_error=True)
        return same and _near(gold[0], answer[0], config.relative_tolerance)
    except MemoryError:
        raise
    except Exception:
        # Math-Verify raises where two kinds of object cannot be compared: they are not equal.
        return False


def _far_apart(gold: Any, answer: Any, decimals: int) -> bool:
    """Whether two constants differ by far more than rounding: spares the search for a symbolic proof of
    equality.
    """
    if not all(isinstance(x, Expr) and x.is_number and not x.has(UnevaluatedExpr) for x in (gold, answer)):
        return False
    left, right = N(gold), N(answer)
    gap = abs(left - right)
    return bool(gap > 10 * 10.0**-decimals) and bool(gap > 1e-6 * max(abs(left), abs(right)))


def _near(gold: Any, answer: Any, tolerance: float) -> bool:
    """Refuse a match that exists only because of rounding: of exact values, or of two that are next to zero."""
    if not (isinstance(gold, Expr) and isinstance(answer, Expr) and gold.is_number and answer.is_number):
        return True
    exact = not (gold.has(Float) or answer.has(Float))
    left, right = (N(side, _DIGITS if exact else 15) for side in (gold, answer))
    if exact:
        return bool(abs(left - right) <= 10.0 ** (5 - _DIGITS) * max(abs(left), abs(right)))
    return bool(abs(left) >= _SMALL or abs(left - right) <= tolerance * max(abs(left), abs(right)))
