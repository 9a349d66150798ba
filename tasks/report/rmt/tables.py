"""From gathered material to the report's numbers and warnings."""

from collections.abc import Iterator, Sequence

from tasks.predict.schema import DIRECT, REASONING
from tasks.predict.tally import EXACT, MEAN, PREFIX
from tasks.report import tables
from tasks.report.rmt import paper
from tasks.report.rmt.claims import claims
from tasks.report.rmt.material import Line, RMTMaterial
from tasks.report.rmt.statistics import accuracy, comparisons, reasoning_tokens
from tasks.report.rmt.summary import PredictionRow, RMTSummary
from tasks.report.summary import ReportSummary
from tasks.shared.next_token.method import TIERS

FEW_DOCUMENTS = 50
MUCH_LOST = 0.05
"""Share of completions without a prediction, or cut, from which it is said."""


def summarise(material: RMTMaterial, store_link: str) -> RMTSummary:
    """All numbers of a report; `store_link` is put before the store's paths in links."""
    config, provenance = material.config, material.provenance
    afterwards = _afterwards(material)
    found, missing = claims(material, afterwards)
    rows = [_row(material, line) for line in material.lines.values()]
    tally = next(iter(material.lines.values())).tally
    samples = {seed.manifest.summary["samples"] for line in material.lines.values() for seed in line.seeds}
    return RMTSummary(
        title=config.title,
        recipe=config.recipe,
        base_model=provenance.base_model,
        notes=list(config.notes),
        warnings=[*_warnings(material, rows, samples), *(afterwards.warnings if afterwards else [])],
        confidence=config.confidence,
        documents=len(tally.documents),
        positions={tier: int(tally.weights[:, index].sum()) for index, tier in enumerate(TIERS)},
        samples=min(samples),
        claims=found,
        not_run=missing,
        rows=rows,
        comparisons=list(comparisons(config, material.lines)),
        afterwards=afterwards,
        paper=list(paper.ACCURACY),
        paper_afterwards=list(paper.AFTERWARDS),
        stages=provenance.stages(store_link),
        finished=max(manifest.created_at for manifest in provenance.manifests),
        commits=provenance.commits,
        versions=provenance.versions,
    )


def _afterwards(material: RMTMaterial) -> ReportSummary | None:
    """The benchmarks' part, its stages and what is said of them left to the whole."""
    if material.evaluations is None:
        return None
    whole = tables.summarise(material.evaluations, "")
    ours = {*material.evaluations.provenance.warnings(), tables.ONE_SEED}
    kept = [warning for warning in whole.warnings if warning not in ours]
    return whole.model_copy(update={"stages": [], "warnings": kept, "versions": {}, "commits": []})


def _row(material: RMTMaterial, line: Line) -> PredictionRow:
    config = material.config
    outcomes = [counts for seed in line.seeds for counts in seed.tally.outcomes.values()]
    total = max(1, sum(counts.total() for counts in outcomes))
    return PredictionRow(
        label=line.label,
        method=line.entry.method,
        checkpoint=line.entry.checkpoint,
        seeds=[seed.entry.seed for seed in line.seeds],
        reasoning=accuracy(config, line, REASONING, EXACT),
        prefix=accuracy(config, line, REASONING, PREFIX),
        direct=accuracy(config, line, DIRECT, EXACT),
        tokens=reasoning_tokens(config, line, MEAN) if MEAN in line.tally.parts else None,
        budget_tokens=line.seeds[0].manifest.summary["budget_tokens"],
        no_prediction_share=sum(counts["no_prediction"] for counts in outcomes) / total,
        truncated_share=sum(counts["truncated"] for counts in outcomes) / total,
    )


def _warnings(material: RMTMaterial, rows: Sequence[PredictionRow], samples: set[int]) -> Iterator[str]:
    tally = next(iter(material.lines.values())).tally
    if len({entry.seed for entry in material.config.entries if entry.arm}) == 1:
        yield tables.ONE_SEED.replace("questions", "documents")
    if len(tally.documents) < FEW_DOCUMENTS:
        yield f"{len(tally.documents)} documents: the intervals are rough."
    if lacking := [tier for tier in TIERS if tier not in tally.tiers]:
        yield f"No position is {' or '.join(lacking)}, so there is no mean over the three tiers; lower the thresholds."
    if len(samples) > 1:
        yield f"Checkpoints were sampled {' and '.join(map(str, sorted(samples)))} times a position."
    for row in rows:
        if row.no_prediction_share > MUCH_LOST:
            yield f"{row.label}: {row.no_prediction_share:.0%} of the completions name no token; they count as wrong."
        if row.truncated_share > MUCH_LOST:
            yield f"{row.label}: {row.truncated_share:.0%} of the completions were cut; they count as wrong."
    yield from material.provenance.warnings()
