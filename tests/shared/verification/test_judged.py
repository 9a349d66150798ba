"""Answers that people have judged, and the table of rules that they try."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.grading import RULES, grade
from tasks.shared.verification.verdict import Verdict

ROOM = Path(__file__).resolve().parents[3] / "tasks" / "shared" / "verification"
JUDGED: dict[str, list[tuple[str, str, str]]] = yaml.safe_load(Path(__file__).with_name("judged.yaml").read_text())
AROUND = ("extraction", "spelling", "gold")
"""What is read before the rules, and what is asked of the gold answer after them."""
CONFIG = VerificationConfig()


@cache
def verdict(completion: str, gold: str) -> Verdict:
    return grade(completion, gold, CONFIG)


@pytest.mark.parametrize("rule", JUDGED)
def test_answers_are_judged_as_people_judge_them(rule: str) -> None:
    others = [
        (completion, gold, expected, verdict(completion, gold))
        for completion, gold, expected in JUDGED[rule]
        if (verdict(completion, gold).verdict == "correct") != (expected == "right")
    ]
    assert others == []


@pytest.mark.parametrize("rule", [name for name, _ in RULES])
def test_a_rule_decides_on_answers_that_are_said_to_try_it(rule: str) -> None:
    deciding = {verdict(completion, gold).rule for completion, gold, _ in JUDGED[rule]}
    assert rule in deciding


def test_a_gold_that_would_not_accept_itself_is_an_error() -> None:
    assert {verdict(completion, gold).verdict for completion, gold, _ in JUDGED["gold"]} == {"error"}


def test_the_readme_lists_the_rules_in_their_order_each_with_its_test() -> None:
    rows = re.findall(
        r"^\| `([a-z ]+)` \|.*\| `(\w[\w ]*)`(?:, `test_\w+`)* \|$", (ROOM / "README.md").read_text(), re.MULTILINE
    )
    assert [name for name, _ in rows] == ["extraction", "spelling", *(name for name, _ in RULES), "gold"]
    assert {group for _, group in rows} == set(JUDGED)
