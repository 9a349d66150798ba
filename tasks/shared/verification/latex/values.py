"""Values of trees at points, each with a bound on its rounding error.

Plain floats, real as long as they can be: the bound is what makes a difference certain. Where a value lies outside of
a function's real domain, next to a branch cut or beyond the range of floats, there is no value to compare
(`Undecided`), and something else has to decide.
"""

import cmath
import math
import zlib
from collections.abc import Mapping
from typing import TypeAlias

from tasks.shared.verification.latex.tree import Node

Number: TypeAlias = float | complex
Value: TypeAlias = tuple[Number, float]
"""A number and the largest error that it may have."""

_ULP = 2.0**-51
"""Relative error of one operation: four times what IEEE 754 promises, since a library's sine is not exact."""
_SMALLEST = 2.0**-1000
"""Absolute error of a product, which may fall below the smallest float."""
_MAX_POWER = 10_000
_MAX_FACTORIAL = 170


class Undecided(ArithmeticError):
    """A value that floats do not give."""


POINTS = 5
_NEAR_ZERO = frozenset({3, 4})
"""Points at which high powers of sums do not leave the range of floats."""


def coordinate(name: str, point: int) -> float:
    """Where a symbol stands at a point: between 0.4 and 2.4, in no simple ratio, the same in every process.

    Near zero it is a twentieth of that.
    """
    place = 0.4 + 2.0 * ((zlib.crc32(f"{name}/{point}".encode()) + 0.5) / 2**32)
    return place / 20 if point in _NEAR_ZERO else place


def evaluate(node: Node, at: Mapping[str, float]) -> Value:
    """Value of an expression where the symbols have the values `at`. Raises Undecided."""
    try:
        value, error = _evaluate(node, at)
    except (OverflowError, ZeroDivisionError, ValueError) as failure:
        raise Undecided(str(failure)) from failure
    if not (cmath.isfinite(value) and math.isfinite(error)):
        raise Undecided("beyond the range of floats")
    return value, error


def _evaluate(node: Node, at: Mapping[str, float]) -> Value:
    match node:
        case ("int", n):
            return _rounded(float(n))
        case ("decimal", text):
            return _rounded(float(text))
        case ("symbol", name):
            return at[name], 0.0
        case ("constant", name):
            if name == "i":
                return 1j, 0.0
            if name == "infinity":
                raise Undecided("infinity")
            return _rounded(math.pi if name == "pi" else math.e)
        case ("add", *terms):
            return _sum([_evaluate(term, at) for term in terms])
        case ("neg", inner):
            value, error = _evaluate(inner, at)
            return -value, error
        case ("mul", *factors):
            product = _evaluate(factors[0], at)
            for factor in factors[1:]:
                product = _times(product, _evaluate(factor, at))
            return product
        case ("div", upper, lower):
            return _times(_evaluate(upper, at), _inverse(_evaluate(lower, at)))
        case ("pow", base, exponent):
            return _power(_evaluate(base, at), exponent, at)
        case ("root", inner, degree):
            return _positive_power(_evaluate(inner, at), _inverse(_evaluate(degree, at)))
        case ("log", inner, base):
            return _times(_logarithm(_evaluate(inner, at)), _inverse(_logarithm(_evaluate(base, at))))
        case ("call", name, inner):
            return _call(name, _evaluate(inner, at))
        case ("abs", inner):
            value, error = _evaluate(inner, at)
            return float(abs(value)), error + _ULP * abs(value)
        case ("floor", inner):
            value, error = _evaluate(inner, at)
            if isinstance(value, complex) or math.floor(value - error) != math.floor(value + error):
                raise Undecided("next to a step")
            return _rounded(float(math.floor(value)))
        case ("factorial", inner):
            return _rounded(float(math.factorial(_whole(_evaluate(inner, at), _MAX_FACTORIAL))))
        case ("binomial", upper, lower):
            whole, part = (_whole(_evaluate(inner, at), _MAX_POWER) for inner in (upper, lower))
            return _rounded(float(math.comb(whole, part)))
    raise Undecided(f"no value of a {node[0]}")


