"""maj@k: how often the most frequent of k answers is right, over classes of equal answers.

Wang et al. 2022, self-consistency (arXiv 2203.11171). Votes are counted over classes, not strings: all
samples that the verifier found correct equal the gold answer, so they are one class however they are
spelled; wrong answers are grouped by `answer_key`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.verification.forms import assigned_value, normal_form
from tasks.verification.numbers import read_number

SUBSETS = 1_000


def answer_key(answer: str) -> str:
    r"""One key for answers that are the same: ``1/2``, ``0.5``, ``\frac12`` and ``x = 0.5`` give one vote."""
    value = assigned_value(answer)
    number = read_number(value)
    return str(number.value) if number else normal_form(value)


def vote_classes(answers: Sequence[str | None], correct: Sequence[bool]) -> NDArray[np.int64]:
    """Class of each sample, shape (samples,): 0 is the right answer, 1, 2, ... are wrong ones, -1 does not
    vote.

    A sample without an answer has no vote, not a vote for "no answer".
    """
    keys: dict[str, int] = {}
    classes = []
    for answer, right in zip(answers, correct, strict=True):
        if right:
            classes.append(0)
        elif answer is None:
            classes.append(-1)
        else:
            classes.append(keys.setdefault(answer_key(answer), len(keys) + 1))
    return np.array(classes, dtype=np.int64)


def maj_at_k(classes: NDArray[np.int64], k: int, *, seed: int, subsets: int = SUBSETS) -> float:
    """Chance that the plurality of a random k-subset of the samples is the right class; ties are broken by
    a fair draw.

    Exact for k = 1 and k = n. Otherwise the mean over `subsets` random subsets without replacement: there
    are 1.8e18 of 32 out of 64. Subsets are drawn as class counts (multivariate hypergeometric). A subset
    without votes counts 0.

    Raises ValueError unless 1 <= k <= n.
    """
    n = classes.size
    if not 1 <= k <= n:
        raise ValueError(f"maj@{k} needs at least {k} samples a question; there are n={n}")
    if k == 1:
        return float((classes == 0).mean())
    # Column 0 counts the right class, column 1 the samples without a vote, the others the wrong classes.
    totals = np.bincount(np.where(classes > 0, classes + 1, -classes), minlength=2)
    if k == n:
        drawn = totals[np.newaxis]
    else:
        drawn = np.random.default_rng(seed).multivariate_hypergeometric(totals, k, size=subsets)
    right, wrong = drawn[:, 0], drawn[:, 2:]
    best_wrong = wrong.max(axis=1, initial=0)
    tied = (wrong == right[:, np.newaxis]).sum(axis=1)
    share = np.where(right > best_wrong, 1.0, np.where(right == best_wrong, 1.0 / (1 + tied), 0.0))
    return float(np.where(right > 0, share, 0.0).mean())
