"""A store as a comparison of reinforcement mid-training leaves it, with predictions drawn from known rates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.schema import EVALUATED, SAMPLES_FILE
from tasks.evaluate.score import score as score_benchmarks
from tasks.predict.config import PredictConfig
from tasks.predict.schema import DIRECT, PREDICTIONS, PREDICTIONS_FILE, REASONING
from tasks.predict.score import ledger, score
from tasks.predict.tally import read_tally
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
from tasks.report.config import ReportConfig, ReportEntry
from tasks.schedule.config import ScheduleConfig
from tasks.shared.next_token.method import TIERS
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.report_worlds import World, answers, asked_questions

BENCHMARK = "tiny-test"


@dataclass(frozen=True)
class Made:
    """How good a checkpoint is made to be."""

    label: str
    reasoning: float
    """Mean accuracy with reasoning; easy and hard tokens lie 0.15 above and below."""
    tokens: int
    method: str = ""
    direct: float = 0.4
    budget: int = 0
    afterwards: float = 0.4


ARMS = {
    "ntp": Made("NTP", 0.41, 30, "ntp", direct=0.5, afterwards=0.42),
    "rpt": Made("RPT", 0.46, 60, "rpt", afterwards=0.45),
    "rmt": Made("RMT", 0.62, 16, "rmt", direct=0.46, budget=16, afterwards=0.55),
    "no-budget": Made("RMT without budget", 0.56, 60, "no-budget"),
    "no-curriculum": Made("RMT without curriculum", 0.6, 17, "no-curriculum", budget=16),
    "no-ntp": Made("RMT without NTP", 0.55, 17, "no-ntp", budget=16),
    "rollout-sft": Made("Rollout SFT", 0.57, 22, "rollout-sft", budget=16),
}
BLOCKS = [
    {"first_step": step, "last_step": step + 9, "easy": 60 - step, "medium": 40, "hard": step, "fallbacks": 0}
    for step in range(0, 60, 10)
]
"""Positions of a schedule by tier, in blocks of ten steps."""
BASE = Made("Untrained (NTR)", 0.4, 38, "ntr", afterwards=0.4)
CONTROLS = ("Untrained (NTR)", "RPT", "RMT without budget", "RMT without curriculum", "RMT without NTP")


@dataclass
class RMTWorld:
    """What was published, and the report's configuration and parents."""

    world: World
    entries: list[ReportEntry] = field(default_factory=list)

    def config(self, **changes: Any) -> ReportConfig:
        """The report of everything that was measured."""
        known = {entry.label for entry in self.entries}
        values: dict[str, Any] = {
            "title": "Reinforcement mid-training: tiny-cpu-rmt",
            "recipe": "tiny-cpu-rmt",
            "notes": ("The small world was built so that reasoning has something to find.",),
            "entries": tuple(self.entries),
            "comparisons": tuple((control, "RMT") for control in CONTROLS if {control, "RMT"} <= known),
            "against_direct": ((BASE.label, "RMT"),),
            "resamples": 400,
        }
        return ReportConfig(**(values | changes))


def predicted(made: Made, seed: int, *, documents: int, per_tier: int, samples: int) -> Iterator[dict[str, Any]]:
    """Predictions at the same positions whatever was made; documents have an ease of their own."""
    places = np.random.default_rng(99)
    draw = np.random.default_rng([seed, *made.label.encode()])
    ease = np.random.default_rng(7).normal(0, 0.12, documents)
    at: list[tuple[int, int, str]] = []
    for tier in TIERS:
        rows = places.integers(0, documents, per_tier)
        at += [(int(row), 3 * index + TIERS.index(tier), tier) for index, row in enumerate(rows)]
    for row, position, tier in sorted(at):
        shift = {"easy": 0.15, "medium": 0.0, "hard": -0.15}[tier] + ease[row]
        for mode, rate, count in ((DIRECT, made.direct, 1), (REASONING, made.reasoning, samples)):
            for index in range(count):
                right = bool(draw.random() < np.clip(rate + shift, 0.02, 0.98))
                lost = mode == REASONING and not right and draw.random() < 0.08
                yield {
                    "document_id": f"{row:016x}",
                    "position": position,
                    "tier": tier,
                    "mode": mode,
                    "sample_index": -1 if mode == DIRECT else index,
                    "predicted": "" if lost else "4",
                    "correct": right,
                    "prefix_correct": right or (not lost and draw.random() < 0.05),
                    "outcome": "right" if right else ("truncated" if lost else "wrong"),
                    "reasoning_tokens": -1 if mode == DIRECT else max(1, int(draw.normal(made.tokens, 4))),
                    "completion": "" if mode == DIRECT else "30+4=34</think>4",
                }


