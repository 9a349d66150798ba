"""Math-Verify with the shape of equation chains and tiny numbers minded. Anything here may run for ever."""

import logging
from functools import lru_cache
from typing import Any

from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Expr, Float, N, UnevaluatedExpr

from tasks.shared.verification import forms
from tasks.shared.verification.config import VerificationConfig

logging.getLogger("math_verify").setLevel(logging.CRITICAL)
logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)

_TARGETS = (LatexExtractionConfig(boxed_match_priority=0),)
_SMALL = 1e-2


def resolve_chains(answer: str, config: VerificationConfig) -> str | None:
    r"""Replace each consistent chain ``name = a = b`` by ``name = b``; None where members of a chain differ.

    A leading member with letters of its own, where the last has none, is a name or the asked-for expression
    (``x + y = 36``), not a value; a member that does not parse (a name such as ``m_{\max}``) is dropped;
    every other member must equal the last.
    """
    if "=" not in answer:
        return answer
    opening, inner, closing = forms.enclosing(forms.for_algebra(answer))
    resolved = []
    for element in forms.split_top(inner):
        members = forms.equation_members(element)
        kept = _resolve(members, config) if len(members) > 1 else element.strip()
        if kept is None:
            return None
        resolved.append(kept)
    return opening + ", ".join(resolved) + closing


def _resolve(members: list[str], config: VerificationConfig) -> str | None:
    last = parse_answer(members[-1])
    last_symbols = _symbols(last)
    name = ""
    for index, member in enumerate(members[:-1]):
        parsed = parse_answer(member)
        symbols = _symbols(parsed)
        equation = len(members) == 2 and bool(symbols or last_symbols)
        if not parsed:
            continue
        if equation or (symbols and (index == 0 or not last_symbols)):
            name = name or member
        elif not equal(last, parsed, config):
            return None
    return f"{name} = {members[-1]}" if name else members[-1]


def _symbols(parsed: list[Any]) -> set[Any]:
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
    """Refuse a match of rounded values that exists only because both are next to zero."""
    if not (isinstance(gold, Basic) and isinstance(answer, Basic) and gold.is_number and answer.is_number):
        return True
    if not (gold.has(Float) or answer.has(Float)):
        return True
    left, right = N(gold), N(answer)
    return bool(abs(left) >= _SMALL or abs(left - right) <= tolerance * max(abs(left), abs(right)))
