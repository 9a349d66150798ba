"""Evaluation as a Prefect task: samples from the pool, verdicts, statistics, one record for every completion."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.schema import EVALUATED, SAMPLES_FILE, SCORES_FILE
from tasks.evaluate.score import score
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.sampler import SampleSet, generate_missing, rows, want
from tasks.shared.sampling.wanted import plain_prompts
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.shared.verification.pool import VerifierPool
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.stage.worker import write_json

EVALUATE = Stage("evaluate", version=1, kind="evaluation", pool="gpu")
ROLE = "questions."
"""Parents of this stage are `model` and, for each benchmark, `questions.<name>`."""


@stage_task(EVALUATE)
def measure(build: Build, config: EvaluateConfig) -> None:
    """Sample every benchmark question, grade every completion, compute pass@k and greedy accuracy with intervals."""
    renderer = Renderer.for_model(config.prompt, build.path("model"))
    sets = {name: _wanted(build, config, name, renderer) for name in config.benchmarks}
    generate_missing(build, list(chain.from_iterable(sets.values())), as_messages=renderer.style == "message")
    target = build.out / SAMPLES_FILE
    write_parquet(_graded(build, config, sets), target, EVALUATED)
    summary = score(read_rows(target), config)
    write_json(build.out / SCORES_FILE, summary)
    build.record(rows=_counts(target), summary=summary)


def _questions(build: Build, benchmark: str) -> Path:
    return build.path(ROLE + benchmark) / QUESTIONS_FILE


def _wanted(build: Build, config: EvaluateConfig, benchmark: str, renderer: Renderer) -> list[SampleSet]:
    """The sampled completions of a benchmark, and the greedy ones if asked for."""
    path = _questions(build, benchmark)
    samplings = {"samples": config.sampling}
    if config.greedy:
        samplings["greedy"] = config.sampling.model_copy(update={"temperature": 0.0, "top_p": 1.0, "top_k": 0})
    sets = []
    for name, sampling in samplings.items():
        asked = ((row["id"], row["question"]) for row in read_rows(path, ["id", "question"]))
        prompts = plain_prompts(asked, renderer)
        samples = want(
            build, f"{benchmark}-{name}", prompts, sampling=sampling, num_samples=config.samples, seed=config.seed
        )
        sets.append(samples)
    return sets


def _graded(build: Build, config: EvaluateConfig, sets: dict[str, list[SampleSet]]) -> Iterator[Row]:
    """Every completion with its verdict; a truncated one has no final answer, whatever it contains."""
    total = sum(item.num_rows for several in sets.values() for item in several)
    done = 0
    runtime = build.runtime
    with VerifierPool(
        runtime.num_verifiers, memory_mb=runtime.verifier_memory_mb, config=config.verification
    ) as verifiers:
        for benchmark, several in sets.items():
            questions = {row["id"]: row for row in read_rows(_questions(build, benchmark), ["id", "answer", "meta"])}
            samples = sorted(chain.from_iterable(map(rows, several)), key=_order)
            pairs = ((_answerable(row), questions[row["question_id"]]["answer"]) for row in samples)
            for row, verdict in zip(samples, verifiers.stream(pairs), strict=True):
                done += 1
                if done % 200 == 0 or done == total:
                    build.progress(done, total, "answers checked")
                yield {
                    "benchmark": benchmark,
                    "verdict": verdict.verdict,
                    "extracted": verdict.extracted,
                    "meta": questions[row["question_id"]]["meta"],
                    **{key: row[key] for key in EVALUATED.names if key in row},
                }


def _order(row: Row) -> tuple[str, int]:
    return row["question_id"], row["sample_index"]


def _answerable(row: Row) -> str:
    return row["completion"] if row["finish_reason"] == "stop" else ""


def _counts(path: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in read_rows(path, ["benchmark"]):
        counts[row["benchmark"]] = counts.get(row["benchmark"], 0) + 1
    return counts