def curve(made: Made, seed: int, steps: int) -> list[dict[str, float]]:
    """What a trainer reports of every step."""
    noise = np.random.default_rng([seed, *made.label.encode()])
    points = []
    for step in range(steps):
        done = step / steps
        learnt = 0.4 + (made.reasoning - 0.4) * (1 - np.exp(-4 * done))
        budget = float(int(80 * 0.2**done)) if made.budget else 0.0
        length = (budget or made.tokens) * (1 + 0.4 * np.exp(-6 * done)) + noise.normal(0, 2)
        ntp = 0.0 if made.method in ("rpt", "no-ntp") else 900.0
        point = {
            "step": float(step),
            "loss_rl": float(noise.normal(0, 0.02)),
            "reward": learnt,
            "match": learnt + float(noise.normal(0, 0.03)),
            **{f"match_{tier}": learnt + 0.15 * (1 - i) + float(noise.normal(0, 0.05)) for i, tier in enumerate(TIERS)},
            "length_reward": 0.5,
            "reasoning_tokens": float(length),
            "budget_tokens": budget,
            "rl_tokens": 8 * float(length) * 16,
            "ntp_tokens": ntp,
            "rl_token_share": 8 * float(length) * 16 / (8 * float(length) * 16 + ntp),
            "truncated": 0.01,
            "no_prediction": 0.02,
            "step_s": 1.5,
        }
        if ntp:
            point["loss_ntp"] = 1.4 - 0.2 * done + float(noise.normal(0, 0.02))
        if made.method == "ntp":
            point = {name: point[name] for name in ("step", "loss_ntp", "ntp_tokens", "step_s")}
        points.append(point)
    return points


def build_rmt_world(
    folder: Path,
    *,
    arms: Sequence[str] = tuple(ARMS),
    seeds: Sequence[int] = (0,),
    documents: int = 120,
    per_tier: int = 240,
    samples: int = 4,
    afterwards: bool = True,
) -> RMTWorld:
    """Publish a whole comparison through the real store."""
    world = World(Store.open(Settings(home=folder / "home")), folder / "made")
    found = RMTWorld(world)
    _publish_texts(world)
    sizes = {"documents": documents, "per_tier": per_tier, "samples": samples}
    # The untrained model is an arm too, measured once for all seeds.
    base = ReportEntry(label=BASE.label, arm="ntr", method="ntr", checkpoint="base", prediction="prediction-base")
    _predict(found, "base", BASE, base, sizes)
    for seed in seeds:
        for arm in arms:
            _arm(found, arm, seed, sizes)
        if afterwards:
            _evaluate(found, "base", BASE, "", seed)
            for arm in (arm for arm in arms if arm in ("ntp", "rpt", "rmt")):
                _evaluate(found, f"{arm}-{seed}", ARMS[arm], arm, seed)
    return found


