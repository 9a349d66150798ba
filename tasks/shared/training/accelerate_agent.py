"""`accelerate launch` as a worker's parent: it ends with its own parent, and passes on how a process ended."""

import sys

from accelerate.commands.launch import main as accelerate_launch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from tasks.spine.stage.worker import check_parent, die_with_parent

_SIGNALLED = 128
"""Shells give this plus the signal's number as the exit code of a process that a signal ended."""


def main() -> None:
    """Run with the command line of `accelerate launch`; ends as the first process that failed did."""
    die_with_parent()
    check_parent()
    try:
        accelerate_launch()
    except ChildFailedError as error:
        rank, first = error.get_first_failure()
        print(f"process {rank} ended first, with exit code {first.exitcode}", file=sys.stderr)
        sys.exit(first.exitcode if first.exitcode > 0 else _SIGNALLED - first.exitcode)


if __name__ == "__main__":
    main()
