r"""Which answers to a question are one vote: 1/2, 0.5 and \frac12 are.

Answers with one canonical form (`verification.forms.canonical`) are equal at once. The verifier is asked for pairs of
forms alone, and only for those of a question's `COMPARED` most frequent ones that it could find equal: that bounds the
cost whatever a model writes. Gold answers play no part, as voters have none. The form of a number drops its unit, so 12
hours and 12 minutes are one vote.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations, groupby
from typing import Any

from tasks.shared.tables.parquet import Row
from tasks.shared.verification.forms import canonical
from tasks.shared.verification.numbers import read_number

COMPARED = 8
"""Forms of a question that are compared pair by pair, so at most 28 pairs; rarer ones stay apart. Ours."""
ROUNDING = Fraction(1, 100)
"""Numbers further apart than this are never taken for one. Ours; the verifier rounds to six decimals."""

Pair = tuple[str, str]
Same = Callable[[Sequence[Pair]], Sequence[bool]]


def with_votes(rows: Iterator[Row], same: Same) -> Iterator[dict[str, Any]]:
    """The rows, sorted by benchmark and question, each with its `vote`: the class of its answer, None for no answer.

    Args:
        same: whether the answers of each pair are equal, for all pairs of a question at once.
    """
    for _, group in groupby(rows, key=lambda row: (row["benchmark"], row["question_id"])):
        of_question = list(group)
        votes = classes([row["extracted"] for row in of_question], same)
        yield from ({**row, "vote": votes.get(row["extracted"])} for row in of_question)


def classes(answers: Sequence[str | None], same: Same) -> dict[str | None, str]:
    """The class of each answer to one question, named by its most frequent canonical form."""
    forms = {answer: canonical(answer) for answer in answers if answer is not None}
    counts = Counter(forms[answer] for answer in answers if answer is not None)
    # Of equally frequent forms the first in the alphabet: the order of samples is no reason.
    order = sorted(counts, key=lambda form: (-counts[form], form))
    spelled = {form: answer for answer, form in reversed(forms.items())}
    pairs = [pair for pair in combinations(order[:COMPARED], 2) if _may_be_equal(*pair)]
    equal = same([(spelled[one], spelled[other]) for one, other in pairs]) if pairs else []
    vote = {form: form for form in order}
    for (one, other), is_same in zip(pairs, equal, strict=True):
        # The first that it equals is the most frequent one; pairs come in that order.
        if is_same and vote[other] == other:
            vote[other] = vote[one]
    return {answer: vote[form] for answer, form in forms.items()}


def _may_be_equal(one: str, other: str) -> bool:
    """Whether the verifier could find two forms equal: not two numbers, unless they may be one before rounding."""
    first, second = read_number(one), read_number(other)
    return first is None or second is None or abs(first.value - second.value) <= ROUNDING
