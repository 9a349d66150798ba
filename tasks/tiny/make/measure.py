"""Measure a small model on the world's held-out problems.

`python -m tasks.tiny.make.measure MODEL [--split dev]` prints the numbers; `tasks.tiny.make.card` writes them down.
"""

import argparse
from collections.abc import Sequence as Rows
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.tiny.make.accuracy import SEED, answer_of, mean_and_error, pass_at
from tasks.tiny.make.sampling import complete, load
from tasks.tiny.problems import SPLITS, Problem, families_of, generate_problems
from tasks.tiny.styles import METHODS, STYLES, named_prompt, plain_prompt, style_histogram, style_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

MEASURED_NAME = "measured.json"
"""File with the measurements in a model's folder, beside the card that is written from it."""
PER_FAMILY, SAMPLES = 30, 8
"""Problems of each family, and samples of each problem."""


def _scores(problems: Rows[Problem], greedy: list[list[str]], drawn: list[list[str]]) -> dict[str, Any]:
    counts = [sum(answer_of(t) == p.answer for t in texts) for p, texts in zip(problems, drawn, strict=True)]
    right = [float(answer_of(texts[0]) == p.answer) for p, texts in zip(problems, greedy, strict=True)]
    n = len(drawn[0])
    return {
        "questions": len(problems),
        "samples": n,
        "greedy": mean_and_error(right),
        "pass@1": mean_and_error([c / n for c in counts]),
        f"pass@{n}": mean_and_error([pass_at(n, n, c) for c in counts]),
    }


def measure_plain(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", problems: Rows[Problem], samples: int
) -> dict[str, Any]:
    """Accuracy on plain prompts, over all problems and per family, and the styles of the samples."""
    prompts = [plain_prompt(p.question) for p in problems]
    greedy = complete(model, tokenizer, prompts, samples=0, seed=SEED)
    drawn = complete(model, tokenizer, prompts, samples=samples, seed=SEED)
    families = {}
    for family in dict.fromkeys(p.family for p in problems):
        rows = [index for index, p in enumerate(problems) if p.family == family]
        families[family] = _scores(*([values[i] for i in rows] for values in (problems, greedy, drawn)))
    texts = [text for texts in drawn for text in texts]
    return {
        "all": _scores(problems, greedy, drawn),
        "families": families,
        "styles": style_histogram(texts),
        "unfinished": sum(answer_of(text) is None for text in texts),
    }


def measure_named(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", problems: Rows[Problem]
) -> dict[str, Any]:
    """Per named method: greedy and one-sample accuracy by family, and the share of samples in that style."""
    out: dict[str, Any] = {}
    for style in STYLES:
        prompts = [named_prompt(p.question, style) for p in problems]
        greedy = complete(model, tokenizer, prompts, samples=0, seed=SEED)
        drawn = complete(model, tokenizer, prompts, samples=1, seed=SEED)
        followed = [float(style_of(texts[0]) == style) for texts in drawn]
        out[style] = {"followed": mean_and_error(followed)[0]}
        for kind, answers in (("greedy", greedy), ("sampled", drawn)):
            rights: dict[str, list[float]] = {}
            for problem, texts in zip(problems, answers, strict=True):
                rights.setdefault(problem.family, []).append(float(answer_of(texts[0]) == problem.answer))
            out[style][kind] = {family: mean_and_error(values)[0] for family, values in rights.items()}
    return out


def measure(folder: Path, split: str, per_family: int, samples: int) -> dict[str, Any]:
    """All measurements of one split."""
    model, tokenizer = load(folder)
    problems = generate_problems(split, per_family * len(families_of(split)), SEED)
    plain = measure_plain(model, tokenizer, problems, samples)
    return {"plain": plain, "named": measure_named(model, tokenizer, problems)}


def best_named(named: dict[str, Any], kind: str) -> float:
    """Mean over families of the best method's accuracy in percent: the room that RL has."""
    best = [max(named[style][kind][family] for style in STYLES) for family in named[STYLES[0]][kind]]
    return round(sum(best) / len(best), 1)


def plain_table(plain: dict[str, Any]) -> str:
    """Markdown: one row per family and one for all, in percent with standard errors."""
    n = plain["all"]["samples"]
    columns = ("greedy", "pass@1", f"pass@{n}")
    rows = [f"| family | questions | {' | '.join(columns)} |", "|---|---|---|---|---|"]
    for name, scores in (*plain["families"].items(), ("**all**", plain["all"])):
        cells = " | ".join(f"{scores[c][0]:.1f} ± {scores[c][1]:.1f}" for c in columns)
        rows.append(f"| {name} | {scores['questions']} | {cells} |")
    return "\n".join(rows)


def named_table(named: dict[str, Any], kind: str) -> str:
    """Markdown: families by methods, in percent."""
    rows = [f"| family | {' | '.join(METHODS.values())} |", "|---" * (len(STYLES) + 1) + "|"]
    for family in named[STYLES[0]][kind]:
        cells = " | ".join(f"{named[style][kind][family]:.0f}" for style in STYLES)
        rows.append(f"| {family} | {cells} |")
    return "\n".join(rows)


def show(split: str, result: dict[str, Any]) -> None:
    """Print the measurements of one split."""
    plain, named = result["plain"], result["named"]
    print(f"\n{split}\n{plain_table(plain)}\nstyles {plain['styles']}\n{named_table(named, 'greedy')}")
    print("best method", best_named(named, "greedy"), "greedy,", best_named(named, "sampled"), "sampled")


def main() -> None:
    """Measure the model that the command line names."""
    parser = argparse.ArgumentParser(description="Measure a small model on held-out problems.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--split", choices=SPLITS, default="dev")
    parser.add_argument("--per-family", type=int, default=PER_FAMILY)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    options = parser.parse_args()
    show(options.split, measure(options.model, options.split, options.per_family, options.samples))


if __name__ == "__main__":
    main()
