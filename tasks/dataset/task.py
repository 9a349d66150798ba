"""The materialising stages as Prefect tasks."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from tasks.dataset.card import dataset_card
from tasks.dataset.config import DatasetConfig, PromptSetConfig
from tasks.dataset.diversity import diversity
from tasks.dataset.materialize import EXAMPLES, DatasetTally, NothingToTrainOn, write_prompts, write_solutions
from tasks.dataset.schema import CARD_FILE, RL_FILE, TRAIN_FILE
from tasks.errors import Permanent
from tasks.filter.outcome import by_heuristic, outcome
from tasks.filter.task import FILTER
from tasks.shared.engines.prompt_form import form_of
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.prompts.render import Renderer
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.store.fingerprint import canonical_json

DATASET = Stage("dataset", version=2, kind="dataset")
RL_PROMPTS = Stage("rl_prompts", version=1, kind="dataset")

CANDIDATES = {"correct": "kept.parquet", "wrong": "wrong.parquet"}


@stage_task(DATASET)
def write_dataset(build: Build, config: DatasetConfig) -> None:
    """The mid-training set from the parent `kept` (filtering); the parent `model` says which chat template applies."""
    renderer = _renderer(build, config.prompt)
    candidates = build.path("kept") / CANDIDATES[config.verdict]
    try:
        texts = {"prompt": renderer.plain, "completion": partial(_completion, renderer, _opened_thought(build))}
        tally = write_solutions(config, candidates, build.out, build.work / "tables", **texts)
    except NothingToTrainOn as error:
        raise NothingToTrainOn(_with_outcome(str(error), build)) from None
    measured = diversity(build.out / TRAIN_FILE, config)
    _write_training_card(build, config, tally, measured)
    build.record(
        rows={"train": tally.rows["kept"], "questions": tally.questions},
        ledger=tally.ledger(),
        summary={
            **renderer.form.summary(),
            "diversity": measured,
            "heuristics": dict(tally.heuristics),
            "ranks": {str(rank): n for rank, n in tally.ranks.items()},
        },
    )


@stage_task(RL_PROMPTS)
def write_rl_prompts(build: Build, config: PromptSetConfig) -> None:
    """The RL question set from the parent `questions`; the parent `model` says which chat template applies."""
    renderer = _renderer(build, config.prompt)
    questions = build.path("questions") / "questions.parquet"
    ledger = write_prompts(config, questions, build.out, prompt=renderer.plain)
    examples = [row for row, _ in zip(read_rows(build.out / RL_FILE), range(EXAMPLES), strict=False)]
    card = dataset_card(
        title="Questions for RL",
        about="One prompt a row, with the gold answer that a completion's final answer is compared with.",
        file=RL_FILE,
        rows=ledger["kept"],
        licence=config.licence,
        counts={"questions": ledger["kept"]},
        ledger=ledger,
        heuristics={},
        by_accident={},
        diversity={},
        examples=examples,
        lineage=_lineage(build),
        config_json=canonical_json(config),
    )
    (build.out / CARD_FILE).write_text(card)
    build.record(rows={"questions": ledger["kept"]}, ledger=ledger, summary=renderer.form.summary())


def _write_training_card(build: Build, config: DatasetConfig, tally: DatasetTally, measured: Mapping[str, Any]) -> None:
    of_rank = {f"rows of rank {rank}": count for rank, count in sorted(tally.ranks.items())}
    counts = {"rows": tally.rows["kept"], "questions": tally.questions, **of_rank}
    own = _is_self_generated(build)
    origin = "a model wrote itself under several heuristics" if own else "were there already"
    card = dataset_card(
        title="Self-generated diverse solutions" if own else "Solutions for mid-training",
        about=(
            f"Solutions with {config.verdict} final answers that {origin}, "
            f"at most {config.variants} a question. The prompt does not name the heuristic. Sets are nested: "
            "the set with n variants is the rows with rank < n."
        ),
        file=TRAIN_FILE,
        rows=tally.rows["kept"],
        licence=config.licence,
        counts=counts,
        ledger=tally.ledger(),
        heuristics=tally.heuristics,
        by_accident=_by_accident(build),
        diversity=measured,
        examples=tally.examples,
        lineage=_lineage(build),
        config_json=canonical_json(config),
    )
    (build.out / CARD_FILE).write_text(card)


def _renderer(build: Build, prompt: PromptConfig) -> Renderer:
    """Prompts exactly as the model that will be trained sees them."""
    if "model" in build.parents:
        return Renderer.for_model(prompt, build.path("model"), trust_remote_code=build.runtime.trust_remote_code)
    if prompt.style == "auto":
        raise Permanent(
            "prompt.style is 'auto', which depends on the model's chat template, and no model was passed; "
            "pass model=..., or set prompt.style to 'plain'"
        )
    return Renderer(prompt)


def _is_self_generated(build: Build) -> bool:
    """Whether a model wrote the solutions here; otherwise they were read."""
    kept = build.parent("kept")
    samples = build.store.manifest(kept.parents["samples"]) if "samples" in kept.parents else None
    return samples is None or not samples.payload["config"].get("solutions")


def _opened_thought(build: Build) -> str:
    """Mark of the thought that the solutions were begun in, where their prompts ended with one; as far as is known."""
    kept = build.parent("kept")
    if "samples" not in kept.parents:
        return ""
    return form_of(build.store.manifest(kept.parents["samples"])).opened_thought


def _completion(renderer: Renderer, opened: str, text: str) -> str:
    """A solution as it has to follow the trained model's prompt: a teacher's thought begins where its prompt ended."""
    return renderer.completion(text if opened == renderer.form.opened_thought else opened + text)


def _with_outcome(message: str, build: Build) -> str:
    """The message after what filtering found and before its table, as far as the manifests tell."""
    kept = build.parent("kept")
    if kept.stage != FILTER.name:
        return message
    samples = build.store.manifest(kept.parents["samples"])
    return "\n".join([f"{outcome(kept.ledger, samples.payload)}; {message}", *by_heuristic(kept.summary["heuristics"])])


def _by_accident(build: Build) -> dict[str, str]:
    """How many samples of each heuristic were right, and how many by accident, among those that filtering judged.

    Wrong chains hit the gold of another question so often, counted over the same samples.
    """
    numbers = build.parent("kept").summary.get("heuristics", {})
    found = {name: counts.get("accidents", {}) for name, counts in numbers.items()}
    return {
        name: f"{accidents['expected']:.1f} of {accidents['right']}"
        for name, accidents in found.items()
        if accidents.get("expected") is not None
    }


def _lineage(build: Build) -> Mapping[str, Any]:
    return {role: f"{parent} {parent.digest}" for role, parent in sorted(build.parents.items())}