def _publish_texts(world: World) -> None:
    world.publish("base", "model", "model", summary={"source": "embedded"}, rows={"parameters": 935_040})
    ledger = {"read": 4000, "train": 3600, "evaluation": 400, "rejected": 0}
    world.publish("texts", "texts", "texts", summary={"label": "tiny"}, ledger=ledger)
    random = np.random.default_rng(0)
    counts = {
        split: np.bincount(random.exponential(14, 20_000).astype(int)).tolist() for split in ("train", "evaluation")
    }
    ledger = {"read": 4000, "train_documents": 3600, "evaluation_documents": 398, "rejected": 2}
    kept = {"read": 3600, "kept": 3599, "overlapping": 1}
    held_out = {"documents": 400, "overlapping": 3, "listed": []}
    clean = {"ledger": kept, "rows": {"overlaps": 0}, "summary": {"label": "tiny", "held_out": held_out}}
    world.publish("clean", "texts", "decontaminate", parents={"texts": "texts"}, **clean)
    parents = {"texts": "clean", "model": "base"}
    summary = {"positions": 640_000, "histogram": {"bins_per_nat": 20, **counts}}
    world.publish("entropy", "entropy", "entropy", parents=parents, ledger=ledger, summary=summary)
    world.table(BENCHMARK, QUESTIONS_FILE, QUESTIONS, asked_questions(80))
    world.publish(BENCHMARK, "questions", "questions", summary={"label": "tiny"}, ledger={"read": 80, "kept": 80})


def _arm(found: RMTWorld, arm: str, seed: int, sizes: dict[str, int]) -> None:
    world, made = found.world, ARMS[arm]
    schedule = f"schedule-{arm}-{seed}"
    config = ScheduleConfig(seed=len(world.made))
    parents = {"entropy": "entropy", "model": "base"}
    world.publish(schedule, "schedule", "schedule", config, parents=parents, summary={"steps": 60, "blocks": BLOCKS})
    rollouts = {"rollouts": 7680, "right": 4000, "wrong": 3500, "no_prediction": 120, "truncated": 60}
    world.publish(
        f"{arm}-{seed}",
        "model",
        "rmt_train",
        {"objective": "ntp" if arm == "ntp" else "grpo", "ntp_weight": 0.1, "arm": arm, "seed": seed},
        parents={"schedule": schedule, "model": "base"},
        summary={"curve": curve(made, seed, 60)},
        ledger=rollouts if arm != "ntp" else {"ntp_tokens": 54_000},
    )
    role = f"prediction-{arm}-{seed}"
    entry = ReportEntry(
        label=made.label, arm=arm, method=made.method, checkpoint="midtrained", seed=seed, prediction=role
    )
    _predict(found, f"{arm}-{seed}", made, entry, sizes)


def _predict(found: RMTWorld, model: str, made: Made, entry: ReportEntry, sizes: dict[str, int]) -> None:
    world, name = found.world, entry.prediction
    config = PredictConfig(samples=sizes["samples"], budget_tokens=made.budget, resamples=200)
    rows = predicted(made, entry.seed, **sizes)
    write_parquet(rows, world.folder / name / PREDICTIONS_FILE, PREDICTIONS)
    tally = read_tally(world.folder / name)
    world.publish(
        name,
        "prediction",
        "predict",
        {"budget_tokens": made.budget, "of": model, **sizes},
        parents={"entropy": "entropy", "model": model},
        summary=score(tally, config),
        ledger=ledger(tally),
    )
    found.entries.append(entry)
    world.parents[name] = world.made[name].ref


def _evaluate(found: RMTWorld, model: str, made: Made, arm: str, seed: int) -> None:
    world = found.world
    name, policy = f"evaluation-rl-{arm or 'base'}-{seed}", f"rl-{arm or 'base'}-{seed}"
    points = [{"step": float(step), "reward": 0.3 + 0.002 * step} for step in range(40)]
    config = {"of": model, "seed": seed}
    world.publish(policy, "model", "rl", config, parents={"model": model}, summary={"curve": points})
    rows = answers(name, made.afterwards, benchmarks={BENCHMARK: 80}, samples=8, seed=seed, styles=False)
    path = world.folder / name / SAMPLES_FILE
    write_parquet(rows, path, EVALUATED)
    summary = score_benchmarks(read_rows(path), EvaluateConfig(samples=8, resamples=200))
    parents = {"model": policy, f"questions.{BENCHMARK}": BENCHMARK}
    world.publish(name, "evaluation", "evaluate", {"samples": 8, "of": policy}, parents=parents, summary=summary)
    entry = ReportEntry(
        label=made.label, arm=arm or "base", method=made.method, checkpoint="rl", seed=seed, evaluation=name
    )
    found.entries.append(entry)
    world.parents[name] = world.made[name].ref
