"""Logs and errors without passwords, in every process that a command or a worker of Prefect starts a run in."""

import contextlib
import logging
import traceback
from collections.abc import Iterator
from typing import Any

from tasks.text import has_password, without_passwords


def hide_passwords_in_logs() -> None:
    """Have every record of a log, of this project and of libraries, made without the passwords of addresses.

    An error that is logged is looked at with all its causes. A second call changes nothing.
    """
    make = logging.getLogRecordFactory()
    if getattr(make, "hides_passwords", False):
        return

    def without(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        with contextlib.suppress(Exception):
            text = record.getMessage()
            if has_password(text):
                record.msg, record.args = without_passwords(text), None
            if record.exc_info and has_password(trace := "".join(traceback.format_exception(*record.exc_info))):
                # What formatters take instead of writing the error out again.
                record.exc_text = without_passwords(trace).rstrip()
        return record

    without.hides_passwords = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(without)


@contextlib.contextmanager
def errors_without_passwords() -> Iterator[None]:
    """Raise errors without the passwords of addresses: Prefect keeps the message of a failed run in its database."""
    try:
        yield
    except Exception as error:
        text = without_passwords(str(error))
        if text == str(error):
            raise
        error.args = (text,)
        if str(error) == text:
            raise
        # Some libraries put their message together anew each time.
        raise RuntimeError(f"{type(error).__name__}: {text}") from None
