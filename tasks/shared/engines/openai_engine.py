"""An OpenAI-compatible server as an engine: bounded concurrency, patient retries, no request takes others down."""

import asyncio
import logging
import os
import queue
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx

from tasks.shared.engines.openai_answers import Endpoint, NoCompletion, Outcome, read_answer
from tasks.shared.engines.openai_fields import REFUSED_STATUS, SamplingFields
from tasks.shared.engines.protocol import Completion, Request, RequestsFailed, Sampling
from tasks.shared.engines.server_patience import (
    AWAY_PATIENCE_S,
    START_PATIENCE_S,
    UNREACHED,
    ServerPatience,
    TurnedAway,
    only_model,
)
from tasks.shared.engines.tokens import encode_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

API_KEY = "OPENAI_API_KEY"
RETRY_STATUS = frozenset({408, 409, 425, *range(500, 600)} - {501, 505})
"""Errors that pass, and cost an attempt; a server that is full or away costs none (`NOT_NOW_STATUS`)."""
CONNECT_TIMEOUT_S = 10.0
LONGEST_DELAY_S = 60.0
MOST_DOUBLINGS = 4
"""The delay before a server that is away is asked again doubles this often, so that its return is soon seen (ours)."""


class OpenAIEngine:
    """Sends each request on its own to `/completions` (rendered prompts) or `/chat/completions` (bare messages).

    Every sampling field is sent, neutral ones too; what the server refuses is left out from then on, and noted.
    """

    name = "openai"

    def __init__(
        self,
        *,
        base_url: str,
        model: str = "",
        concurrency: int = 64,
        endpoint: Endpoint = "completions",
        tokenizer: "PreTrainedTokenizerBase | None" = None,
        adds_prefix: bool = True,
        response_format: Mapping[str, Any] | None = None,
        max_attempts: int = 6,
        first_delay_s: float = 1.0,
        request_timeout_s: float = 600.0,
        start_patience_s: float = START_PATIENCE_S,
        away_patience_s: float = AWAY_PATIENCE_S,
    ) -> None:
        """`model` empty: the only one that the server lists. The API key comes from OPENAI_API_KEY alone.

        A server that never answers is waited for `start_patience_s`; one that has answered and is away, later,
        `away_patience_s`, and so is one that is full or whose proxy answers for it (429, 502 to 504). None of it counts
        as an attempt: no model has seen the request.

        With `tokenizer`, rendered prompts travel as token ids. As text they would meet a server that puts a
        begin-of-text token before the one that a chat template has written.

        `response_format` is sent with every request as it is (structured output); a server that refuses it fails the
        request, as free text would be no answer.

        Delays double from `first_delay_s` up to a minute; a longer one that the server asks for (`Retry-After`) wins.
        """
        self._base_url = base_url.rstrip("/")
        key = os.environ.get(API_KEY)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._concurrency, self._endpoint = concurrency, endpoint
        self._tokenizer, self._adds_prefix = tokenizer, adds_prefix
        self._form = {"response_format": response_format} if response_format else {}
        self._max_attempts, self._first_delay_s = max_attempts, first_delay_s
        self._timeout = httpx.Timeout(request_timeout_s, connect=CONNECT_TIMEOUT_S)
        self._patience = ServerPatience(self._base_url, start_s=start_patience_s, away_s=away_patience_s)
        models = self._patience.first_answer(self._headers)
        self._model = model or only_model(self._base_url, models)
        self._fields = SamplingFields(self._base_url)

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """Yield completions as they arrive; after the last one, raise `RequestsFailed` if some could not be served."""
        outcomes: queue.Queue[Outcome | BaseException | None] = queue.Queue()
        stopped = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(requests, sampling, outcomes, stopped), daemon=True, name="openai-engine"
        )
        thread.start()
        failures: dict[str, str] = {}
        try:
            while (outcome := outcomes.get()) is not None:
                if isinstance(outcome, BaseException):
                    raise outcome
                if isinstance(outcome, Completion):
                    yield outcome
                else:
                    failures[outcome[0]] = outcome[1]
        finally:
            stopped.set()
        if failures:
            raise RequestsFailed(failures)

    def close(self) -> None:
        """Do nothing: no resource is held between streams."""

    def _run(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        outcomes: "queue.Queue[Outcome | BaseException | None]",
        stopped: threading.Event,
    ) -> None:
        try:
            asyncio.run(self._serve(requests, sampling, outcomes, stopped))
            outcomes.put(None)
        except BaseException as error:
            outcomes.put(error)

    async def _serve(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        outcomes: "queue.Queue[Outcome | BaseException | None]",
        stopped: threading.Event,
    ) -> None:
        """`concurrency` workers share one iterator of requests, so that any number of requests costs no memory."""
        waiting = iter(requests)
        limits = httpx.Limits(max_connections=self._concurrency, max_keepalive_connections=self._concurrency)
        async with httpx.AsyncClient(headers=self._headers, timeout=self._timeout, limits=limits) as client:

            async def work() -> None:
                for request in waiting:
                    if stopped.is_set():
                        return
                    outcomes.put(await self._one(client, request, sampling))

            await asyncio.gather(*(work() for _ in range(min(self._concurrency, len(requests)))))

    async def _one(self, client: httpx.AsyncClient, request: Request, sampling: Sampling) -> Outcome:
        reason, attempts, waits, away_since = "", 0, 0, 0.0
        while attempts < self._max_attempts:
            after = ""
            try:
                response = await self._post(client, request, sampling)
                self._patience.check_taken(response)
                self._patience.note_answer()
                if response.is_success:
                    return read_answer(request.key, response, self._endpoint)
                reason, after = f"HTTP {response.status_code}: {response.text[:200]}", _retry_after(response)
                if response.status_code not in RETRY_STATUS:
                    return request.key, reason
            except UNREACHED as error:
                self._patience.check(error)
                away_since = away_since or time.monotonic()
                if self._patience.is_over(away_since):
                    return request.key, f"{error} (for as long as a server is waited for, while it served others)"
                waits += 1
                after = _retry_after(error.response) if isinstance(error, TurnedAway) else ""
                await asyncio.sleep(self._delay_s(min(waits, MOST_DOUBLINGS), after))
                continue
            except httpx.RequestError as error:
                reason = f"{type(error).__name__}: {error}"
            except NoCompletion as error:
                reason = str(error)
            attempts += 1
            if attempts < self._max_attempts:
                await asyncio.sleep(self._delay_s(attempts, after))
        return request.key, f"{reason} ({self._max_attempts} attempts)"

    async def _post(self, client: httpx.AsyncClient, request: Request, sampling: Sampling) -> httpx.Response:
        """The server's answer, once it is asked without the fields that it refuses.

        A field counts as refused when the request goes through without it: another error may name fields as well.
        """
        refused, prompt = self._fields.refused, self._prompt(request)
        while True:
            body = {"model": self._model, **self._fields.body(request, sampling, refused), **prompt, **self._form}
            response = await client.post(self._url, json=body)
            if response.status_code not in REFUSED_STATUS:
                break
            doubted = self._fields.doubted(request, sampling, refused, response.text)
            if not doubted:
                break
            refused = refused + doubted
        if response.is_success:
            self._fields.settle(request, sampling, refused)
        return response

    @property
    def _url(self) -> str:
        return f"{self._base_url}/{'chat/completions' if self._endpoint == 'chat' else 'completions'}"

    def _prompt(self, request: Request) -> dict[str, Any]:
        if self._endpoint == "chat":
            return {"messages": [{"role": "user", "content": request.prompt}]}
        if self._tokenizer is None:
            return {"prompt": request.prompt}
        return {"prompt": encode_prompts(self._tokenizer, [request.prompt], adds_prefix=self._adds_prefix)[0]}

    def _delay_s(self, attempt: int, after: str) -> float:
        """Seconds before the next attempt: doubling, with jitter so that rejected requests do not come back as one."""
        own = self._first_delay_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
        asked = float(after) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", after) else 0.0
        return min(max(own, asked), LONGEST_DELAY_S)


def _retry_after(response: httpx.Response) -> str:
    return str(response.headers.get("retry-after", ""))
