"""Health check of a container: `healthy.py URL` exits 0 when the address answers with success, else 1."""

import sys
import urllib.request

TIMEOUT_S = 5.0

try:
    with urllib.request.urlopen(sys.argv[1], timeout=TIMEOUT_S):
        pass
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error}")
