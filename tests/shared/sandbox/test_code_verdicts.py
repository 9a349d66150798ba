"""Verdicts on code: what counts as the answer, and what becomes of answers that are none."""

import json
from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.shared.sandbox import available
from tasks.shared.sandbox.extraction import code_of
from tasks.shared.sandbox.pool import CodePool

from .conftest import Judged

SQUARE = "def f(x):\n    return x * x\n"
FENCED = f"```python\n{SQUARE}```"
GOLD = json.dumps({"unit_tests": "assert f(3) == 9", "entry_points": ["f"]})


@pytest.mark.parametrize(
    ("completion", "code"),
    [
        (f"First:\n```python\nf = 1\n```\nBetter:\n{FENCED}\nDone.", SQUARE),
        (f"<think>\n```python\nf = 1\n```\n</think>\n{FENCED}", SQUARE),
        (f"{FENCED}\n<think>or else", None),
        (f"```py title\n{SQUARE}", SQUARE),
        (f"1. So:\n   ```\n{SQUARE}   ```\n", SQUARE),
        (SQUARE, SQUARE.rstrip()),
        ("    return x * x", "    return x * x"),
        (" \n", None),
        ("", None),
    ],
)
def test_the_last_fenced_block_is_the_code_and_the_text_where_there_is_none(completion: str, code: str | None) -> None:
    assert code_of(completion) == code


def test_verdicts_come_in_order_one_for_each_pair(pool: CodePool) -> None:
    completions = [FENCED, "I do not know.", "", FENCED, "```python\ndef g(x): pass\n```", SQUARE]
    verdicts = pool.verify((text, GOLD) for text in completions)
    assert [verdict.verdict for verdict in verdicts] == "correct unparsed unparsed correct wrong correct".split()
    assert [verdict.rule for verdict in verdicts] == "tests syntax extraction tests code tests".split()
    assert verdicts[4].detail == "code: it defines no f"


def test_code_that_goes_on_from_the_signature_is_an_answer(pool: CodePool) -> None:
    gold = json.dumps(
        {"unit_tests": "assert f(3) == 9", "entry_points": ["f"], "prelude": "def f(x):\n    'Square.'\n"}
    )
    assert pool.verify([("    return x * x", gold), ("    return x", gold), ("", gold)])[0].verdict == "correct"


@pytest.mark.parametrize("gold", ["12", "{}", json.dumps({"unit_tests": "assert (", "entry_points": ["f"]})])
def test_a_gold_that_is_no_unit_test_is_an_error_and_not_the_answers_fault(pool: CodePool, gold: str) -> None:
    assert pool.verify([(FENCED, gold)])[0].verdict == "error"


def test_where_there_is_no_sandbox_nothing_runs_unless_told(
    judged: Judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Permanent, match=r"neither bubblewrap nor unshare is installed.*allow_unsandboxed_code=true"):
        available.confinement.__wrapped__()
    with CodePool(allow_unsandboxed=True) as told:
        assert judged(SQUARE, on=told).verdict == "correct"
        assert judged("import os\nos._exit(0)", on=told).verdict == "wrong"
