"""Rules for answers with parts: lists and points, intervals and inequalities."""

import re
from collections.abc import Sequence

from tasks.shared.verification import forms
from tasks.shared.verification.algebra import equal, parse_answer
from tasks.shared.verification.answers.lists import Listing, listing, matrix
from tasks.shared.verification.answers.regions import region
from tasks.shared.verification.answers.spelling import spell
from tasks.shared.verification.numbers import with_decimal_point
from tasks.shared.verification.rules.decision import Context, Decision, decide
from tasks.shared.verification.rules.equations import assigned_name, assigned_value

_SET_ALGEBRA = re.compile(r"\\(?:cup|cap|setminus|begin|pm|mathbb|in)(?![A-Za-z])")

_MATRIX = re.compile(r"\\begin\s*\{(?:[pb]?matrix|array)\}")


def members(answer: str, gold: str, context: Context) -> Decision | None:
    """Lists are equal with equal members: in order for points, in any order for lists and sets."""
    right, left = listing(answer), listing(gold)
    bracketed = {left.kind, right.kind} & {"set", "tuple"}
    if "single" in (left.kind, right.kind) and (rewritten := _as_one_value(answer, gold, bool(bracketed))):
        return context.compare(*rewritten)
    if left.kind == right.kind == "single":
        inner = right.items[0], left.items[0]
        return None if inner == (spell(answer), spell(gold)) else context.compare(*inner)
    if "single" in (left.kind, right.kind) and _SET_ALGEBRA.search(spell(answer if right.kind == "single" else gold)):
        return None
    if {left.kind, right.kind} == {"set", "tuple"}:
        return "wrong", "a set is not a tuple"
    if _conjunctions(answer, right) | _conjunctions(gold, left) == {"and", "or"}:
        return "wrong", "'and' is not 'or'"
    if len(left.items) != len(right.items):
        return "wrong", f"{len(right.items)} values where the gold has {len(left.items)}"
    if left.kind == right.kind == "tuple" and _brackets(left) != _brackets(right):
        return "wrong", "other brackets"
    return _compare_members(right, left, context)


def _as_one_value(answer: str, gold: str, bracketed: bool) -> tuple[str, str] | None:
    """Both sides with the one of them rewritten that looks like a list only because of its notation: a matrix in
    brackets against a matrix, ``1.234,56`` against a number.
    """
    matrices = ["\\begin" in text and bool(_MATRIX.search(spell(text))) for text in (answer, gold)]
    if matrices[0] != matrices[1]:
        rows = matrix(gold if matrices[0] else answer)
        return None if not rows else (answer, rows) if matrices[0] else (rows, gold)
    if bracketed or not any("," in text or text.count(".") > 1 for text in (answer, gold)):
        return None
    rewritten = with_decimal_point(answer), with_decimal_point(gold)
    return None if rewritten == (spell(answer), spell(gold)) else rewritten


def _conjunctions(text: str, listed: Listing) -> set[str]:
    """The words between members that are no values: ``3 and 5`` and ``3 or 5`` are the same two solutions."""
    if any(character.isdigit() for item in listed.items for character in item):
        return set()
    return set(re.findall(r"(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])", spell(text)))


def _brackets(listed: Listing) -> str:
    """The brackets of a point or vector, which may be angled."""
    return (listed.opening + listed.closing).replace(r"\langle", "(").replace(r"\rangle", ")")


def _compare_members(answer: Listing, gold: Listing, context: Context) -> Decision:
    one_is_bare = not all(any(map(assigned_name, listed.items)) for listed in (answer, gold))
    named = [_values_by_name(listed.items) if one_is_bare else () for listed in (answer, gold)]
    if any(named) or "tuple" in (answer.kind, gold.kind):
        pairs = zip(named[0] or answer.items, named[1] or gold.items, strict=True)
        return decide(all(context.same(*pair) for pair in pairs), "equal members in order", "another member")
    rest = list(answer.items)
    for item in gold.items:
        # Sorted so that a member with the same text is tried first: a long list costs one comparison for each member.
        ordered = sorted(rest, key=lambda other: forms.normal_form(other) != forms.normal_form(item))
        match = next((other for other in ordered if context.same(other, item)), None)
        if match is None:
            return "wrong", "no member equals one of the gold"
        rest.remove(match)
    return "correct", "equal members"


def _values_by_name(items: Sequence[str]) -> tuple[str, ...]:
    """Values of ``y = 5, x = 3`` in the order of their names; empty where not every member has a name of its own.

    ``x_1 = 3, x_2 = 5`` are two values of one name: their order says nothing.
    """
    named = {assigned_name(item).partition("_")[0]: assigned_value(item) for item in items}
    return tuple(named[name] for name in sorted(named)) if len(named) == len(items) and all(named) else ()


def intervals(answer: str, gold: str, context: Context) -> Decision | None:
    """An inequality and an interval are the same region; open and closed ends differ."""
    right, left = region(answer), region(gold)
    if left and right and not (left.plain and right.plain):
        if left.variable and right.variable and left.variable != right.variable:
            return "wrong", "another variable"
        if len(left.intervals) == len(right.intervals):
            pairs = [(mine, other) for mine in right.intervals for other in left.intervals]
            matched = sum(
                mine.opening == other.opening
                and mine.closing == other.closing
                and context.same(mine.low, other.low)
                and context.same(mine.high, other.high)
                for mine, other in pairs
            )
            if matched == len(left.intervals) or len(left.intervals) == 1:
                return decide(matched == len(left.intervals), "the same interval", "another interval")
        same = equal(parse_answer(left.text()), parse_answer(right.text()), context.config)
        return decide(same, "the same union", "another union")
    if right and right.variable and not left and _SET_ALGEBRA.search(spell(gold)):
        return context.compare(right.text(), gold)
    if left and left.variable and not right and _SET_ALGEBRA.search(spell(answer)):
        return context.compare(answer, left.text())
    return None
