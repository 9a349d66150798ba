"""Right answers to sets of code questions pass, and the same answers without their bodies fail.

Rows in the publishers' form stand below. The whole sets are tried where their files are named:
`HUMANEVAL_FILE=HumanEval.jsonl.gz MBPP_FILE=mbpp.jsonl python -m pytest tests/shared/sandbox/test_code_sets.py`.
"""

import ast
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tasks.evaluate.config import EvaluateConfig
from tasks.questions.load import build_questions
from tasks.questions.schema import QUESTIONS_FILE
from tasks.questions.sources import read_source, resolve
from tasks.shared.sandbox.config import SandboxConfig
from tasks.shared.sandbox.pool import CodePool
from tasks.shared.sandbox.unit_tests import UnitTests
from tasks.shared.sources.errors import Record
from tasks.shared.tables.parquet import read_rows

Row = Mapping[str, Any]

SIGNATURES: list[Row] = [
    {
        "task_id": "own/0",
        "prompt": "import math\nfrom typing import List\n\ndef area(radii: List[float]) -> float:\n"
        '    """Of circles."""\n',
        "entry_point": "area",
        "canonical_solution": "    return sum(math.pi * radius**2 for radius in radii)\n",
        "test": "def check(candidate):\n    assert abs(candidate([1, 2]) - 15.70796) < 1e-4\n"
        "    assert candidate([]) == 0\n",
    },
    {
        "task_id": "own/1",
        "prompt": "def shift(text: str) -> str:\n    return text[1:] + text[:1]\n\ndef unshift(text: str) -> str:\n"
        '    """Undo shift."""\n',
        "entry_point": "unshift",
        "canonical_solution": "    return text[-1:] + text[:-1]\n",
        "test": "def check(candidate):\n    for text in ('', 'a', 'abc'):\n"
        "        assert candidate(shift(text)) == text\n",
    },
]
SENTENCES: list[Row] = [
    {
        "task_id": 1,
        "text": "Write a function to add two numbers, with the name of a built-in one.",
        "code": "def sum(a, b):\r\n\treturn a + b",
        "test_setup_code": "",
        "test_list": ["assert sum(1, 2) == 3", "assert sum(2, 2) == 4", "assert sum(-1, 1) == 0"],
    },
    {
        "task_id": 2,
        "text": "Write a function for the depth of a tree.",
        "code": "class Node:\n  def __init__(self, key):\n    self.key, self.left = key, None\n"
        "def depth(node):\n  return 1 + depth(node.left) if node else 0",
        "test_setup_code": "root = Node(1)\nroot.left = Node(2)\nroot.left.left = Node(3)",
        "test_list": ["assert depth(root) == 3", "assert depth(root.left) == 2", "assert depth(None) == 0"],
    },
    {
        "task_id": 3,
        "text": "Write a function for the values of one type.",
        "code": "def of_type(values, kind):\n  return (value for value in values if type(value) is kind)",
        "test_setup_code": "",
        "test_list": [
            "assert list(of_type([1, 'a', 2.5], int)) == [1]",
            "assert set(of_type(('a', b'b'), bytes)) == {b'b'}",
            "assert list(of_type([], str)) == [] or True",
        ],
    },
    {
        "task_id": 4,
        "text": "Write a function for a power of two and a root.",
        "code": "import math\ndef both(n):\n  return {n: (2**n, frozenset({math.sqrt(n)}), complex(n, 1))}",
        "test_setup_code": "",
        "test_list": [
            "assert both(4) == {4: (16, frozenset({2.0}), 4 + 1j)}",
            "assert math.isclose(min(both(2)[2][1]), math.sqrt(2))",
            "assert both(20000)[20000][0] == 1 << 20000",
        ],
    },
]
OWN = {"humaneval": SIGNATURES, "mbpp": SENTENCES}


@pytest.fixture(params=["humaneval", "mbpp"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_right_answers_pass_and_those_without_a_body_fail(name: str, pool: CodePool, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in OWN[name]))
    check_whole(name, file, pool, tmp_path)


def test_the_publishers_right_answers_pass_and_those_without_a_body_fail(
    name: str, pool: CodePool, tmp_path: Path
) -> None:
    variable = f"{name.upper()}_FILE"
    if variable not in os.environ:
        pytest.skip(f"set {variable} to the publisher's file; it takes minutes")
    with CodePool(2, config=SandboxConfig()) as patient:
        check_whole(name, Path(os.environ[variable]), patient, tmp_path)


def check_whole(name: str, file: Path, pool: CodePool, folder: Path) -> None:
    config = resolve(EvaluateConfig(benchmarks=(name,), sources={name: str(file)}).questions(name))
    ledger = build_questions(config, folder, folder).ledger()
    assert ledger["kept"] == ledger["read"]
    golds = {json.loads(row["meta"])["id"]: row["answer"] for row in read_rows(folder / QUESTIONS_FILE)}
    rows = [record.row for record in read_source(config) if isinstance(record, Record)]
    answered: Callable[[Row], str] = signature_and_body if name == "humaneval" else lambda row: str(row["code"])
    for change, passes in ((lambda code, gold: code, True), (without_bodies, False)):
        pairs = [(change(answered(row), golds[row["task_id"]]), golds[row["task_id"]]) for row in rows]
        verdicts = pool.stream((f"Here it is:\n```python\n{code}\n```", gold) for code, gold in pairs)
        other = [
            (row["task_id"], verdict.verdict, verdict.detail)
            for row, verdict in zip(rows, verdicts, strict=True)
            if (verdict.verdict == "correct") != passes
        ]
        print(name, "right answers" if passes else "without bodies", len(pairs), "other than expected:", other)
        assert other == []


def signature_and_body(row: Row) -> str:
    return str(row["prompt"] + row["canonical_solution"])


def without_bodies(code: str, gold: str) -> str:
    """The code with nothing in the functions that the tests call."""
    names = UnitTests.model_validate_json(gold).entry_points
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            node.body = [ast.Pass()]
    return ast.unparse(tree)
