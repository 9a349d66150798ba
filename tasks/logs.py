"""Logs without passwords, in every process that a command or a worker of Prefect starts a run in."""

import contextlib
import logging
import traceback
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
