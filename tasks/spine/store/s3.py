"""S3 over s3fs: requests that outlast an outage, transfers in parts, and errors that say what to mend.

s3fs gives up after about two seconds, does not try again on answers such as 500 or on a refused connection, and reads
300 MB and more at once. Endpoint, region and credentials come from the environment, and `storage_options` is the one
place that hands on what botocore does not read there by itself.
"""

import asyncio
import logging
import math
import os
import random
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import ClientError as HttpError
from botocore.exceptions import (
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as ConnectionFailed
from botocore.parsers import ResponseParserError
from fsspec.asyn import sync_wrapper
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from s3fs import S3FileSystem
from s3fs.errors import translate_boto_error

from tasks.errors import Permanent

log = logging.getLogger(__name__)

PART_BYTES = 8 * 2**20
MAX_PARTS = 10_000
"""The protocol's limit; files above 80 GB get larger parts."""
CONCURRENCY = 8
"""Parts of a file in flight; with `PART_BYTES` the memory of one transfer, 64 MB and the copies that HTTP makes."""
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
"""Silence, not duration: a slow answer that goes on is waited for."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
TRANSIENT_CODES = frozenset(
    "BadDigest ConditionalRequestConflict IncompleteBody OperationAborted RequestTimeout SlowDown Throttling "
    "ThrottlingException XAmzContentSHA256Mismatch".split()
)
BROKEN = (
    HTTPClientError,
    ConnectionFailed,
    IncompleteReadError,
    ResponseParserError,
    HttpError,
    TimeoutError,
    ConnectionError,
)
"""What libraries raise for a connection that broke."""
BAD_REGION = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "301", "307"}
UNKNOWN_UPLOAD = "NoSuchUpload"


class Unreachable(OSError):
    """The endpoint did not answer, or answered with errors of its own, for as long as it was given."""


def storage_options(patience_s: float | None = None) -> dict[str, Any]:
    """Arguments for s3fs, none of them secret.

    botocore reads AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
    AWS_PROFILE, AWS_CA_BUNDLE and the files and instance roles of AWS by itself, but of the region's two names only
    AWS_DEFAULT_REGION. Its own retries are off where a patience is given: they would multiply with those of `S3`.
    """
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    retries = {"mode": "standard", "max_attempts": 12} if patience_s is None else {"total_max_attempts": 1}
    silence_s = READ_TIMEOUT_S if patience_s is None else min(READ_TIMEOUT_S, max(patience_s, CONNECT_TIMEOUT_S))
    timeouts = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": silence_s}
    return {
        "use_listings_cache": False,
        "config_kwargs": {**timeouts, "retries": retries},
        "client_kwargs": {"region_name": region} if region else {},
    }


class S3(S3FileSystem):
    """s3fs that tries a failed request again for `patience_s` seconds and moves files in parts of bounded size.

    A request ends at the latest after `patience_s` and one more attempt (`CONNECT_TIMEOUT_S`, and `READ_TIMEOUT_S` of
    silence). Each part of a file is a request of its own.

    Raises:
        Unreachable: the patience is used up.
        Permanent: access refused, no such bucket, wrong region, no credentials; at once, with what to mend.
    """

    cachable = False
    """fsspec's own cache does not look at the environment; see `connection`."""
    retries = 8
    """Attempts at reading an answer whose connection breaks midway; each begins with a patient request."""

    def __init__(self, patience_s: float) -> None:
        super().__init__(**storage_options(patience_s))
        self.patience_s = patience_s

    async def _call_s3(self, method: str, *akwarglist: Any, **kwargs: Any) -> Any:
        await self.set_session()
        client = await self.get_s3(kwargs.get("Bucket"))
        call = getattr(client, method)
        arguments = self._get_s3_method_kwargs(call, *akwarglist, **kwargs)
        where = f"bucket {kwargs.get('Bucket')!r} at {client.meta.endpoint_url}"
        if method == "abort_multipart_upload":
            # Tidying after an error that is on its way up: it must neither hide nor delay it.
            return await _quietly(call, arguments, where)
        return await self._retry_while_unreachable(method, lambda: call(**arguments), where)

    call_s3 = sync_wrapper(_call_s3)

    async def _retry_while_unreachable(self, method: str, request: Callable[[], Awaitable[Any]], where: str) -> Any:
        began, wait, attempts = time.monotonic(), FIRST_WAIT_S, 0
        while True:
            attempts += 1
            try:
                return await request()
            except Exception as error:
                if attempts > 1 and method == "complete_multipart_upload" and _code(error) == UNKNOWN_UPLOAD:
                    return {}  # An earlier attempt did it and its answer was lost; `_put_file` looks.
                if not is_transient(error):
                    raise _explained(error, where) from error
                spent = time.monotonic() - began
                if spent + wait > self.patience_s:
                    raise Unreachable(
                        f"{where} fails ({method}: {_named(error)}; attempts: {attempts} in {spent:.0f} of "
                        f"{self.patience_s:g} s, MIDTRAIN_S3_PATIENCE_S). Look at endpoint and network, run again"
                    ) from error
                if attempts == 3:
                    log.warning("%s fails (%s); tried for up to %g s", where, _named(error), self.patience_s)
                await asyncio.sleep(wait * random.uniform(0.7, 1.0))
                wait = min(2 * wait, LONGEST_WAIT_S)

    async def _put_file(
        self, lpath: str, rpath: str, callback: Callback = DEFAULT_CALLBACK, mode: str = "overwrite", **kwargs: Any
    ) -> None:
        """Upload a file in parts; the object appears when the last one is there."""
        size = os.path.getsize(lpath)
        part = max(PART_BYTES, math.ceil(size / MAX_PARTS))
        limits = {"chunksize": part, "max_concurrency": CONCURRENCY}
        await super()._put_file(lpath, rpath, callback=callback, mode=mode, **{**limits, **kwargs})
        if size >= 2 * part and (found := (await self._info(rpath, refresh=True))["size"]) != size:
            raise OSError(f"s3://{rpath} has {found} bytes after an upload of {size}; run again")

    async def _get_file(self, rpath: str, lpath: str, callback: Callback = DEFAULT_CALLBACK, **kwargs: Any) -> None:
        """Download a file in ranges, written in order."""
        size = (await self._info(rpath, refresh=True))["size"]
        callback.set_size(size)
        with open(lpath, "wb") as file:
            for start in range(0, size, PART_BYTES * CONCURRENCY):
                stop = min(size, start + PART_BYTES * CONCURRENCY)
                starts = range(start, stop, PART_BYTES)
                parts = await asyncio.gather(
                    *(self._cat_file(rpath, start=begin, end=min(stop, begin + PART_BYTES)) for begin in starts)
                )
                if sum(map(len, parts)) != stop - start:
                    raise OSError(f"s3://{rpath} changed while it was read; run again")
                file.writelines(parts)
                callback.relative_update(stop - start)

    def age_s(self, path: str) -> float:
        """Seconds since an object was written by the endpoint's clock, or by this host's where it tells no time."""
        bucket, key, _ = self.split_path(path)
        found = self.call_s3("head_object", Bucket=bucket, Key=key)
        now = found["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        return (parsedate_to_datetime(now).timestamp() if now else time.time()) - found["LastModified"].timestamp()

    def abort_uploads(self, path: str) -> int:
        """Abort unfinished uploads below `path`, which a killed builder left and which are paid for; how many."""
        bucket, prefix, _ = self.split_path(path)
        found = self.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/").get("Uploads", [])
        for upload in found:
            self.abort_mpu(bucket, upload["Key"], upload["UploadId"])
        return len(found)


_connections: dict[tuple[int, float, frozenset[tuple[str, str]]], S3] = {}


def connection(patience_s: float) -> S3:
    """The file system for this process and environment.

    Kept, because a client takes a second to make, and because s3fs closes one that nobody holds any more in whichever
    event loop runs just then.
    """
    names = frozenset((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
    key = (os.getpid(), patience_s, names)
    if key not in _connections:
        _connections.setdefault(key, S3(patience_s))
    return _connections[key]


def is_transient(error: BaseException) -> bool:
    """True for what another attempt may mend: server errors, throttling, timeouts, broken and refused connections."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _code(error) in TRANSIENT_CODES or status in (408, 429) or (status >= 500 and status != 501)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return False
    return isinstance(error, BROKEN)


async def _quietly(call: Callable[..., Awaitable[Any]], arguments: dict[str, Any], where: str) -> None:
    try:
        await call(**arguments)
    except Exception as error:
        log.warning("an unfinished upload of %s stays in %s: %s", arguments.get("Key"), where, _named(error))


def _code(error: BaseException) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _named(error: BaseException) -> str:
    return _code(error) or f"{type(error).__name__}: {error}"


def _explained(error: Exception, where: str) -> Exception:
    """The error to raise: one that names the fix where a person must mend something, else what s3fs makes of it."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Permanent(f"no credentials for {where}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Permanent(f"the certificate of {where} is not trusted; set AWS_CA_BUNDLE to the authority's file")
    if not isinstance(error, ClientError):
        return error
    code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        return Permanent(f"there is no {where}; create it, or mend the address (MIDTRAIN_STORE) or AWS_ENDPOINT_URL")
    if code in BAD_REGION:
        return Permanent(f"{where} is in another region ({code}); set AWS_REGION to the bucket's")
    if code == "RequestTimeTooSkewed":
        return Permanent(f"{where} refuses requests because this machine's clock is wrong; set it by NTP")
    if status in (401, 403):
        return Permanent(
            f"{where} refuses access ({code}); look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN "
            "and whether the account may list the bucket and read, write and delete in it"
        )
    if status == 501:
        return Permanent(f"{where} does not offer what is needed ({code}): conditional writes, multipart uploads")
    return translate_boto_error(error)
