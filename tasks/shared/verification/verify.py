"""The verifier by itself: a verdict on a pair or on many, without a recipe, a store or a server."""

import atexit
from collections.abc import Iterable
from functools import cache

from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.pool import VerifierPool
from tasks.shared.verification.verdict import Verdict


def verify(completion: str, gold: str, config: VerificationConfig | None = None) -> Verdict:
    """Verdict on one completion; the first call starts a grader process, which later calls share.

    Raises:
        RuntimeError: the grader process cannot be started.
    """
    return _kept_pool(config or VerificationConfig()).verify([(completion, gold)])[0]


def verify_batch(
    pairs: Iterable[tuple[str, str]], *, workers: int = 1, config: VerificationConfig | None = None
) -> list[Verdict]:
    """Verdicts on (completion, gold answer) pairs, in their order and exactly one for each, by `workers` processes.

    Raises:
        RuntimeError: the grader processes cannot be started.
        ValueError: `workers` is less than 1.
    """
    with VerifierPool(workers, config=config) as pool:
        return pool.verify(pairs)


@cache
def _kept_pool(config: VerificationConfig) -> VerifierPool:
    pool = VerifierPool(config=config)
    atexit.register(pool.close)
    return pool
