"""Tell two trees apart by their values at points, before any algebra is done.

A difference is certain when it is larger than the rounding errors of both values; then, and only then, the answer is
refuted. Values that agree prove nothing. Lists are compared element by element: whatever the order, an element that
differs from all of the other side refutes.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import islice

from tasks.shared.verification.latex.tree import Node, has_decimal, symbols
from tasks.shared.verification.latex.values import Number, Undecided, coordinate, evaluate

POINTS = 2
"""Points at which two expressions have to differ or agree; others take the place of those without a value."""
TRIED_POINTS = 5
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
        return _values_differ(_samples(gold), _samples(answer), least)
    if any(element[0] in _NOT_VALUES for element in (*golds, *answers)):
        return _nested_lists_differ(golds, answers, least)
    shared = set(golds) & set(answers)
    left, right = [{node: _samples(node) for node in nodes} for nodes in (golds, answers)]
    return any(
        all(_values_differ(sample, other, least) for other in others.values())
        for elements, others in ((left, right), (right, left))
        for node, sample in elements.items()
        if node not in shared
    )


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


def _samples(node: Node) -> dict[int, Sample]:
    """Values at the first points where the node has one."""
    names = sorted(symbols(node))

    def values() -> Iterator[tuple[int, Sample]]:
        for point in range(TRIED_POINTS if names else 1):
            try:
                yield point, evaluate(node, {name: coordinate(name, point) for name in names})
            except Undecided:
                continue

    if node[-1] == "infinity" or node == ("neg", ("constant", "infinity")):
        return {point: (-math.inf if node[0] == "neg" else math.inf, 0.0) for point in range(POINTS)}
    return dict(islice(values(), POINTS)) if names else dict.fromkeys(range(TRIED_POINTS), next(values(), (0, None))[1])


def _values_differ(gold: dict[int, Sample], answer: dict[int, Sample], least: float) -> bool:
    return any(_apart(gold[point], answer[point], least) for point in gold.keys() & answer.keys())


def _apart(gold: Sample | None, answer: Sample | None, least: float) -> bool:
    if gold is None or answer is None:
        return False
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
