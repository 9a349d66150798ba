"""Prefect's results on S3, by Prefect's own storage for fsspec addresses."""

import os

from tasks.spine.store.settings import Settings

BLOCK = "midtrain-results"
DEFAULT_BLOCK = "PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK"


def choose_result_storage(settings: Settings) -> None:
    """Point Prefect at the block of `save_result_storage`; before Prefect is imported. A user's own choice stands."""
    if settings.results:
        os.environ.setdefault(DEFAULT_BLOCK, f"remote-file-system/{BLOCK}")


def save_result_storage(settings: Settings) -> None:
    """Write the storage block to the server, which must answer. It holds an address and time limits, no secret.

    Credentials and endpoint come from the environment of whoever reads or writes a result, as for the store.
    """
    if not settings.results or os.environ.get(DEFAULT_BLOCK) != f"remote-file-system/{BLOCK}":
        return
    from prefect.filesystems import RemoteFileSystem

    options = {}
    if settings.results.startswith(("s3://", "s3a://")):
        from tasks.spine.store.s3 import storage_options

        options = storage_options()
    RemoteFileSystem(basepath=settings.results, settings=options).save(BLOCK, overwrite=True)
