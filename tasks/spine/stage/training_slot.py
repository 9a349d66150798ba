"""One training at a time on a GPU host, whichever runs of its workers ask for it."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from tasks.errors import Permanent
from tasks.spine.stage.prefect_retry import retry_while_unreachable
from tasks.spine.store.settings import STARTED_BY_WORKER, Settings

log = logging.getLogger(__name__)


def limit_name(host: str, settings: Settings) -> str:
    """Name of the limit of a GPU host; empty where there is to be none."""
    return settings.training_limit.replace("{host}", host)


@contextmanager
def training_slot(settings: Settings) -> Iterator[None]:
    """Hold the host's slot for a training, after waiting for it; a run that no worker started needs none.

    Who is killed with a slot gives it back when Prefect's lease on it runs out, within 5 minutes. A renewal that fails
    does not end the training.

    Raises:
        Permanent: the server has no such limit.
    """
    name = limit_name(socket.gethostname(), settings)
    if not name or STARTED_BY_WORKER not in os.environ:
        yield
        return
    retry_while_unreachable(lambda: _require(name))
    log.info("waiting for the slot %s", name)
    held = retry_while_unreachable(lambda: _taken(name))
    try:
        yield
        with suppress(Exception):
            retry_while_unreachable(lambda: _require(name))
    finally:
        _give_back(name, held)


def _taken(name: str) -> AbstractContextManager[None]:
    from prefect.concurrency.sync import concurrency

    slot = concurrency(name, strict=True, raise_on_lease_renewal_failure=False)
    slot.__enter__()
    return slot


def _give_back(name: str, held: AbstractContextManager[None]) -> None:
    """What was trained counts, whether the server is there to hear of the slot or not."""
    try:
        held.__exit__(None, None, None)
    except Exception as error:
        log.warning("the slot %s was not given back and comes free within 5 minutes: %s", name, error)


def _require(name: str) -> None:
    """A limit that is not there is let through by Prefect, or refused in words that name no way out."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            raise Permanent(
                f"the Prefect server has no concurrency limit {name!r}, which keeps two trainings off one GPU host; "
                f"make it with `midtrain deploy --gpu-host {socket.gethostname()}`, or set MIDTRAIN_TRAINING_LIMIT"
            ) from None
