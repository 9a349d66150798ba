"""Filtering as a Prefect task: verify every sample, score the correct ones, keep the best of each kind."""

import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tasks.filter.accidents import Accidents
from tasks.filter.arithmetic.equations import check
from tasks.filter.config import CHUNK_REQUESTS, FilterConfig, LikelihoodRatioScorer, ScoringJob
from tasks.filter.endings import new_problem
from tasks.filter.schema import (
    CHECKED,
    KEPT,
    KEPT_FILE,
    TO_SCORE,
    VERDICTS,
    VERDICTS_FILE,
    WRONG_FILE,
)
from tasks.filter.select import FilterTally
from tasks.filter.tables import Deciding, Tables, chosen_rows, to_score, verdict_rows
from tasks.shared.engines.prompt_form import form_of
from tasks.shared.sampling.schema import SAMPLES_FILE
from tasks.shared.sampling.wanted import Part
from tasks.shared.tables.parquet import Row, count_rows, read_rows, write_parquet
from tasks.shared.verification.pool import VerifierPool
from tasks.shared.verification.verdict import verdicts_in_words
from tasks.spine.stage.call import Stage
from tasks.spine.stage.gpus import shards_here, workers_at_once
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

FILTER = Stage("filter", version=5, kind="filtered")
WORKER = "tasks.filter.worker"
REPORT_EVERY = 200
"""Verdicts between two progress lines."""


@stage_task(FILTER)
def filter_solutions(build: Build, config: FilterConfig) -> None:
    """One verdict per sample of the parent `samples`; the best correct ones and, for the ablation, the best wrong ones.

    Other parents: `questions` with the gold answers, and the `model` that wrote the samples and scores their adherence.
    """
    form = form_of(build.parent("samples"))
    asked = build.parent("samples").payload.get("config", {}).get("prompt", {})
    tables = Tables(
        build.path("samples"),
        build.path("questions"),
        build.work / "checked.parquet",
        form,
        answer_forms=config.verification.extraction,
        marks=new_problem(asked.get("example_template", "")),
    )
    generated = write_parquet(_checked(build, config, tables), tables.checked, CHECKED)
    accidents = Accidents({question: answer for question, (_, answer) in tables.gold.items()}, tables.judged())
    deciding = Deciding(config, _scores(build, config, tables), accidents)
    tally = FilterTally()
    rows = verdict_rows(deciding.decisions(tables), tally)
    write_parquet(rows, build.out / VERDICTS_FILE, VERDICTS, sorted_by=["question_id"])
    counts = {
        name: write_parquet(
            chosen_rows(tables, deciding, wrong=name == WRONG_FILE),
            build.out / name,
            KEPT,
            sorted_by=["question_id"],
        )
        for name in (KEPT_FILE, WRONG_FILE)
    }
    ledger = tally.ledger(generated)
    heuristics = tally.summary()
    for name, numbers in heuristics.items():
        numbers["accidents"] = accidents.estimate(name).summary()
    together = accidents.estimate()
    build.record(
        rows={"verdicts": generated, "kept": counts[KEPT_FILE], "wrong": counts[WRONG_FILE]},
        ledger=ledger,
        facts={"verdicts": verdicts_in_words(ledger), "right by accident": str(together)},
        summary={
            "heuristics": heuristics,
            "endings": dict(tally.endings),
            "accidents": together.summary(),
            "scorer": config.scorer.type,
        },
    )


def _checked(build: Build, config: FilterConfig, tables: Tables) -> Iterator[Row]:
    """Verdicts in the order of the samples, from killable processes."""
    path = tables.samples / SAMPLES_FILE
    total = count_rows(path)
    samples = read_rows(path, ["key", "completion", "finish_reason"])
    runtime = build.runtime
    with VerifierPool(
        runtime.num_verifiers, memory_mb=runtime.verifier_memory_mb, config=config.verification
    ) as verifiers:
        verdicts = zip(samples, verifiers.stream(tables.pairs()), strict=True)
        for done, (sample, verdict) in enumerate(verdicts, start=1):
            if done % REPORT_EVERY == 0 or done == total:
                build.progress(done, total, "answers checked")
            kind, chars = tables.ending(sample)
            yield {
                "key": sample["key"],
                "verdict": verdict.verdict,
                "extracted": verdict.extracted,
                "ending": kind,
                "solution_chars": chars,
                "arithmetic": check(sample["completion"][:chars]).score,
            }


def _scores(build: Build, config: FilterConfig, tables: Tables) -> dict[str, float]:
    """Adherence by sample key; what a killed run has scored already is not scored again."""
    requests = build.work / "to_score.parquet"
    if not isinstance(config.scorer, LikelihoodRatioScorer):
        return {}
    waiting = write_parquet(to_score(tables, config), requests, TO_SCORE)
    if not waiting:
        return {}
    folder: Path = build.work / "scores"
    folder.mkdir(exist_ok=True)
    runtime = build.runtime
    workers = min(shards_here(runtime), workers_at_once(runtime), math.ceil(waiting / CHUNK_REQUESTS))
    job = ScoringJob(
        scorer=config.scorer,
        model=build.path("model"),
        requests=requests,
        scores=folder,
        form=tables.form,
        runtime=runtime,
    )
    parts = [job.model_copy(update={"part": Part(index, workers)}) for index in range(workers)]
    build.workers(WORKER, parts, name="scoring")
    rows = chain.from_iterable(read_rows(file, ["key", "adherence"]) for file in folder.glob("*.parquet"))
    return {row["key"]: row["adherence"] for row in rows}
