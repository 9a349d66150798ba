"""`midtrain verify`: a verdict for every row of a file of completions, and how often a second check disagrees."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from tasks.shared.tables.parquet import RowWriter
from tasks.shared.verification.pool import VerifierPool
from tasks.shared.verification.second_check import second_verdicts
from tasks.shared.verification.verdict import Verdict, verdicts_in_words
