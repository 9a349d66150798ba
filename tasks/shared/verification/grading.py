r"""Decide whether a completion's final answer equals the gold answer.

`RULES` is the decision list: the first rule that applies ends it, and its name stands in the verdict. The README of
this room says what each rule does and which test shows it. Rules for lists, units and the like hand their parts back to
the first rule, so that a list of fractions is decided as each fraction is; the detail names them from the outside in.

This module runs in a child process that may be killed at any time; it sets no alarm and keeps no state but
caches.
"""

import time
from functools import lru_cache, partial

from tasks.shared.verification import forms
from tasks.shared.verification.answers.spelling import is_amount
from tasks.shared.verification.answers.units import split_amounts
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.extraction import extract_answers
from tasks.shared.verification.latex.cost import too_costly
from tasks.shared.verification.rules.decision import Context, Decision, Rule
from tasks.shared.verification.rules.equations import equations
from tasks.shared.verification.rules.structure import intervals, members
from tasks.shared.verification.rules.values import (
    algebra,
    choice,
    in_words,
    left_undone,
    no_solution,
    number,
    percent,
    ratio,
    unit,
    with_base,
)
from tasks.shared.verification.verdict import Verdict


def same_text(answer: str, gold: str, context: Context) -> Decision | None:
    """Texts that read the same are equal, whatever they mean, and so are amounts in several units."""
    same = forms.normal_form(answer) == forms.normal_form(gold) or () != split_amounts(answer) == split_amounts(gold)
    return ("correct", "the same text") if same else None


def cost(answer: str, gold: str, context: Context) -> Decision | None:
    """An answer whose value is out of reach is not evaluated, unless the gold's value is, too."""
    reason = None if too_costly(gold) else too_costly(answer)
    return ("timeout", f"not evaluated: {reason}") if reason else None


RULES: tuple[tuple[str, Rule], ...] = (
    ("text", same_text),
    ("number", number),
    ("cost", cost),
    ("choice", choice),
    ("no solution", no_solution),
    ("interval", intervals),
    ("equation", equations),
    ("list", members),
    ("percent", percent),
    ("ratio", ratio),
    ("unit", unit),
    ("base", with_base),
    ("words", in_words),
    ("undone", left_undone),
    ("algebra", algebra),
)
_FOR_AMOUNTS = frozenset({"text", "number", "unit"})
"""Rules that can apply where both answers are numerals, the unit being a currency: the others look for parts, letters
or operations, and these three decide.
"""


def grade(completion: str, gold: str, config: VerificationConfig) -> Verdict:
    """Extract the final answer of `completion` and compare it with `gold`, the gold answer's text."""
    # The process's clock only ticks in hundredths while a limit on it is set.
    began = time.thread_time()
    answers = extract_answers(completion, config.extraction)
    if not answers:
        return Verdict("unparsed", None, "extraction: no final answer found", time.thread_time() - began)
    extracted = ", ".join(answers)
    decisions = [compare(answer, gold, config) for answer in answers]
    if len(answers) > 1 and any(name != "correct" for name, _ in decisions):
        decisions = [compare(extracted, gold, config)]
    return Verdict(decisions[-1][0], extracted, decisions[-1][1], time.thread_time() - began)


@lru_cache(maxsize=16_384)
def compare(answer: str, gold: str, config: VerificationConfig) -> Decision:
    """Verdict and reason for one extracted answer. Pure; may run for ever, so a caller needs a deadline."""
    if len(answer) > max(config.max_answer_chars, len(gold)):
        return "unparsed", f"length: answer has {len(answer)} characters, the limit is {config.max_answer_chars}"
    verdict, detail = _first(answer, gold, config=config, rules=RULES)
    if verdict in ("wrong", "unparsed") and not readable(gold, config):
        return "error", f"gold: the gold does not parse: {gold[:200]!r}"
    return verdict, detail


@lru_cache(maxsize=16_384)
def readable(gold: str, config: VerificationConfig) -> bool:
    """Whether a gold answer would accept itself in another spelling: by any rule but that for equal texts."""
    return _first(gold, gold, config=config, rules=RULES[1:])[0] in ("correct", "timeout")


def _first(answer: str, gold: str, *, config: VerificationConfig, rules: tuple[tuple[str, Rule], ...]) -> Decision:
    context = Context(config, partial(_first, config=config, rules=rules))
    amounts = is_amount(answer) and is_amount(gold)
    for name, rule in rules:
        decision = None if amounts and name not in _FOR_AMOUNTS else rule(answer, gold, context)
        if decision is not None:
            return decision[0], f"{name}: {decision[1]}"
    raise AssertionError("the last rule decides on everything")
