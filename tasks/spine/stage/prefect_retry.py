"""Calls to the Prefect server that outlast its restart and the times when it is too busy to answer."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 600.0
POLL_S = 2.0

BUSY = (429, 502, 503, 504)
"""Answers of a server without time, such as 503 where its database is locked, and of a proxy before an absent one."""

log = logging.getLogger(__name__)


def retry_while_unreachable(call: Callable[[], T]) -> T:
    """What `call` returns; it is made again while the Prefect server is away or busy, for up to `PATIENCE_S`.

    Prefect repeats a request only on a connection that it had before, and many of its functions make one of their own;
    one that the server has no time for, it repeats a few times.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except Exception as error:
            if not is_unreachable(error) or time.monotonic() > deadline:
                raise
            log.warning("the Prefect server is away or busy (%s); trying again", error)
            time.sleep(POLL_S)


def is_unreachable(error: BaseException | None) -> bool:
    """True where an error, or one that led to it, is the Prefect server's: a lost connection, or no time to answer."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    while error is not None:
        passes = isinstance(error, httpx.TransportError) or (
            isinstance(error, httpx.HTTPStatusError) and error.response.status_code in BUSY
        )
        # The address tells the server from others that a stage talks to, such as a model hub.
        if passes and str(error.request.url).startswith(PREFECT_API_URL.value() or "-"):
            return True
        error = error.__cause__ or error.__context__
    return False
