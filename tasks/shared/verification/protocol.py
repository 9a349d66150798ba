"""What a verifier pool, its warm process and its graders say to one another, apart from the pairs themselves.

Both sides read it, and only one of them may load the algebra system; so it stands alone.
"""

import signal
import struct

ORDER = struct.Struct("!ci")
"""Owner to warm process: `FORK` with the number of a new grader, whose socket and shared memory
come along, or `KILL` with a number."""
NEWS = struct.Struct("!cii")
"""Warm process to owner: `STARTED` with number and process id, or `ENDED` with number and exit status."""
AT_HAND = struct.Struct("q")
"""Grader to owner, in memory that both share: the number of the request that is being graded."""
NOTHING = -1
"""In place of a number, while a line of requests is read."""
FORK, KILL, STARTED, ENDED = b"f", b"k", b"s", b"e"

OUT_OF_MEMORY = 71
"""Exit status of a grader that reached its memory cap: what it still holds is unknown, so a fresh one takes over."""
OUT_OF_TIME = -signal.SIGPROF
"""Exit status of a grader whose answer used up its CPU time."""
