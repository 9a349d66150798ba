"""A store as a run of both arms leaves it, with evaluations whose answers are drawn from known rates."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.dataset.schema import RL, TRAIN
from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.schema import EVALUATED, SAMPLES_FILE
from tasks.evaluate.score import score
from tasks.filter.schema import VERDICTS, VERDICTS_FILE
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
from tasks.report.config import ReportConfig, ReportEntry
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.sampling.schema import SAMPLES, asked
from tasks.shared.sampling.schema import SAMPLES_FILE as SAMPLED_FILE
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.shared.verification.verdict import verdicts_in_words
from tasks.spine.store.fingerprint import fingerprint, payload
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store

HEURISTICS = (
    "analogy",
    "auxiliary element",
    "decomposition",
    "guess and check",
    "logical step by step",
    "working backward",
)
OPENINGS = ("Step", "Split", "End", "Like", "Let")
RATES = {"base": 0.24, "midtrained": 0.4, "vanilla": 0.3, "polya": 0.55}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class World:
    """What was published, and the report's configuration and parents."""

    store: Store
    folder: Path
    made: dict[str, Manifest] = field(default_factory=dict)
    entries: list[ReportEntry] = field(default_factory=list)
    parents: dict[str, ArtifactRef] = field(default_factory=dict)

    def publish(self, name: str, kind: str, stage: str, config: Any = None, **fields: Any) -> Manifest:
        """Publish the folder `name`, made beforehand or with one small file, under that name."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "content.txt").write_text(name)
        parents = {role: self.made[parent].ref for role, parent in fields.pop("parents", {}).items()}
        identity = (stage, 1, config if config is not None else {"name": name}, parents)
        manifest = self.store.publish(
            folder,
            kind=kind,
            stage=stage,
            version=1,
            fingerprint=fingerprint(*identity),
            payload=payload(*identity),
            parents=parents,
            git_commit=COMMIT,
            versions={"torch": "2.13.0", "trl": "1.16.0"},
            mlflow_run_id=f"{len(self.made):032x}",
            seconds=12.5,
            **fields,
        )
        self.made[name] = manifest
        return manifest

    def table(self, name: str, file: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
        """Put a Parquet file into the folder that will be published as `name`."""
        blank = {column.name: 0 if pa.types.is_integer(column.type) else "" for column in schema}
        write_parquet((blank | row for row in rows), self.folder / name / file, schema)

    def config(self, **changes: Any) -> ReportConfig:
        """The report of everything that was evaluated."""
        pairs = (("RL from base", "RL from mid-trained"), ("Base", "Mid-trained"))
        values: dict[str, Any] = {
            "title": "Mid-training before RL: tiny-cpu",
            "recipe": "tiny-cpu",
            "notes": ("The small world was built so that the method has something to show.",),
            "entries": tuple(self.entries),
            "comparisons": pairs,
            "resamples": 500,
        }
        return ReportConfig(**(values | changes))


DIVERSITY = {
    "kernel": "word n-grams",
    "questions": 200,
    "solutions": 610,
    "vendi_all": 88.4,
    "vendi_per_question": 2.31,
    "solutions_per_question": 3.2,
    "self_bleu": 0.42,
}


def answers(
    name: str, rate: float, *, benchmarks: dict[str, int], samples: int, seed: int, styles: bool = True
) -> Iterator[dict[str, Any]]:
    """Graded completions: each question has a difficulty of its own, the same for all models."""
    draw = np.random.default_rng([seed, *name.encode()])
    for benchmark, count in benchmarks.items():
        ease = np.random.default_rng(len(benchmark)).normal(0, 1.5, count)
        chance = 1 / (1 + np.exp(-(ease + np.log(rate / (1 - rate)))))
        for question in range(count):
            for index in range(-1, samples):
                right = draw.random() < chance[question]
                opening = draw.choice(OPENINGS, p=[0.8, 0.05, 0.05, 0.05, 0.05] if rate < 0.3 else [0.2] * 5)
                yield {
                    "benchmark": benchmark,
                    "question_id": f"{question:016x}",
                    "sample_index": index,
                    "completion": f" {opening} so\n#### {question}",
                    "verdict": "correct" if right else "wrong",
                    "extracted": str(question),
                    "vote": str(question) if right else f"wrong {index % 3}",
                    "finish_reason": "stop",
                    "completion_tokens": int(draw.integers(20, 60)),
                    "meta": '{"family": "sum"}' if styles else "{}",
                }


def evaluate(
    world: World,
    model: str,
    entry: ReportEntry,
    rate: float,
    *,
    benchmarks: dict[str, int],
    samples: int = 8,
    styles: bool = True,
) -> None:
    """Publish an evaluation of a model and enter it into the report."""
    name = entry.evaluation
    rows = answers(name, rate, benchmarks=benchmarks, samples=samples, seed=entry.seed, styles=styles)
    path = world.folder / name / SAMPLES_FILE
    write_parquet(rows, path, EVALUATED)
    config = EvaluateConfig(samples=samples, resamples=200)
    summary = score(read_rows(path), config) | {"asked": asked(PromptForm(style="chat"), config.sampling)}
    if entry.checkpoint == "midtrained":
        summary["likelihood"] = {"mean": -0.61, "low": -0.7, "high": -0.52, "questions": 40, "solutions": 90}
    parents = {"model": model, **{f"questions.{benchmark}": benchmark for benchmark in benchmarks}}
    world.publish(name, "evaluation", "evaluate", {"samples": samples, "of": model}, parents=parents, summary=summary)
    world.entries.append(entry)
    world.parents[name] = world.made[name].ref


def training_curve(first: float, last: float, steps: int, metric: str, seed: int) -> list[dict[str, float]]:
    noise = np.random.default_rng(seed).normal(0, 0.04, steps)
    return [
        {"step": step + 1, metric: max(0.0, first + (last - first) * (1 - np.exp(-4 * step / steps)) + noise[step])}
        | ({"zero_advantage_group_share": 0.25, "entropy": 1.2 - step / 100} if metric == "reward" else {})
        for step in range(steps)
    ]


def build_world(
    folder: Path, *, seeds: tuple[int, ...] = (0,), benchmarks: dict[str, int] | None = None, samples: int = 8
) -> World:
    """Publish a whole comparison through the real store."""
    benchmarks = benchmarks or {"tiny-test": 120, "tiny-ood": 60}
    world = World(Store.open(Settings(home=folder / "home")), folder / "made")
    world.publish("base", "model", "model", summary={"source": "embedded"}, rows={"parameters": 935_040})
    world.table("seeds", "questions.parquet", QUESTIONS, [{"id": "a" * 16, "question": "How many apples?"}])
    ledger = {"read": 412, "kept": 400, "merged": 9, "rejected": 3, "beyond_limit": 0}
    world.publish(
        "seeds", "questions", "questions", summary={"label": "tiny:seed"}, ledger=ledger, rows={"questions": 400}
    )
    world.table("prompts", "rl.parquet", RL, [{"question_id": "b" * 16}])
    world.publish("prompts", "dataset", "rl-set", ledger={"read": 1000, "kept": 1000, "beyond_questions": 0})
    for benchmark, count in benchmarks.items():
        ledger = {"read": 200, "kept": count, "merged": 0, "rejected": 0, "beyond_limit": 200 - count}
        world.table(benchmark, QUESTIONS_FILE, QUESTIONS, asked_questions(count))
        world.publish(benchmark, "questions", "questions", summary={"label": "tiny"}, ledger=ledger)
    base = ReportEntry(label="Base", checkpoint="base", evaluation="evaluation-base-0")
    evaluate(world, "base", base, RATES["base"], benchmarks=benchmarks, samples=samples)
    for seed in seeds:
        _polya(world, seed)
        world.publish(
            f"vanilla-{seed}",
            "model",
            "rl",
            {"steps": 60, "group_size": 8, "learning_rate": 1.5e-4, "arm": "vanilla", "seed": seed},
            parents={"model": "base", "prompts": "prompts"},
            summary={"curve": training_curve(0.22, 0.32, 60, "reward", seed)},
            ledger={"prompts_asked": 480, "rollouts": 7680, "correct": 2150, "wrong": 5400, "unparsed": 130},
        )
        for model, label, arm, checkpoint in (
            (f"mid-{seed}", "Mid-trained", "polya", "midtrained"),
            (f"vanilla-{seed}", "RL from base", "vanilla", "rl"),
            (f"polya-{seed}", "RL from mid-trained", "polya", "rl"),
        ):
            rate = RATES["midtrained" if checkpoint == "midtrained" else arm]
            role = f"evaluation-{checkpoint}-{arm}-{seed}"
            entry = ReportEntry(label=label, arm=arm, checkpoint=checkpoint, seed=seed, evaluation=role)
            evaluate(world, model, entry, rate, benchmarks=benchmarks, samples=samples)
    return world


def asked_questions(count: int) -> list[dict[str, Any]]:
    """The questions that `answers` answers."""
    return [
        {"id": f"{place:016x}", "question": f"Which is number {place}?", "answer": str(place)} for place in range(count)
    ]


def _candidates(world: World, seed: int) -> None:
    """Under each heuristic a solution that is right, one that is wrong and one that was cut; all are full of markup."""
    fates = (("right", "correct", False), ("wrong", "wrong", False), ("cut", "unparsed", True))
    rows, verdicts = [], []
    for heuristic in HEURISTICS:
        for index, (fate, verdict, cut) in enumerate(fates):
            named = {
                "key": f"{heuristic} {index}",
                "question_id": "a" * 16,
                "heuristic": heuristic,
                "sample_index": index,
            }
            text = f"By {heuristic}: <b>{fate}</b> $x_1$ <script>alert(1)</script>\n" + "and so on " * 400
            rows.append({**named, "completion": text, "finish_reason": "length" if cut else "stop"})
            reason = "truncated" if cut else "" if verdict == "correct" else "wrong"
            judged = {"verdict": verdict, "truncated": cut, "kept": not reason, "drop_reason": reason}
            verdicts.append({**named, **judged, "extracted": "3", "arithmetic": None, "adherence": None})
    world.table(f"samples-{seed}", SAMPLED_FILE, SAMPLES, rows)
    world.table(f"kept-{seed}", VERDICTS_FILE, VERDICTS, verdicts)


def _polya(world: World, seed: int) -> None:
    heuristics = {
        name: {
            "samples": 400,
            "correct": 60 + 30 * index,
            "kept": 58 + 28 * index,
            "goes_on": 20,
            "truncated": 8,
            "unparsed": 4,
            "mean_tokens": 31.5,
            "solves_alone": 3 + index,
            "accidents": {"expected": 2.5 + index},
            "arithmetic": 0.9,
            "calculated": 300,
            "adherence": 0.2 + 0.1 * index,
        }
        for index, name in enumerate(HEURISTICS)
    }
    correct, kept = (sum(counts[key] for counts in heuristics.values()) for key in ("correct", "kept"))
    config = {"heuristics": {name: f"{index:064x}" for index, name in enumerate(HEURISTICS)}, "seed": seed}
    _candidates(world, seed)
    parents = {"questions": "seeds", "model": "base"}
    ledger = {"wanted": 2400, "from_pool": 0, "generated": 2400}
    world.publish(
        f"samples-{seed}", "samples", "generate", config, parents=parents, ledger=ledger, rows={"samples": 2400}
    )
    filtered = {
        "generated": 2400,
        "truncated": 0,
        "wrong": 2380 - correct,
        "unparsed": 20,
        "runs_on": 0,
        "correct": correct,
        "by_chance": 0,
        "miscalculated": 0,
        "not_adherent": 0,
        "adherent": correct,
        "not_best": correct - kept,
        "kept": kept,
    }
    world.publish(
        f"kept-{seed}",
        "filtered",
        "filter",
        {"seed": seed, "adherence": "likelihood-ratio"},
        parents={"samples": f"samples-{seed}", "questions": "seeds", "model": "base"},
        summary={"heuristics": heuristics, "scorer": "likelihood-ratio"},
        ledger=filtered,
        facts={"verdicts": verdicts_in_words(filtered)},
    )
    world.table(f"rows-{seed}", "train.parquet", TRAIN, [{"question_id": "a" * 16}])
    world.publish(
        f"rows-{seed}",
        "dataset",
        "dataset",
        {"variants": 4, "seed": seed},
        parents={"kept": f"kept-{seed}", "model": "base"},
        summary={"diversity": DIVERSITY},
        ledger={
            "candidates": kept,
            "duplicates": 12,
            "beyond_variants": 100,
            "kept": kept - 112,
            "tokens_candidates": kept * 40,
            "tokens_duplicates": 480,
            "tokens_beyond_variants": 4000,
            "tokens_kept": kept * 40 - 4480,
        },
    )
    world.publish(
        f"mid-{seed}",
        "model",
        "midtrain",
        {"epochs": 3, "learning_rate": 5e-4, "seed": seed},
        parents={"dataset": f"rows-{seed}", "model": "base"},
        summary={"curve": training_curve(1.1, 0.35, 24, "loss", seed)},
        ledger={
            "examples": kept - 112,
            "completion_tokens": kept * 40 - 4480,
            "trained_tokens": 3 * (kept * 40 - 4480),
        },
    )
    world.publish(
        f"polya-{seed}",
        "model",
        "rl",
        {"steps": 60, "group_size": 16, "learning_rate": 1.5e-4, "arm": "polya", "seed": seed},
        parents={"model": f"mid-{seed}", "prompts": "prompts"},
        summary={"curve": training_curve(0.4, 0.6, 60, "reward", seed + 9)},
        ledger={"prompts_asked": 480, "rollouts": 7680, "correct": 4150, "wrong": 3500, "unparsed": 30},
    )
