"""Generation as a Prefect task: samples of every question under every heuristic, from the pool."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tasks.generate.config import GenerateConfig, ReadySolutions
from tasks.generate.heuristics import Heuristic, heuristic_prompts, load_heuristics
from tasks.generate.ready import resolve, write_samples
from tasks.generate.rounds import QUESTIONS, Rounds
from tasks.propose.schema import PROPOSALS_FILE
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.engines.tokens import encode_prompts, load_tokenizer
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.schema import PROMPTS, PROMPTS_FILE, REJECTED, SAMPLES, SAMPLES_FILE, TRUNCATED
from tasks.shared.sampling.wanted import Prompt, Question, Wanted
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime

GENERATE = Stage("generate", version=4, kind="samples", pool="gpu")
PROPOSALS = "proposals"
"""Role of the parent with what stands in the place of heuristics, where there is one."""


def wanted_samples(build: Build, config: GenerateConfig) -> Wanted[Question]:
    """Candidates for the solution of every question under every heuristic, round by round where they stop early."""
    return _rounds(build, config, _renderer(build, config)).first()


def _rounds(build: Build, config: GenerateConfig, renderer: Renderer) -> Rounds:
    return Rounds(_wanted(build, config, renderer), config.early_stop, config.verification)


def _renderer(build: Build, config: GenerateConfig) -> Renderer:
    return Renderer.for_model(config.prompt, build.path("model"), trust_remote_code=build.runtime.trust_remote_code)


def _wanted(build: Build, config: GenerateConfig, renderer: Renderer) -> Wanted[Question]:
    rows = read_rows(build.path(QUESTIONS) / QUESTIONS_FILE, ["id", "question"])
    own = _proposed(build)
    heuristics = () if own else load_heuristics(config.heuristics)
    stops = tuple(dict.fromkeys((*config.sampling.stop, *renderer.stops(heuristics))))

    def render(question: Question) -> list[Prompt]:
        return heuristic_prompts(question, own.get(question[0], ()) if own else heuristics, renderer)

    return Wanted(
        sources={QUESTIONS: ((row["id"], row["question"]) for row in rows)},
        render=render,
        samplings=(config.sampling.model_copy(update={"stop": stops}),),
        num_samples=config.samples_per_heuristic,
        seed=config.seed,
        form=renderer.form,
    )


def _proposed(build: Build) -> dict[str, list[Heuristic]]:
    """What stands in the place of heuristics, by question, where the model has proposed it."""
    own: dict[str, list[Heuristic]] = {}
    if PROPOSALS in build.parents:
        for row in read_rows(build.path(PROPOSALS) / PROPOSALS_FILE):
            own.setdefault(row["question_id"], []).append(Heuristic(name=row["name"], instruction=row["instruction"]))
    return own


def generate_samples(
    config: GenerateConfig, runtime: Runtime, *, force: bool = False, label: str = "", **parents: ArtifactRef
) -> ArtifactRef:
    """The samples as an artifact; a source of ready ones is hashed first, so that a changed file is a miss."""
    return assemble(resolve(config), runtime, force=force, label=label, **parents)


@stage_task(GENERATE)
def assemble(build: Build, config: GenerateConfig) -> None:
    """All samples in order from the pool, which a worker fills first where it lacks some; and every prompt.

    Ready solutions are read in their place. The config must have been resolved; flows call `generate_samples`.
    """
    renderer = _renderer(build, config)
    if config.solutions:
        _take_ready(build, config.solutions, renderer)
        return
    samples = _rounds(build, config, renderer).draw(build)
    tally = _Tally()
    rows = tally.counted(samples.rows())
    count = write_parquet(rows, build.out / SAMPLES_FILE, SAMPLES, sorted_by=["question_id"])
    shown = _prompt_rows(samples.prompts(), renderer)
    prompts = write_parquet(shown, build.out / PROMPTS_FILE, PROMPTS, sorted_by=["question_id"])
    truncated, rejected = tally.truncated.total(), tally.rejected
    stopped = {"wanted": samples.wanted, "spared": samples.wanted - count} if config.early_stop else {}
    build.record(
        rows={"samples": count, "prompts": prompts},
        ledger={
            **stopped,
            "generated": count,
            "truncated": truncated,
            "rejected": rejected,
            "complete": count - truncated - rejected,
        },
        facts={"heuristics": _in_words(config)},
        summary={
            **renderer.form.summary(),
            "heuristics": tally.by_heuristic(),
            "generated_tokens": sum(tally.tokens.values()),
            "generated_now": samples.generated,
            "from_pool": count - samples.generated,
            "engines": sorted(tally.engines),
            **({"rounds": samples.tallies} if config.early_stop else {}),
        },
    )


def _take_ready(build: Build, ready: ReadySolutions, renderer: Renderer) -> None:
    """Ready solutions as samples under the plain prompt."""
    tokenizer = load_tokenizer(build.path("model"), trust_remote_code=build.runtime.trust_remote_code)
    form = renderer.form
    questions = {row["id"]: row["question"] for row in read_rows(build.path(QUESTIONS) / QUESTIONS_FILE)}
    intake = write_samples(
        ready,
        questions,
        build.out,
        build.work,
        opened_thought=form.opened_thought,
        prompt_tokens=lambda text: len(
            encode_prompts(tokenizer, [renderer.plain(text)], adds_prefix=form.adds_prefix)[0]
        ),
        completion_tokens=lambda texts: list(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"])),
    )
    tally = _Tally()
    solved = dict.fromkeys(row["question_id"] for row in tally.counted(read_rows(build.out / SAMPLES_FILE)))
    shown = ({"question_id": key, "heuristic": "", "prompt": renderer.plain(questions[key])} for key in solved)
    prompts = write_parquet(shown, build.out / PROMPTS_FILE, PROMPTS, sorted_by=["question_id"])
    build.record(
        rows={"samples": intake.kept, "prompts": prompts, "rejects": intake.rejected},
        ledger=intake.ledger(),
        facts={"solutions": "ready, none generated"},
        summary={
            **form.summary(),
            "heuristics": tally.by_heuristic(),
            "questions_without_solution": len(questions) - len(solved),
            "reject_reasons": dict(intake.reasons.most_common(20)),
            "generated_tokens": 0,
            "generated_now": 0,
            "from_pool": 0,
            "engines": sorted(tally.engines),
        },
    )


@dataclass
class _Tally:
    """Counts per heuristic."""

    samples: Counter[str] = field(default_factory=Counter)
    truncated: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    engines: set[str] = field(default_factory=set)

    def counted(self, samples: Iterable[Row]) -> Iterator[Row]:
        for row in samples:
            self.samples[row["heuristic"]] += 1
            self.truncated[row["heuristic"]] += row["finish_reason"] == TRUNCATED
            self.rejected += row["finish_reason"] == REJECTED
            self.tokens[row["heuristic"]] += row["completion_tokens"]
            self.engines.add(row["engine"])
            yield row

    def by_heuristic(self) -> dict[str, Any]:
        return {
            name: {
                "samples": count,
                "truncated": self.truncated[name],
                "mean_tokens": round(self.tokens[name] / count, 1),
            }
            for name, count in sorted(self.samples.items())
        }


def _prompt_rows(answered: Iterable[Prompt], renderer: Renderer) -> Iterator[Row]:
    """Rows of schema `PROMPTS`: the prompts that were answered, and the plain one of each question before them."""
    for (question_id, question), prompts in groupby(answered, key=lambda prompt: (prompt.question_id, prompt.question)):
        texts = {prompt.heuristic: prompt.text for prompt in prompts}
        if "" not in texts:
            texts = {"": renderer.plain(question), **texts}
        for heuristic, text in texts.items():
            yield {"question_id": question_id, "heuristic": heuristic, "prompt": text}


def _in_words(config: GenerateConfig) -> str:
    """Names, each with the digest of what its prompt shows; of what the model proposed its kind."""
    if config.proposals.kind != "none":
        return f"{config.proposals.kind} of the model's own"
    heuristics = load_heuristics(config.heuristics)
    return ", ".join(f"{item.name or 'plain prompt'} ({item.digest[:8]})" for item in heuristics)
