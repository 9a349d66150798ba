"""Tell two trees apart by their values at points, before any algebra is done.

A difference is certain when it is larger than the rounding errors of both values; then, and only then, the answer is
refuted. Values that agree prove nothing. Lists are compared element by element: whatever the order, an element that
differs from all of the other side refutes.
"""

import math
from collections.abc import Mapping

from tasks.shared.verification.latex.tree import Node, has_decimal, symbols
from tasks.shared.verification.latex.values import POINTS, Number, Undecided, coordinate, evaluate

COMPARED_POINTS = 2
"""Points at which two expressions are compared; others take the place of those at which one has no value."""
SIGN_POINTS = 8
MAX_ELEMENTS = 500
"""Longer lists are not compared here."""
_SAFETY = 16.0
"""How many times the bound on the errors a difference has to exceed."""

Sample = tuple[Number, float]


def refuted(gold: Node, answer: Node, decimals: int) -> bool:
    """Whether two trees certainly differ. With a decimal point anywhere, it takes more than `decimals` show."""
    least = 10 * 10.0**-decimals if has_decimal(gold) or has_decimal(answer) else 0.0
    return _differ(_assigned(gold, answer), _assigned(answer, gold), least)


def _assigned(node: Node, other: Node) -> Node:
    """``5`` of ``x = 5``, where the other side states a value or assigns to the same name."""
    if not _is_assignment(node):
        return node
    same = _is_assignment(other) and other[2] == node[2] and node[2][1] not in symbols(other[3])
    return node[3] if (same or other[0] != "relation") and node[2][1] not in symbols(node[3]) else node


def _is_assignment(node: Node) -> bool:
    return node[0] == "relation" and node[1] == "=" and node[2][0] == "symbol"


def _differ(gold: Node, answer: Node, least: float) -> bool:
    kinds = (gold[0], answer[0])
    if "relation" in kinds or "union" in kinds:
        return kinds == ("relation", "relation") and _inequalities_differ(gold, answer)
    if kinds == ("matrix", "matrix"):
        rows = list(zip(gold[1:], answer[1:], strict=False))
        if len(gold) != len(answer) or any(len(a) != len(b) for a, b in rows):
            return False
        return any(_differ(a, b, least) for row, other in rows for a, b in zip(row[1:], other[1:], strict=True))
    if "matrix" in kinds:
        return False
    if kinds in (("interval", "interval"), ("tuple", "tuple")) and len(gold) == len(answer):
        return any(_differ(a, b, least) for a, b in zip(_elements(gold), _elements(answer), strict=True))
    golds, answers = _elements(gold), _elements(answer)
    if len(golds) > MAX_ELEMENTS or len(answers) > MAX_ELEMENTS:
        return False
    if len(golds) == len(answers) == 1 and golds[0] is gold and answers[0] is answer:
        return _values_differ(_Values(gold), _Values(answer), least)
    if any(element[0] in _NOT_VALUES for element in (*golds, *answers)):
        return _nested_lists_differ(golds, answers, least)
    shared = set(golds) & set(answers)
    left, right = [{node: _Values(node) for node in nodes} for nodes in (golds, answers)]
    return any(
        all(_values_differ(element, other, least) for other in others.values())
        for elements, others in ((left, right), (right, left))
        for node, element in elements.items()
        if node not in shared
    )


_INFINITY: Node = ("constant", "infinity")
_NOT_VALUES = frozenset({"list", "set", "tuple", "interval", "matrix", "union", "relation"})


def _elements(node: Node) -> list[Node]:
    """Members of a list, set, tuple or interval, where plus and minus are two; any other node stands alone."""
    if node[0] not in ("list", "set", "tuple", "interval"):
        return [node]
    members = node[2:] if node[0] == "interval" else node[1:]
    elements = []
    for member in members:
        if member[0] == "pm":
            elements += [("add", member[1], member[2]), ("add", member[1], ("neg", member[2]))]
        else:
            elements.append(member)
    return elements


def _nested_lists_differ(golds: list[Node], answers: list[Node], least: float) -> bool:
    if len(golds) * len(answers) > MAX_ELEMENTS:
        return False
    pairs = [[_differ(gold, answer, least) for answer in answers] for gold in golds]
    return any(map(all, pairs)) or any(map(all, zip(*pairs, strict=True)))


class _Values:
    """Values of a node at the points, each computed when it is first asked for."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._known: dict[int, Sample | None] = {}
        self.names = sorted(symbols(node))

    def at(self, point: int) -> Sample | None:
        """The value at a point, where there is one."""
        if not self.names:
            point = 0
        if point not in self._known:
            self._known[point] = self._sample(point)
        return self._known[point]

    def _sample(self, point: int) -> Sample | None:
        for infinity, node in ((math.inf, _INFINITY), (-math.inf, ("neg", _INFINITY))):
            if self._node == node:
                return infinity, 0.0
        try:
            return evaluate(self._node, {name: coordinate(name, point) for name in self.names})
        except Undecided:
            return None


def _values_differ(gold: _Values, answer: _Values, least: float) -> bool:
    """Whether they differ at one of the first points at which both have a value."""
    compared = 0
    for point in range(POINTS if gold.names or answer.names else 1):
        left, right = gold.at(point), answer.at(point)
        if left is not None and right is not None:
            if _apart(left, right, least):
                return True
            compared += 1
        if compared == COMPARED_POINTS:
            break
    return False


def _apart(gold: Sample, answer: Sample, least: float) -> bool:
    gap = abs(gold[0] - answer[0])
    if least and not (gap > least and gap > 1e-6 * max(abs(gold[0]), abs(answer[0]))):
        return False
    return gap > _SAFETY * (gold[1] + answer[1])


def _inequalities_differ(gold: Node, answer: Node) -> bool:
    """Whether at some point one inequality holds and the other does not."""
    if "=" in (gold[1], answer[1]):
        return False
    names = sorted(symbols(gold) | symbols(answer))
    for point in range(SIGN_POINTS):
        at = {name: 3.0 * (coordinate(name, point) - 1.4) for name in names}
        try:
            left, right = _holds(gold, at), _holds(answer, at)
        except Undecided:
            continue
        if None not in (left, right) and left != right:
            return True
    return False


def _holds(node: Node, at: Mapping[str, float]) -> bool | None:
    """Whether an inequality holds at a point; None where its sides are too near to say."""
    smaller, larger = (node[2], node[3]) if node[1][0] == "<" else (node[3], node[2])
    value, error = evaluate(("add", larger, ("neg", smaller)), at)
    if isinstance(value, complex):
        raise Undecided("an inequality of complex numbers")
    return None if abs(value) <= _SAFETY * error else value > 0
