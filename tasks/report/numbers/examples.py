"""Examples of a report: completions that stand for many, chosen by their digest and by no hand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from tasks.evaluate.schema import SAMPLES_FILE
from tasks.filter.schema import VERDICTS_FILE
from tasks.report.completions import ExampleSet, ReadCompletion
from tasks.report.numbers.collect import Evaluated, benchmarks
from tasks.report.numbers.provenance import Provenance
from tasks.report.reading import candidates, evaluated, has_rollouts, rollouts
from tasks.shared.tables.parquet import read_columns
from tasks.shared.verification.verdict import TRUNCATED
from tasks.spine.store.fingerprint import digest_text
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.store import ArtifactMissing, Store

HEURISTIC, QUESTION, ROLLOUTS = "heuristic", "question", "rollouts"
OUTCOMES = ("correct", "wrong", TRUNCATED)
"""Fates of which each heuristic shows one completion."""


def examples(
    store: Store, provenance: Provenance, evaluations: Mapping[str, Sequence[Evaluated]]
) -> Iterator[ExampleSet]:
    """Candidates of each heuristic, one question through all models, and rollouts early and late; of the first seeds.

    What is no longer in the store has none, which the lineage says.
    """
    for manifest, used_by in _first_of_arms(provenance, "filtered"):
        with suppress(ArtifactMissing):
            yield from _by_heuristic(store, manifest, used_by)
    with suppress(ArtifactMissing):
        yield from _one_question(store, [seeds[0] for seeds in evaluations.values()])
    for manifest, used_by in _first_of_arms(provenance, "model"):
        if has_rollouts(manifest):
            with suppress(ArtifactMissing):
                yield _early_and_late(manifest, used_by, list(rollouts(store, manifest, str(manifest.ref))))


def _first_of_arms(provenance: Provenance, kind: str) -> Iterator[tuple[Manifest, str]]:
    """Artifacts of a kind, of several seeds the first, with the arms that use each."""
    shown: set[tuple[str, ...]] = set()
    for manifest in provenance.manifests:
        arms = tuple(sorted({entry.arm for entry in provenance.entries_of[manifest.ref] if entry.arm}))
        key = (manifest.stage, *arms)
        if manifest.kind == kind and key not in shown:
            shown.add(key)
            yield manifest, ", ".join(arms)


def _by_heuristic(store: Store, filtered: Manifest, used_by: str) -> Iterator[ExampleSet]:
    columns = ["key", "heuristic", "verdict", "truncated"]
    first: dict[tuple[str, str], tuple[str, int]] = {}
    for place, row in enumerate(read_columns(store.local(filtered.ref) / VERDICTS_FILE, columns).to_pylist()):
        outcome = TRUNCATED if row["truncated"] else row["verdict"]
        if outcome in OUTCOMES:
            mine = (digest_text(row["key"]), place)
            kind = (row["heuristic"], outcome)
            first[kind] = min(first.get(kind, mine), mine)
    found = candidates(store, filtered, [place for _, place in first.values()])
    by_heuristic: dict[str, list[ReadCompletion]] = {}
    for completion in found:
        by_heuristic.setdefault(completion.heuristic, []).append(completion)
    for heuristic, several in sorted(by_heuristic.items()):
        ordered = sorted(several, key=lambda completion: OUTCOMES.index(completion.verdict))
        yield ExampleSet(HEURISTIC, heuristic or "plain prompt", used_by, str(filtered.ref), tuple(ordered))


def _one_question(store: Store, models: Sequence[Evaluated]) -> Iterator[ExampleSet]:
    """The greedy completion, or else the first sample, of every model on a question whose verdicts differ, if any."""
    for benchmark in benchmarks(models)[:1]:
        answers = [_first_samples(store, model, benchmark) for model in models]
        questions = sorted(answers[0], key=digest_text)
        differ = (name for name in questions if len({verdicts[name][1] for verdicts in answers}) > 1)
        chosen = next(differ, questions[0])
        shown = [
            completion
            for model, verdicts in zip(models, answers, strict=True)
            for completion in evaluated(store, model.manifest, model.entry.label, [verdicts[chosen][0]])
        ]
        yield ExampleSet(QUESTION, benchmark, "", str(models[-1].manifest.ref), tuple(shown))


def _first_samples(store: Store, model: Evaluated, benchmark: str) -> dict[str, tuple[int, str]]:
    """Place and verdict of each question's first sample; rows are sorted by question and sample."""
    columns = ["benchmark", "question_id", "verdict"]
    found: dict[str, tuple[int, str]] = {}
    for place, row in enumerate(read_columns(store.local(model.manifest.ref) / SAMPLES_FILE, columns).to_pylist()):
        if row["benchmark"] == benchmark:
            found.setdefault(row["question_id"], (place, row["verdict"]))
    return found


def _early_and_late(model: Manifest, used_by: str, kept: Sequence[ReadCompletion]) -> ExampleSet:
    """From the first and the last batch with kept rollouts, the ones with the highest and the lowest reward."""
    steps = dict.fromkeys((kept[0].step, kept[-1].step))
    shown = [row for step in steps for row in _extremes(row for row in kept if row.step == step)]
    return ExampleSet(ROLLOUTS, model.stage, used_by, str(model.ref), tuple(shown))


def _extremes(batch: Iterable[ReadCompletion]) -> list[ReadCompletion]:
    ordered = sorted(batch, key=lambda row: row.reward or 0.0)
    return ordered[::-1] if len(ordered) < 2 else [ordered[-1], ordered[0]]