def _rounded(value: Number) -> Value:
    return value, _ULP * abs(value)


def _sum(terms: list[Value]) -> Value:
    total = sum(value for value, _ in terms)
    size = sum(abs(value) for value, _ in terms)
    return total, sum(error for _, error in terms) + len(terms) * _ULP * size


def _times(a: Value, b: Value) -> Value:
    product = a[0] * b[0]
    return product, abs(a[0]) * b[1] + abs(b[0]) * a[1] + a[1] * b[1] + _ULP * abs(product) + _SMALLEST


def _inverse(a: Value) -> Value:
    value, error = a
    size = abs(value)
    if size <= 2 * error or size == 0:
        raise Undecided("division by what may be zero")
    return 1 / value, error / (size * (size - error)) + _ULP / size + _SMALLEST


def _power(base: Value, exponent: Node, at: Mapping[str, float]) -> Value:
    power, error = _evaluate(exponent, at)
    if error <= abs(power) * _ULP and not isinstance(power, complex) and power == int(power):
        return _whole_power(base, int(power))
    return _positive_power(base, (power, error))


def _whole_power(base: Value, power: int) -> Value:
    if abs(power) > _MAX_POWER:
        raise Undecided("a high power")
    if power < 0:
        return _inverse(_whole_power(base, -power))
    if power == 0:
        if abs(base[0]) <= 2 * base[1] or base[0] == 0:
            raise Undecided("the power zero of what may be zero")
        return 1.0, 0.0
    result, square = (1.0, 0.0), base
    while power:
        if power & 1:
            result = _times(result, square)
        power >>= 1
        square = _times(square, square) if power else square
    return result


def _positive_power(base: Value, power: Value) -> Value:
    """Power of a positive number; a negative one has several roots, which authors choose in different ways."""
    if base[0] == 0 and base[1] == 0 and not isinstance(power[0], complex) and power[0] > power[1]:
        return 0.0, 0.0
    return _call("exp", _times(power, _logarithm(base)))


def _logarithm(a: Value) -> Value:
    value, error = a
    if isinstance(value, complex) or value <= 2 * error or value <= 0:
        raise Undecided("logarithm or root outside of the positive numbers")
    logarithm = math.log(value)
    return logarithm, error / (value - error) + _ULP * (1.0 + abs(logarithm))


def _whole(a: Value, most: int) -> int:
    value, error = a
    if isinstance(value, complex) or error > 1e-6 or value != round(value) or not 0 <= value <= most:
        raise Undecided("not a whole number in range")
    return int(value)


def _call(name: str, a: Value) -> Value:
    value, error = a
    if name in ("cot", "sec", "csc"):
        return _inverse(_call({"cot": "tan", "sec": "cos", "csc": "sin"}[name], a))
    if isinstance(value, complex):
        raise Undecided("a function of a complex number")
    result, slope = _result_and_slope(name, value, error)
    return result, slope * error + _ULP * (1.0 + abs(result))


def _result_and_slope(name: str, value: float, error: float) -> tuple[float, float]:
    """A function's value and the largest slope within the error of its argument."""
    match name:
        case "sin" | "cos":
            return getattr(math, name)(value), 1.0 + _ULP * abs(value)
        case "tan":
            cosine = abs(math.cos(value)) - error
            if cosine <= 1e-6:
                raise Undecided("next to a pole")
            return math.tan(value), 1.0 / cosine**2
        case "arctan":
            return math.atan(value), 1.0
        case "arcsin" | "arccos":
            inside = 1.0 - abs(value) - error
            if inside <= 1e-9:
                raise Undecided("next to the end of the domain")
            return (math.asin if name == "arcsin" else math.acos)(value), 1.0 / math.sqrt(inside)
        case "tanh":
            return math.tanh(value), 1.0
        case "sinh" | "cosh" | "exp":
            if error > 1.0:
                raise Undecided("an argument that is not known well enough")
            steepest = math.exp(abs(value) + error) if name != "exp" else math.exp(value + error)
            return getattr(math, name)(value), steepest
    raise Undecided(f"no value of {name}")
