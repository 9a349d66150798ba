"""Math-Verify with exact and tiny numbers and equations minded. Anything here may run for ever.

What the own reader reads is told apart by its values first, without SymPy; what is left goes to Math-Verify, and what
the reader does not read goes through its grammar, which takes a hundred times as long.
"""

import logging
from functools import cached_property, lru_cache
from typing import Any

from latex2sympy2_extended.math_normalization import NormalizationConfig, normalize_latex
from math_verify import LatexExtractionConfig, parse, verify
from math_verify.grader import should_treat_as_complex
from sympy import Basic, Expr, Float, I, N, Pow, UnevaluatedExpr, expand, nan, zoo

from tasks.shared.verification import forms
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.latex.objects import sympy_object
from tasks.shared.verification.latex.reader import read
from tasks.shared.verification.latex.refutation import COMPARED_POINTS, refuted
from tasks.shared.verification.latex.tree import Node
from tasks.shared.verification.latex.tree import symbols as names_in
from tasks.shared.verification.latex.values import coordinate

logging.getLogger("math_verify").setLevel(logging.CRITICAL)
logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)

_SPELLING = NormalizationConfig(basic_latex=True, malformed_operators=True, nits=True, boxed="all")
"""Units are taken off before: Math-Verify takes ``2ab`` for 2 of some unit."""
_TARGETS = (LatexExtractionConfig(boxed_match_priority=0, normalization_config=_SPELLING),)
_SMALL = 1e-2
_DIGITS = 40
"""Digits to which exact values must agree; far more than two different answers to a question ever share."""
_LARGEST_EXPANDED_POWER = 8


class Parsed:
    """An answer as mathematics: a tree where the own reader reads it, and SymPy objects when they are asked for.

    False where it does not parse.
    """

    def __init__(self, text: str) -> None:
        self._text = forms.for_algebra(text)
        self._normalised = normalize_latex(self._text, _SPELLING)
        self.tree: Node | None = read(self._normalised)

    def __bool__(self) -> bool:
        return self.tree is not None or bool(self.objects)

    @cached_property
    def symbols(self) -> frozenset[Any]:
        """Names or SymPy symbols that occur in it."""
        if self.tree is not None:
            return names_in(self.tree)
        return frozenset().union(*(item.free_symbols for item in self.objects if isinstance(item, Basic)))

    @cached_property
    def objects(self) -> list[Any]:
        """SymPy objects, as Math-Verify's `parse` gives them; none where nothing parses. MemoryError passes through."""
        try:
            if self.tree is not None:
                return [sympy_object(self.tree, real=not should_treat_as_complex(self._normalised))]
        except MemoryError:
            raise
        except Exception:
            # The tree says more than SymPy takes (an interval of complex numbers): what the grammar makes of it counts.
            self.tree = None
        try:
            parsed = parse(
                rf"\boxed{{{self._text}}}",
                extraction_config=_TARGETS,
                fallback_mode="no_fallback",
                parsing_timeout=None,
                raise_on_error=True,
            )
            return [with_imaginary_unit(item) for item in parsed]
        except MemoryError:
            raise
        except Exception:
            return []


def with_imaginary_unit(parsed: Any) -> Any:
    """What the grammar reads, with the imaginary unit in place of its symbol ``i``, as the own reader has it."""
    if not isinstance(parsed, Expr):
        return parsed
    return parsed.subs({name: I for name in parsed.free_symbols if str(name) == "i"})


@lru_cache(maxsize=16_384)
def parsed_gold(gold: str) -> Parsed:
    """A gold answer, read once: a question is asked many times."""
    return parse_answer(gold)


def parse_answer(text: str) -> Parsed:
    """One answer as mathematics; it is false where it does not parse. MemoryError passes through."""
    return Parsed(text)


def equal(gold: Parsed, answer: Parsed, config: VerificationConfig) -> bool:
    """Whether two parsed answers are equal; the gold answer comes first, for Math-Verify is not symmetric."""
    if gold.tree is not None and answer.tree is not None:
        if gold.tree == answer.tree:
            return True
        if refuted(gold.tree, answer.tree, config.float_decimals):
            return False
    if not gold or not answer:
        return False
    return _objects_equal(gold.objects, answer.objects, config)


def _objects_equal(gold: list[Any], answer: list[Any], config: VerificationConfig) -> bool:
    try:
        if gold[0] == answer[0]:
            return gold[0] not in (nan, zoo)
        if _far_apart(gold[0], answer[0], config.float_decimals):
            return False
        if _same_polynomial(gold[0], answer[0]):
            return True
        same = verify(gold, answer, float_rounding=config.float_decimals, timeout_seconds=None, raise_on_error=True)
        return same and _near(gold[0], answer[0], config.relative_tolerance)
    except MemoryError:
        raise
    except Exception:
        # Math-Verify raises where two kinds of object cannot be compared: they are not equal.
        return False


def _same_polynomial(gold: Any, answer: Any) -> bool:
    """Whether two expressions are equal once they are multiplied out: spares the search for a simpler form."""
    if not (isinstance(gold, Expr) and isinstance(answer, Expr)) or gold.is_number or answer.is_number:
        return False
    difference = gold - answer
    if difference.has(Float) or not difference.is_polynomial():
        return False
    small = all(power.exp <= _LARGEST_EXPANDED_POWER for power in difference.atoms(Pow) if power.base.is_Add)
    return difference == 0 or (small and expand(difference) == 0)


def _far_apart(gold: Any, answer: Any, decimals: int) -> bool:
    """Whether two expressions differ, at a point, by far more than rounding: spares the search for a symbolic proof of
    equality where a side has no tree.
    """
    if not all(isinstance(x, Expr) and not x.has(UnevaluatedExpr) for x in (gold, answer)):
        return False
    names = gold.free_symbols | answer.free_symbols
    for point in range(COMPARED_POINTS if names else 1):
        at = {name: coordinate(str(name), point) for name in names}
        left, right = (x.evalf(subs=at) if at else N(x) for x in (gold, answer))
        if _is_value(left) and _is_value(right):
            gap = abs(left - right)
            if bool(gap > 10 * 10.0**-decimals) and bool(gap > 1e-6 * max(abs(left), abs(right))):
                return True
    return False


def _is_value(value: Any) -> bool:
    return all(part.is_Float or part.is_Rational for part in value.as_real_imag())


def _near(gold: Any, answer: Any, tolerance: float) -> bool:
    """Refuse a match that exists only because of rounding: of exact values, or of two that are next to zero."""
    if not (isinstance(gold, Expr) and isinstance(answer, Expr) and gold.is_number and answer.is_number):
        return True
    exact = not (gold.has(Float) or answer.has(Float))
    left, right = (N(side, _DIGITS if exact else 15) for side in (gold, answer))
    if exact:
        return bool(abs(left - right) <= 10.0 ** (5 - _DIGITS) * max(abs(left), abs(right)))
    return bool(abs(left) >= _SMALL or abs(left - right) <= tolerance * max(abs(left), abs(right)))
