"""The tutorial in `polya_by_hand.py` runs, and what it says of each step holds."""

import math
import pickle
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.questions.rows import question_id
from tasks.tiny.problems import generate_problems

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import pickle, sys
from pathlib import Path

sys.modules |= {"prefect": None, "mlflow": None}  # an import of either fails
from tests.walkthrough.polya_by_hand import main

Path(sys.argv[1]).write_bytes(pickle.dumps(main()))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """What the steps made and what they printed, where neither Prefect nor MLflow can be imported."""
    file = tmp_path_factory.mktemp("walkthrough") / "facts.pickle"
    done = subprocess.run([sys.executable, "-c", RUN, str(file)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return pickle.loads(file.read_bytes()), done.stdout


@pytest.fixture(scope="module")
def facts(run: tuple[dict[str, Any], str]) -> dict[str, Any]:
    return run[0]


def final_number(text: str) -> str:
    return text.rpartition("####")[2].strip()


def test_every_step_prints_its_number_in_order(run: tuple[dict[str, Any], str]) -> None:
    numbers = re.findall(r"^(\d)\.", run[1], re.MULTILINE)
    assert list(dict.fromkeys(numbers)) == ["1", "3", "4", "5", "6", "7", "8", "9"]


def test_every_sample_has_one_key_and_one_verdict(facts: dict[str, Any]) -> None:
    samples = facts["samples"]
    assert len({row["key"] for row in samples}) == len(samples) == 28 * 2 * 4
    assert {row["verdict"] for row in samples} == {"correct", "wrong"}


def test_kept_solutions_are_correct_and_at_most_one_of_each_question_and_heuristic(facts: dict[str, Any]) -> None:
    kept = facts["kept"]
    answers = {question_id(problem.question): problem.answer for problem in generate_problems("seed", 28, 0)}
    assert all(final_number(row["completion"]) == answers[row["question_id"]] for row in kept)
    assert set(Counter((row["question_id"], row["heuristic"]) for row in kept).values()) == {1}
    solved = {
        (row["question_id"], row["heuristic"])
        for row in facts["samples"]
        if final_number(row["completion"]) == answers[row["question_id"]]
    }
    assert {(row["question_id"], row["heuristic"]) for row in kept} == solved


def test_training_rows_name_no_heuristic_in_their_prompts(facts: dict[str, Any]) -> None:
    assert facts["rows"]
    assert all("Method" not in row["prompt"] and row["heuristic"] for row in facts["rows"])


def test_the_sft_step_lowers_the_loss_of_the_rows_it_saw(facts: dict[str, Any]) -> None:
    before, after = facts["losses"]
    assert after < before - 0.005


def test_advantages_have_no_mean_and_are_those_of_the_rewards(facts: dict[str, Any]) -> None:
    rewards, advantages = facts["rewards"], facts["advantages"]
    assert set(rewards.unique().tolist()) == {0.0, 1.0}
    assert advantages.mean(1).abs().max() < 1e-5
    mixed = rewards.std(1) > 0
    assert mixed.any()
    assert torch.equal(advantages[mixed] > 0, rewards[mixed] == 1)
    assert not advantages[~mixed].any()


def test_the_grpo_step_makes_rewarded_rollouts_likelier_and_the_others_less_likely(facts: dict[str, Any]) -> None:
    before, after = facts["log_probs"]
    change, advantages = after - before, facts["advantages"]
    assert change[advantages > 0].mean() > 0.01
    assert change[advantages < 0].mean() < -0.01


def test_pass_at_k_is_the_unbiased_estimate_and_lies_in_its_interval(facts: dict[str, Any]) -> None:
    for scores in facts["scores"]:
        for k in (1, 4):
            expected = [1 - math.comb(4 - right, k) / math.comb(4, k) for right in scores["counts"]]
            score = scores[f"pass@{k}"]
            assert score.mean == pytest.approx(sum(expected) / len(expected))
            assert score.low < score.mean < score.high
        assert 0 <= scores["greedy"].low < scores["greedy"].mean < scores["greedy"].high
