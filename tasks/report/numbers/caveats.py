"""What a reader has to know before taking a report's numbers for more than they are."""

from collections.abc import Iterator, Sequence

from tasks.decontaminate.config import DecontaminateConfig
from tasks.report.numbers.inputs import ReportInputs
from tasks.report.rows import CLEAN, ModelRow, PredictionRow, lost_share_warnings
from tasks.shared.next_token.method import TIERS

STAGE = DecontaminateConfig.STAGE
FEW = 50
"""Questions or documents below which intervals are rough."""


def caveats(
    inputs: ReportInputs, models: Sequence[ModelRow], shared: Sequence[str], predicted: Sequence[PredictionRow]
) -> Iterator[str]:
    """The warnings in the order in which they are read; `shared` are the benchmarks that all models have."""
    seeds = {entry.seed for entry in inputs.config.entries if entry.is_trained}
    if len(seeds) == 1 and (inputs.config.comparisons or predicted):
        units = "documents" if predicted else "questions"
        yield (
            f"One training seed: the intervals cover the choice of {units} and not the luck of training. "
            "Compare several seeds to see both."
        )
    if predicted:
        yield from _of_predictions(inputs, predicted)
        yield from _of_held_out(inputs)
    every = {name for seeds in inputs.evaluations.values() for seed in seeds for name in seed.benchmarks}
    if left_out := sorted(every - set(shared)):
        yield f"Not every model was measured on {', '.join(left_out)}; left out of the tables."
    for row in models:
        where = f"{row.label} on {row.benchmark}"
        if row.questions < FEW and row.label == models[0].label:
            yield f"{row.benchmark} has {row.questions} questions: its intervals are rough."
        yield from lost_share_warnings(
            where, truncated=row.truncated_share, unread=row.unparsed_share, empty=row.empty_share
        )
        if row.overlapping and row.label == models[0].label:
            yield (
                f"{row.overlapping} of {row.questions} questions of {row.benchmark} share text with training questions "
                f"(listed by the stage decontaminate); {CLEAN} counts the others."
            )
    yield from inputs.provenance.warnings()


def _of_predictions(inputs: ReportInputs, rows: Sequence[PredictionRow]) -> Iterator[str]:
    lines = list(inputs.predictions.values())
    tally = lines[0].tally
    if len(tally.documents) < FEW:
        yield f"{len(tally.documents)} documents: the intervals are rough."
    if lacking := [tier for tier in TIERS if tier not in tally.tiers]:
        yield f"No position is {' or '.join(lacking)}, so there is no mean over the three tiers; lower the thresholds."
    samples = {seed.manifest.summary["samples"] for line in lines for seed in line.seeds}
    if len(samples) > 1:
        yield f"Checkpoints were sampled {' and '.join(map(str, sorted(samples)))} times a position."
    for row in rows:
        yield from lost_share_warnings(
            row.label, truncated=row.truncated_share, unread=row.no_prediction_share, what="name no token"
        )


def _of_held_out(inputs: ReportInputs) -> Iterator[str]:
    seen = [item.summary.get("held_out") for item in inputs.provenance.manifests if item.stage == STAGE]
    for held_out in filter(None, seen):
        if held_out["overlapping"]:
            yield (
                f"{held_out['overlapping']} of {held_out['documents']} held-out documents share a run of words with "
                "documents that are trained on (the stage decontaminate names some in its manifest)."
            )
