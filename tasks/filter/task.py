"""Filtering as a Prefect task: verify every sample, score the correct ones, keep the best of each kind."""

from collections.abc import Iterator

from tasks.filter.accidents import Accidents
from tasks.filter.adherence.scores import scores
from tasks.filter.arithmetic.equations import check
from tasks.filter.config import FilterConfig
from tasks.filter.endings import new_problem
from tasks.filter.schema import (
    CHECKED,
    KEPT,
    KEPT_FILE,
    VERDICTS,
    VERDICTS_FILE,
    WRONG_FILE,
)
from tasks.filter.select import FilterTally
from tasks.filter.tables import Deciding, Tables, chosen_rows, to_score, verdict_rows
from tasks.shared.engines.prompt_form import form_of
from tasks.shared.sampling.schema import SAMPLES_FILE
from tasks.shared.tables.parquet import Row, count_rows, read_rows, write_parquet
from tasks.shared.verification.pool import VerifierPool
from tasks.shared.verification.verdict import verdicts_in_words
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

FILTER = Stage("filter", version=5, kind="filtered")
REPORT_EVERY = 200
"""Verdicts between two progress lines."""


@stage_task(FILTER)
def filter_solutions(build: Build, config: FilterConfig) -> None:
    """One verdict per sample of the parent `samples`; the best correct ones and, for the ablation, the best wrong ones.

    Other parents: `questions` with the gold answers, and the `model` that wrote the samples and scores their adherence,
    or beside it the `reward_model` that does.
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
    adherence = scores(build, config.scorer, to_score(tables, config), tables.form)
    deciding = Deciding(config, adherence, accidents)
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
