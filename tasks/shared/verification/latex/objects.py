"""SymPy objects of trees, of the same kinds that latex2sympy makes, so that Math-Verify compares them as its own."""

from typing import Any

import sympy
from latex2sympy2_extended.sets import FiniteSet

from tasks.shared.verification.latex.tree import Node

_LARGEST_EVALUATED_POWER = 1_000
_RELATIONS = {
    "=": sympy.Eq,
    "<": sympy.StrictLessThan,
    "<=": sympy.LessThan,
    ">": sympy.StrictGreaterThan,
    ">=": sympy.GreaterThan,
}
_CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "infinity": sympy.oo}
_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}


def sympy_object(tree: Node, *, real: bool) -> Any:
    """SymPy object of a tree; symbols are real or, as Math-Verify has them beside an ``i``, not."""
    return _Builder(real).build(tree)


class _Builder:
    def __init__(self, real: bool) -> None:
        self._real = real

    def build(self, node: Node) -> Any:
        """SymPy object of a node."""
        kind, *parts = node
        match kind:
            case "int":
                return sympy.Integer(parts[0])
            case "decimal":
                return sympy.Number(parts[0])
            case "symbol":
                return sympy.Symbol(parts[0], real=self._real)
            case "constant":
                return _CONSTANTS[parts[0]]
            case "call":
                return getattr(sympy, _NAMES.get(parts[0], parts[0]))(self.build(parts[1]))
            case "apply":
                return sympy.Function(parts[0])(self.build(parts[1]))
            case "interval":
                return self._interval(*parts)
            case "matrix":
                return sympy.Matrix([[self.build(cell) for cell in row[1:]] for row in parts])
            case "relation":
                return _RELATIONS[parts[0]](self.build(parts[1]), self.build(parts[2]), evaluate=False)
            case "list" | "set":
                return FiniteSet(*self._members(parts))
        return getattr(self, f"_{kind}")(*(self.build(part) for part in parts))

    def _members(self, nodes: list[Node]) -> list[Any]:
        members = []
        for node in nodes:
            if node[0] == "pm":
                left, right = self.build(node[1]), self.build(node[2])
                members += [left + right, left - right]
            else:
                members.append(self.build(node))
        return members

    def _interval(self, brackets: str, left: Node, right: Node) -> Any:
        start, end = self.build(left), self.build(right)
        left_open, right_open = brackets[0] == "(", brackets[1] == ")"
        try:
            if (left_open and right_open and end <= start) or (not left_open and not right_open and end < start):
                return sympy.Tuple(start, end)
        except TypeError:
            # Endpoints with symbols have no order.
            pass
        return sympy.Interval(start, end, left_open=left_open, right_open=right_open)

    def _add(self, *terms: Any) -> Any:
        return sympy.Add(*terms)

    def _mul(self, *factors: Any) -> Any:
        return sympy.Mul(*factors)

    def _neg(self, inner: Any) -> Any:
        return -inner

    def _div(self, upper: Any, lower: Any) -> Any:
        return upper / lower

    def _pow(self, base: Any, exponent: Any) -> Any:
        small = not exponent.is_Integer or abs(exponent) <= _LARGEST_EVALUATED_POWER
        return sympy.Pow(base, exponent, evaluate=small)

    def _root(self, inner: Any, degree: Any) -> Any:
        return sympy.Pow(inner, 1 / degree)

    def _log(self, inner: Any, base: Any) -> Any:
        return sympy.log(inner, base)

    def _abs(self, inner: Any) -> Any:
        return sympy.Abs(inner)

    def _floor(self, inner: Any) -> Any:
        return sympy.floor(inner)

    def _factorial(self, inner: Any) -> Any:
        return sympy.factorial(inner)

    def _binomial(self, upper: Any, lower: Any) -> Any:
        return sympy.binomial(upper, lower)

    def _tuple(self, *items: Any) -> Any:
        return sympy.Tuple(*items)

    def _union(self, *intervals: Any) -> Any:
        return sympy.Union(*intervals, evaluate=False)
