"""Every gold answer of the real question sets must be matched by itself."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.extraction import extract_answer
from tasks.shared.verification.grading import compare, grade, readable

CONFIG = VerificationConfig()
NOT_A_VALUE = re.compile(r"[=,<>]|\\(?:geq|leq|in\b|text)")

READERS: dict[str, tuple[str, Callable[[dict], str]]] = {
    "gsm8k": ("gsm8k/test.jsonl", lambda row: row["answer"].split("####")[1].strip()),
    "math500": ("math500/test.jsonl", lambda row: row["answer"]),
    "aime24": ("aime24/test.jsonl", lambda row: str(row["answer"])),
    "amc23": ("amc23/test.jsonl", lambda row: str(row["answer"])),
    "minerva_math": (
        "minerva_math/test.jsonl",
        lambda row: extract_answer(row["solution"], ("boxed",)) or "",
    ),
    "olympiadbench": ("olympiadbench/test.jsonl", lambda row: ", ".join(row["final_answer"])),
    "svamp": ("svamp/test.jsonl", lambda row: str(row["Answer"])),
}

# What would not accept itself in another spelling: a completion is right only if it repeats such a gold answer.
UNREADABLE = {
    "minerva_math": [
        r"\frac{dM}{dt}=\frac{10^{5} L_{\odot}}{0.007 c^{2} M_{\odot}^{6}} M^{6}",
        r"\hbar \omega(v+1 / 2)-\frac{E_{0}^{2} e^{2}}{2 m \omega^{2}}",
        "E_{1},E_{2}",
    ],
    "olympiadbench": [
        r"$f(x)=a x+b$, where $b$ is an arbitrary integer, and $a$ is an arbitrary positive integer with"
        r" $\mho(a)=0$",
        "$t(0,4]$",
    ],
}


def golds(shared_data: Path, name: str) -> list[str]:
    file, read = READERS[name]
    return [read(json.loads(line)) for line in (shared_data / file).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", READERS)
def test_every_gold_matches_itself(shared_data: Path, name: str) -> None:
    failures = [gold for gold in golds(shared_data, name) if compare(gold, gold, CONFIG)[0] != "correct"]
    assert failures == []


@pytest.mark.parametrize("name", READERS)
def test_every_gold_matches_itself_as_a_value_of_a_name(shared_data: Path, name: str) -> None:
    """``z = gold`` is what models write, and it takes an answer past the rule for equal texts."""
    distinct = [gold for gold in dict.fromkeys(golds(shared_data, name)) if not NOT_A_VALUE.search(gold)]
    sample = random.Random(0).sample(distinct, min(60, len(distinct)))
    failures = {gold: compare(f"z = {gold}", gold, CONFIG) for gold in sample}
    failures = {gold: decision for gold, decision in failures.items() if decision[0] != "correct"}
    assert failures.keys() <= set(UNREADABLE.get(name, []))


@pytest.mark.parametrize("name", READERS)
def test_share_of_golds_that_can_be_read(shared_data: Path, name: str) -> None:
    """All of GSM8K, MATH-500, AIME24, AMC23, SVAMP; 269 of 272 of Minerva; 673 of 675 of OlympiadBench."""
    texts = golds(shared_data, name)
    assert [gold for gold in texts if not readable(gold, CONFIG)] == UNREADABLE.get(name, [])


LAYOUTS = (
    "The answer is ${}$.",
    "**Final Answer**\n\n${}$",
    "So $\\boxed{{{}}}$.",
    "<answer>{}</answer>",
    "#### {}",
    "**Answer:** ${}$ as required.",
    "Final Answer: The final answer is ${}$. I hope it is correct.",
    "Final Answer: The final answer is ${}.$ I hope it is correct.",
)


@pytest.mark.parametrize(("name", "field"), [("math500", "solution"), ("aime24", "solution"), ("gsm8k", "answer")])
def test_reference_solutions_are_right(shared_data: Path, name: str, field: str) -> None:
    rows = [json.loads(line) for line in (shared_data / READERS[name][0]).read_text(encoding="utf-8").splitlines()]
    pairs = [(row[field], READERS[name][1](row)) for row in rows]
    assert [solution for solution, gold in pairs if grade(solution, gold, CONFIG).verdict != "correct"] == []


def test_a_gold_is_read_out_of_every_layout_and_another_digit_is_wrong(shared_data: Path) -> None:
    draw = random.Random(0)
    distinct = list(dict.fromkeys(golds(shared_data, "math500")))
    refused, accepted = [], []
    for gold in draw.sample(distinct, 60):
        stated = [layout.format(gold) for layout in LAYOUTS]
        refused += [completion for completion in stated if grade(completion, gold, CONFIG).verdict != "correct"]
        digits = [match.start() for match in re.finditer(r"\d", gold)]
        if digits:
            place = draw.choice(digits)
            other = f"{gold[:place]}{(int(gold[place]) + draw.randint(1, 9)) % 10}{gold[place + 1 :]}"
            if compare(other, gold, CONFIG)[0] == "correct":
                accepted.append((other, gold))
    assert refused == accepted == []
