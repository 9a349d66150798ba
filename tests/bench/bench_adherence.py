"""How well a scorer tells the small world's styles apart, and what selecting by it changes there.

The true style of a trace is known, so a scorer can be wrong. Written traces: of each problem one in every style, scored
under every heuristic; AUC is the chance that one in the heuristic's style scores above one in another style. Once more
without the opening word, which names the style. Samples: what the base model writes under each heuristic, right ones
alone: the share in the heuristic's style among all of them, and among the best-scored of each pair.
"""

import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from tasks.filter.adherence.likelihood_ratio import LikelihoodRatio
from tasks.filter.adherence.protocol import Scorer, ScoreRequest
from tasks.generate.heuristics import Heuristic, load_heuristics
from tasks.shared.engines.protocol import Request, Sampling
from tasks.shared.engines.transformers_engine import TransformersEngine
from tasks.shared.prompts.render import Renderer
from tasks.tiny import MODEL_DIR
from tasks.tiny.problems import Problem, generate_problems
from tasks.tiny.styles import METHODS, OPENING_WORDS, completion, style_of
from tests.bench.served_judge import ServedJudge
from tests.bench.style_classifier import trained_classifier
from tests.support.small_world import TINY

PROBLEMS, SAMPLES = 120, 8
JUDGED_PROBLEMS, JUDGE_TOKENS = 12, 120
RENDERER = Renderer(TINY)
HEURISTICS: Mapping[str, Heuristic] = {item.name: item for item in load_heuristics("tiny")}


def main() -> None:
    """Print AUC for each heuristic, and shares in the asked style with and without selection, by each scorer.

    `MIDTRAIN_BENCH_JUDGE` is the address of an OpenAI-compatible server of one model, which judges some of them.
    """
    problems = generate_problems("dev", PROBLEMS, seed=5)
    show(
        "likelihood ratio", LikelihoodRatio(MODEL_DIR, device="cpu", dtype="float32", tokens_per_batch=16_384), problems
    )
    with tempfile.TemporaryDirectory() as folder:
        show("reward model", trained_classifier(Path(folder)), problems)
    if server := os.environ.get("MIDTRAIN_BENCH_JUDGE"):
        judge = ServedJudge(server, max_new_tokens=JUDGE_TOKENS)
        show("judge", judge, problems[:JUDGED_PROBLEMS])
        print(f"  {judge.asked:,} solutions judged, {judge.unread:,} answers without a score, which count as 0.5")


def show(name: str, scorer: Scorer, problems: Sequence[Problem]) -> None:
    """Print what one scorer comes to."""
    whole, bare = (traces_auc(scorer, problems, opening=opening) for opening in (True, False))
    asked, chosen = selection(scorer, problems)
    print(f"{name} on {len(problems)} problems; AUC whole / without opening word; in its style of {SAMPLES} samples")
    for style, name in METHODS.items():
        print(
            f"  {name:<22}{whole[style]:>7.3f}{bare[style]:>7.3f}   "
            f"{asked[style]:.1%} of all right ones, {chosen[style]:.1%} of the best"
        )
    means = [statistics.mean(values.values()) for values in (whole, bare, asked, chosen)]
    print(f"  {'mean':<22}{means[0]:>7.3f}{means[1]:>7.3f}   {means[2]:.1%}, {means[3]:.1%}")


def traces_auc(scorer: Scorer, problems: Sequence[Problem], *, opening: bool) -> dict[str, float]:
    """AUC of each style's heuristic over the problems' traces in all styles."""
    found = {}
    for style in METHODS:
        written = [(problem, other, completion(problem, other)) for problem in problems for other in METHODS]
        texts = [(item, text if opening else without_opening(text, other)) for item, other, text in written]
        values = adherence(scorer, style, texts)
        own = [value for value, (_, other, _) in zip(values, written, strict=True) if other == style]
        others = [value for value, (_, other, _) in zip(values, written, strict=True) if other != style]
        found[style] = auc(own, others)
    return found


def without_opening(text: str, style: str) -> str:
    """A trace without the word that names its style."""
    return text.replace(f" {OPENING_WORDS[style]}", "", 1)


def selection(scorer: Scorer, problems: Sequence[Problem]) -> tuple[dict[str, float], dict[str, float]]:
    """Share of right samples in the style of their heuristic, and the same of each question's best-scored one."""
    engine = TransformersEngine(MODEL_DIR, device="cpu", dtype="float32", batch_size=256)
    asked, chosen = {}, {}
    for style, method in METHODS.items():
        requests = [
            Request(f"{number}/{draw}", RENDERER.heuristic(HEURISTICS[method], problem.question), 1000 * number + draw)
            for number, problem in enumerate(problems)
            for draw in range(SAMPLES)
        ]
        written = sorted(engine.stream(requests, Sampling(top_p=1.0, max_new_tokens=96)), key=lambda item: item.key)
        right = [
            (int(item.key.partition("/")[0]), item.text)
            for item in written
            if item.text.rstrip().endswith(f"#### {problems[int(item.key.partition('/')[0])].answer}")
        ]
        values = adherence(scorer, style, [(problems[number], text) for number, text in right])
        rows = [(number, value, style_of(text) == style) for (number, text), value in zip(right, values, strict=True)]
        best = [max(group, key=lambda row: row[1]) for _, group in groupby(rows, key=lambda row: row[0])]
        asked[style] = statistics.mean(row[2] for row in rows)
        chosen[style] = statistics.mean(row[2] for row in best)
    return asked, chosen


def adherence(scorer: Scorer, style: str, texts: Sequence[tuple[Problem, str]]) -> list[float]:
    """Scores of texts under one style's heuristic."""
    heuristic = HEURISTICS[METHODS[style]]
    requests = [
        ScoreRequest(
            key=str(number),
            question=problem.question,
            heuristic=heuristic.name,
            prompt=RENDERER.heuristic(heuristic, problem.question),
            plain=RENDERER.plain(problem.question),
            completion=text,
        )
        for number, (problem, text) in enumerate(texts)
    ]
    return [score.adherence for score in scorer.score(requests)]


def auc(own: Sequence[float], others: Sequence[float]) -> float:
    """Chance that a value of `own` is above one of `others`; equal ones count half."""
    pairs = [(a, b) for a in own for b in others]
    return sum(a > b for a, b in pairs) / len(pairs) + sum(a == b for a, b in pairs) / len(pairs) / 2


if __name__ == "__main__":
    main()
