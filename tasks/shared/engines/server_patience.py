"""The way to a server of models: waited for briefly at the start, and long once it has answered; what it serves."""

import logging
import time

import httpx

from tasks.errors import Permanent

log = logging.getLogger(__name__)

START_PATIENCE_S = 20.0
"""A wrong address or a server that nobody started is told this soon. Ours."""
AWAY_PATIENCE_S = 600.0
"""A server that starts again has its weights to load. Ours."""
POLL_S = 1.0
SAY_EVERY_S = 60.0
"""A wait is said this often at most (ours)."""
LONGEST_ANSWER_S = 60.0
NOT_NOW_STATUS = frozenset({429, 502, 503, 504, *range(520, 531)})
"""Answers of a server that loads or is full, or of a proxy whose server is away; 520 to 530 are Cloudflare's."""
PAYMENT_REQUIRED = 402
SPENT = frozenset({"insufficient_quota", "exceeded_current_quota_error", "billing_not_active"})
"""Codes or types of a 429 that does not pass by itself, of OpenAI and of servers after its pattern."""


class TurnedAway(Exception):
    """An answer of `NOT_NOW_STATUS`: nobody has worked on the request."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"HTTP {response.status_code}: {response.text[:200]}")
        self.response = response


UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout, TurnedAway)
"""Errors of a request that no model has seen."""


class ServerPatience:
    """Notes when a server answered last, and ends the wait for one that does not."""

    def __init__(self, base_url: str, *, start_s: float = START_PATIENCE_S, away_s: float = AWAY_PATIENCE_S) -> None:
        self._base_url = base_url
        self._start_s, self._away_s = start_s, away_s
        self._has_answered = False
        self._since = time.monotonic()
        self._said_at = float("-inf")

    def note_answer(self) -> None:
        """The server is there, whatever it said, unless it turned the request away."""
        self._has_answered, self._since = True, time.monotonic()

    def check_taken(self, response: httpx.Response) -> None:
        """Return where the server has looked at the request.

        Raises:
            TurnedAway: it says: not now.
            Permanent: it works for nobody who has not paid.
        """
        if response.status_code == PAYMENT_REQUIRED or (response.status_code == 429 and _error_names(response) & SPENT):
            raise Permanent(
                f"runtime.openai_base_url={self._base_url!r}: the quota of this key is spent (HTTP "
                f"{response.status_code}: {response.text[:200]}); what was completed is kept: raise the limit there, "
                "or set OPENAI_API_KEY to another key, and run again"
            )
        if response.status_code in NOT_NOW_STATUS:
            raise TurnedAway(response)

    def is_over(self, since: float) -> bool:
        """Whether a request that is turned away since then, while others are served, has waited long enough."""
        return time.monotonic() - since >= self._away_s

    def check(self, error: Exception) -> None:
        """Return where the server may yet come.

        Raises:
            Permanent: it was waited for long enough, and neither a retry nor another worker would find it.
        """
        # A proxy, or a server that loads, has weights behind it that take their time.
        self._has_answered |= isinstance(error, TurnedAway)
        patience_s = self._away_s if self._has_answered else self._start_s
        now = time.monotonic()
        waited_s = now - self._since
        place = f"runtime.openai_base_url={self._base_url!r}"
        reason = str(error) if isinstance(error, TurnedAway) else f"{type(error).__name__}: {error}"
        if waited_s < patience_s:
            if now - self._said_at >= SAY_EVERY_S:
                self._said_at = now
                log.warning("%s takes no request now (%s); it is waited for, up to %.0f s", place, reason, patience_s)
            return
        if self._has_answered:
            what = "turned all away for" if isinstance(error, TurnedAway) else "went away and did not come back within"
            raise Permanent(
                f"{place}: the server {what} {waited_s:.0f} s ({reason}); what it completed is kept: start it, and run "
                "again"
            ) from error
        raise Permanent(
            f"{place}: no server answers there ({reason}, tried for {waited_s:.0f} s); start it, or set the address of "
            "one that runs, as the worker's machine reaches it"
        ) from error

    def first_answer(self, headers: dict[str, str]) -> httpx.Response:
        """What the server says of its models, an error too; asked before any request, so that its absence is told."""
        timeout = httpx.Timeout(LONGEST_ANSWER_S, connect=self._start_s)
        while True:
            try:
                response = httpx.get(f"{self._base_url}/models", headers=headers, timeout=timeout)
                self.check_taken(response)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise Permanent(
                    f"runtime.openai_base_url={self._base_url!r} is no address ({error}); write it as "
                    "http://HOST:PORT/v1"
                ) from error
            except (httpx.RequestError, TurnedAway) as error:
                self.check(error)
                time.sleep(POLL_S)
                continue
            if response.status_code in (401, 403):
                raise Permanent(
                    f"runtime.openai_base_url={self._base_url!r} answers HTTP {response.status_code}; set "
                    "OPENAI_API_KEY to a key that it takes"
                )
            self.note_answer()
            return response


def _error_names(response: httpx.Response) -> set[str]:
    """Code and type of the error in an answer; nothing where it is in no form that is known."""
    try:
        error = response.json()["error"]
        return {str(error.get(name)) for name in ("code", "type")}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return set()


def only_model(base_url: str, listed: httpx.Response) -> str:
    """The one model that a server lists."""
    if listed.status_code >= 500:
        listed.raise_for_status()
    try:
        names = [str(entry["id"]) for entry in listed.json()["data"]]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{base_url}/models lists no models (HTTP {listed.status_code}: {listed.text[:200]!r}); set "
            "runtime.openai_model, or mend runtime.openai_base_url, which ends in /v1 for most servers"
        ) from error
    if len(names) != 1:
        raise ValueError(f"{base_url} serves {len(names)} models ({', '.join(names)}); set runtime.openai_model to one")
    return names[0]
