"""Tokenizers for threads that run side by side."""

import subprocess
import sys

from tasks.shared.models.resolve import EMBEDDED_PATH
from tasks.tiny.styles import EOS

TWO_AT_ONCE = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tasks.shared.engines.tokens import load_tokenizer


def load(wait_s):
    time.sleep(wait_s)
    return load_tokenizer(Path(sys.argv[1])).eos_token


with ThreadPoolExecutor(8) as pool:
    print(set(pool.map(load, [0.1 * index for index in range(8)])))
"""


def test_threads_that_ask_while_transformers_is_first_imported_all_get_their_tokenizer() -> None:
    # A process of its own, as only the first import of transformers is open to the race.
    command = [sys.executable, "-c", TWO_AT_ONCE, str(EMBEDDED_PATH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, repr({EOS})), done.stderr
