"""Verdicts on the same saved outputs: ours, lm-evaluation-harness's and TRL's `accuracy_reward`.

Every row on which one of them differs from us is counted under the form in which our verifier found the answer and the
rule by which it decided, with an example.
lm-eval gets an environment of its own, because it asks for another version of ANTLR than the packages here.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from trl.rewards import accuracy_reward

from tasks.shared.verification.extraction import FINDERS, extract_answers
from tasks.shared.verification.pool import VerifierPool
from tasks.shared.verification.verdict import Verdict
from tests.bench.bench_verifier import cpu_seconds
from tests.bench.verifier_answers import math_answers, word_problems

LM_EVAL = "lm-eval[math]==0.4.13"
ENVIRONMENT = Path(".midtrain", "bench-lm-eval").absolute()
TASKS = {
    "gsm8k_cot": ("GSM8K", ("strict-match", "flexible-extract")),
    "minerva_math500": ("MATH-500", ("exact_match", "math_verify")),
}
"""lm-eval's task for each set of outputs, and its metrics."""
SHOWN_CHARS = 60

Output = dict[str, str]


def main() -> None:
    """Print CPU time and differences of all scorers.

    `MIDTRAIN_BENCH_OUTPUTS` names a JSONL file with `task` (a name of `TASKS`), `completion` and `gold`; without it
    there are 10,000 outputs made from a seed, in the forms that these sets have.
    """
    file = os.environ.get("MIDTRAIN_BENCH_OUTPUTS")
    outputs = [json.loads(line) for line in Path(file).read_text().splitlines()] if file else made_outputs()
    theirs, their_seconds = lm_eval_scores(outputs)
    total_s = 0.0
    for task, (title, metrics) in TASKS.items():
        places = [place for place, row in enumerate(outputs) if row["task"] == task]
        if not places:
            continue
        rows = [outputs[place] for place in places]
        verdicts, seconds = our_verdicts(rows)
        right = [verdict.verdict == "correct" for verdict in verdicts]
        print(
            f"{title}: {len(rows):,} outputs, {sum(right):,} right here; {seconds:.2f} CPU s, lm-eval "
            f"{their_seconds[task]:.2f}: {their_seconds[task] / seconds:.1f}x"
        )
        total_s += seconds
        for metric in metrics:
            show(f"lm-eval {metric}", [theirs[place][metric] for place in places], rows, verdicts)
        show("TRL accuracy_reward", trl_rewards(rows), rows, verdicts)
    ratio = sum(their_seconds.values()) / total_s
    print(f"all {len(outputs):,} outputs: {ratio:.0f}x fewer CPU seconds than lm-eval (target 10x)")


def made_outputs() -> list[Output]:
    """6,000 of word problems and 4,000 with answers of the MATH kinds."""
    sets = {
        "gsm8k_cot": word_problems(6_000, samples=8, seed=1),
        "minerva_math500": math_answers(4_000, samples=8, seed=2),
    }
    return [
        {"task": task, "completion": completion, "gold": gold}
        for task, rows in sets.items()
        for completion, gold in rows
    ]


def our_verdicts(rows: Sequence[Output]) -> tuple[list[Verdict], float]:
    """Verdicts, and the CPU seconds of all processes after everything was loaded."""
    with VerifierPool(num_workers=2) as pool:
        pool.verify([("#### 1", str(gold)) for gold in range(8)])
        start = cpu_seconds()
        verdicts = pool.verify((row["completion"], row["gold"]) for row in rows)
        return verdicts, cpu_seconds() - start


def trl_rewards(rows: Sequence[Output]) -> list[bool]:
    """TRL's reward; a gold that it cannot read gives none."""
    rewards = accuracy_reward(
        [[{"role": "assistant", "content": row["completion"]}] for row in rows], [f"${row['gold']}$" for row in rows]
    )
    return [reward == 1.0 for reward in rewards]


def lm_eval_scores(outputs: Sequence[Output]) -> tuple[list[dict[str, bool]], dict[str, float]]:
    """Scores of each output by metric, and CPU seconds of each task; lm-eval is installed the first time."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "ready").exists():
        print(f"installing {LM_EVAL} into {ENVIRONMENT}", flush=True)
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", LM_EVAL], check=True)
        (ENVIRONMENT / "ready").touch()
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "outputs.jsonl", Path(folder) / "scores.json"
        given.write_text("".join(json.dumps(row) + "\n" for row in outputs))
        program = Path(__file__).with_name("lm_eval_scores.py")
        subprocess.run([python, program, given, found], check=True, stdout=sys.stderr)
        result = json.loads(found.read_text())
    return result["scores"], result["cpu_s"]


def show(scorer: str, scores: Sequence[bool], rows: Sequence[Output], verdicts: Sequence[Verdict]) -> None:
    """How often a scorer and we differ, and by which of our rules."""
    differing: dict[tuple[str, str, str], list[tuple[Output, Verdict]]] = defaultdict(list)
    for score, row, verdict in zip(scores, rows, verdicts, strict=True):
        if score != (verdict.verdict == "correct"):
            differing[verdict.verdict, form_of(row["completion"]), verdict.detail].append((row, verdict))
    count = sum(map(len, differing.values()))
    print(f"  {scorer}: {sum(scores):,} right, differs on {count:,} ({count / len(rows):.1%})")
    for (name, form, detail), found in sorted(differing.items(), key=lambda item: -len(item[1])):
        row, verdict = found[0]
        end = row["completion"].rstrip()[-SHOWN_CHARS:]
        print(f"    {len(found):,} {name} here ({form}; {detail}), such as {verdict.extracted!r} for {row['gold']!r}")
        print(f"      {end!r}")


def form_of(completion: str) -> str:
    """The form that gives the final answer when it is looked for alone."""
    answers = extract_answers(completion)
    return next((form for form in FINDERS if answers and extract_answers(completion, (form,)) == answers), "no answer")


if __name__ == "__main__":
    main()
