"""Why modes matter: the argument of self-generated mid-training, in numbers.

One policy-gradient step on action a with learning rate eta and advantage A changes its probability by
eta * A * pi_a * [(1 - pi_a)^2 + sum over j != a of pi_j^2] (arXiv 2605.08472): almost nothing where the policy is
peaked, whichever action is rewarded, and most where a few modes share it. First this is checked on softmax policies,
then looked for in trained models of the small world, where the first word of a solution chooses its approach.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.tiny.problems import Problem, generate_problems
from tasks.tiny.styles import OPENING_WORDS, SUITED, plain_prompt

HOME = Path(".midtrain") / "bench-theory"
"""A home of its own: models are found there by their labels, which other runs have as well."""
MIDTRAIN = str(Path(sys.executable).with_name("midtrain"))
ARMS = ("vanilla", "star", "polya")
QUESTIONS, SEED = 400, 7
GROUP_SIZE, RUNS, MOST_STEPS, RATE, ACTIONS = 16, 200, 2_000, 0.5, 64
PEAKED = 0.95
"""Probability of one opening from which a question counts as peaked (ours)."""


def main() -> None:
    """Print both tables."""
    print("A softmax policy over 64 actions; one is right, and it is not the likeliest where the policy is peaked.")
    print(
        "| policy | p(right) | its change by a step | by the formula | change of the likeliest by one on that "
        "| groups without a right rollout | steps to 1/2 |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, policy in policies():
        print_policy(name, policy)
    print()
    print(f"First words of {QUESTIONS} solutions of the small world, plain prompt:")
    print("| model | likeliest opening | peaked questions | modes | p(suited) | change of a suited opening by a step |")
    print("|---|---:|---:|---:|---:|---:|")
    problems = [problem for problem in generate_problems("test", QUESTIONS, SEED) if problem.family in SUITED]
    for label, folder in trained_models():
        print_model(label, openings(folder, problems), problems)


def policies() -> Iterable[tuple[str, np.ndarray]]:
    """Policies with the right action first: peaked at another one, and with N equal modes of which it is one."""
    for rest in (0.001, 0.01, 0.1):
        policy = np.full(ACTIONS, 1e-9)
        policy[:2] = rest, 1 - rest
        yield f"peaked, {1 - rest:g} elsewhere", policy / policy.sum()
    for modes in (2, 4, 16, 64):
        policy = np.full(ACTIONS, 1e-9)
        policy[:modes] = 1 / modes
        yield f"{modes} equal modes", policy / policy.sum()


def factor(policy: np.ndarray, action: int) -> float:
    """pi_a * [(1 - pi_a)^2 + sum over j != a of pi_j^2], the change per eta * A."""
    others = np.delete(policy, action)
    return float(policy[action] * ((1 - policy[action]) ** 2 + (others**2).sum()))


def print_policy(name: str, policy: np.ndarray) -> None:
    """A row: one step by automatic differentiation and by the formula, then learning by groups."""
    logits = torch.tensor(np.log(policy), requires_grad=True)
    torch.log_softmax(logits, 0)[0].backward()
    eta = 1e-4
    moved = torch.softmax(logits.detach() + eta * logits.grad, 0)[0].item()
    steps = [learned_after(policy, np.random.default_rng(seed)) for seed in range(RUNS)]
    within = np.mean([step is not None for step in steps])
    median = np.median([MOST_STEPS + 1 if step is None else step for step in steps])
    reached = f"{median:.0f}" if median <= MOST_STEPS else f"over {MOST_STEPS:,} ({within:.0%} within)"
    print(
        f"| {name} | {policy[0]:.4f} | {(moved - policy[0]) / eta:.5f} | {factor(policy, 0):.5f} "
        f"| {factor(policy, int(policy.argmax())):.6f} | {(1 - policy[0]) ** GROUP_SIZE:.0%} | {reached} |"
    )


def learned_after(policy: np.ndarray, draw: np.random.Generator) -> int | None:
    """Steps of GRPO (one group a step, advantages divided by their deviation) until the right action has one half."""
    logits = np.log(policy)
    for step in range(1, MOST_STEPS + 1):
        now = np.exp(logits - logits.max())
        now /= now.sum()
        if now[0] >= 0.5:
            return step - 1
        rollouts = draw.choice(ACTIONS, GROUP_SIZE, p=now)
        rewards = (rollouts == 0).astype(float)
        if rewards.std() == 0:
            continue
        advantages = (rewards - rewards.mean()) / rewards.std()
        gradient = np.bincount(rollouts, advantages, ACTIONS) - advantages.sum() * now
        logits += RATE * gradient / GROUP_SIZE
    return None


def trained_models() -> list[tuple[str, Path]]:
    """Models of the small world with their labels, trained where that home has them not."""
    environment = {**os.environ, "MIDTRAIN_HOME": str(HOME.absolute())}
    command = ["run", "polya", "--recipe", "tiny-cpu-controls", "--arms", ",".join(ARMS)]
    subprocess.run([MIDTRAIN, *command], check=True, stdout=sys.stderr, env=environment)
    listing = [MIDTRAIN, "ls", "model", "--json"]
    listed = subprocess.run(listing, check=True, capture_output=True, text=True, env=environment)
    latest = {entry["label"]: Path(entry["path"]) for entry in json.loads(listed.stdout)}
    return list(latest.items())


@torch.inference_mode()
def openings(folder: Path, problems: list[Problem]) -> np.ndarray:
    """Probability of each of `OPENING_WORDS` as the first word (questions, styles); the rest is other words'."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    words = [tokenizer(f" {word}", add_special_tokens=False).input_ids for word in OPENING_WORDS.values()]
    if any(len(ids) != 1 for ids in words):
        raise ValueError("an opening word of the small world is more than one token")
    rows = []
    for problem in problems:
        ids = tokenizer(plain_prompt(problem.question), return_tensors="pt").input_ids
        rows.append(torch.softmax(model(ids).logits[0, -1], 0)[[ids[0] for ids in words]].numpy())
    return np.array(rows)


def print_model(label: str, shares: np.ndarray, problems: list[Problem]) -> None:
    """A row: how peaked the choice of an approach is, and how far one step moves one that suits the question."""
    entropy = -(shares * np.log(np.clip(shares, 1e-12, None))).sum(1)
    styles = list(OPENING_WORDS)
    suited = [[styles.index(style) for style in SUITED[problem.family]] for problem in problems]
    moves = [np.mean([factor(row, style) for style in good]) for row, good in zip(shares, suited, strict=True)]
    chance = [row[good].sum() for row, good in zip(shares, suited, strict=True)]
    print(
        f"| {label} | {shares.max(1).mean():.2f} | {(shares.max(1) >= PEAKED).mean():.0%} "
        f"| {np.exp(entropy).mean():.2f} | {np.mean(chance):.2f} | {np.mean(moves):.4f} |"
    )


if __name__ == "__main__":
    main()
