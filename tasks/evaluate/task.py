"""Evaluation as a Prefect task: samples from the pool, verdicts, statistics, one record for every completion."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.likelihood import likelihood_of_solutions
from tasks.evaluate.schema import EVALUATED, REWARDED, SAMPLES_FILE, SCORES_FILE
from tasks.evaluate.score import score
from tasks.evaluate.votes import Pair, with_votes
from tasks.filter.adherence.schema import TO_SCORE
from tasks.filter.adherence.scores import scores
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.sampler import Samples, fill
from tasks.shared.sampling.schema import asked, graded_text
from tasks.shared.sampling.wanted import GREEDY_INDEX, Question, Wanted, plain_prompt
from tasks.shared.sandbox.available import confinement
from tasks.shared.sandbox.pool import CodePool
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.shared.verification.pool import VerifierPool
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.stage.worker import write_json

EVALUATE = Stage("evaluate", version=4, kind="evaluation", pool="gpu")
ROLE = "questions."
"""Parents of this stage are `model`, for each benchmark `questions.<name>`, and the `reward_model`
and the `solutions` if they are asked for."""


def wanted_samples(build: Build, config: EvaluateConfig) -> Wanted[tuple[Question, Renderer]]:
    """Sampled completions of every benchmark question, and the greedy one if asked for."""
    prompts = {name: config.benchmark(name).prompt(config.shown_prompt) for name in config.benchmarks}
    trusts = build.runtime.trust_remote_code
    renderers = {
        name: Renderer.for_model(prompt, build.path("model"), trust_remote_code=trusts)
        for name, prompt in prompts.items()
    }
    greedy = config.drawn.model_copy(update={"temperature": 0.0, "top_p": 1.0, "top_k": 0})
    return Wanted(
        sources={name: _asked(build, name, renderer) for name, renderer in renderers.items()},
        render=lambda asked: [plain_prompt(*asked)],
        samplings=(config.drawn, greedy) if config.greedy else (config.drawn,),
        num_samples=config.samples,
        seed=config.seed,
        form=renderers[config.benchmarks[0]].form,
    )


@stage_task(EVALUATE)
def measure(build: Build, config: EvaluateConfig) -> None:
    """Sample every benchmark question, grade every completion, compute pass@k and greedy accuracy with intervals."""
    if config.runs_code and not build.runtime.allow_unsandboxed_code:
        # Refused before anything is spent on completions that could not be graded.
        confinement()
    wanted = wanted_samples(build, config)
    samples = fill(build, wanted)
    target = build.out / SAMPLES_FILE
    runtime = build.runtime
    # Pairs of bare answers are put to the verifier as boxes, whatever completions are read for.
    rewards = _rewards(build, config, samples, wanted.form)
    boxes = config.verification.model_copy(update={"extraction": ("boxed",)})
    with VerifierPool(runtime.num_verifiers, memory_mb=runtime.verifier_memory_mb, config=boxes) as pairs:
        graded = _graded(build, config, samples, wanted.form, rewards)
        schema = REWARDED if config.reward_model else EVALUATED
        write_parquet(with_votes(graded, lambda answers: _equal(pairs, answers)), target, schema)
    shown = asked(wanted.form, config.sampling) | ({"few_shot": config.few_shot} if config.few_shot else {})
    summary = score(read_rows(target), config) | {"asked": shown} | likelihood_of_solutions(build, config)
    write_json(build.out / SCORES_FILE, summary)
    measured_on = {name: ROLE + name for name in config.benchmarks}
    build.record(rows=_counts(target), summary=summary, measured_on=measured_on)


def _questions(build: Build, name: str) -> Path:
    return build.path(ROLE + name) / QUESTIONS_FILE


def _asked(build: Build, name: str, renderer: Renderer) -> Iterator[tuple[Question, Renderer]]:
    for row in read_rows(_questions(build, name), ["id", "question"]):
        yield (row["id"], row["question"]), renderer


def _graders(build: Build, config: EvaluateConfig, opened: ExitStack) -> dict[bool, VerifierPool | CodePool]:
    """Pools of graders by whether answers are code; one that is not needed starts nothing."""
    runtime = build.runtime
    number, memory_mb = runtime.num_verifiers, runtime.verifier_memory_mb
    pools: dict[bool, VerifierPool | CodePool] = {
        False: opened.enter_context(VerifierPool(number, memory_mb=memory_mb, config=config.verification))
    }
    if config.runs_code:
        allowed = runtime.allow_unsandboxed_code
        pools[True] = opened.enter_context(CodePool(number, config=config.sandbox, allow_unsandboxed=allowed))
    return pools


def _rewards(build: Build, config: EvaluateConfig, samples: Samples, form: PromptForm) -> dict[str, float]:
    """The reward model's score of every sample by key; none without such a model."""
    if config.reward_model is None:
        return {}
    return scores(build, config.reward_model, _to_reward(build, samples), form)


def _to_reward(build: Build, samples: Samples) -> Iterator[Row]:
    """Rows of schema `TO_SCORE`: the samples under the bare questions."""
    for name in samples.sets:
        questions = {row["id"]: row["question"] for row in read_rows(_questions(build, name), ["id", "question"])}
        for row in samples.rows(name):
            if row["sample_index"] != GREEDY_INDEX:
                shown = {"question": questions[row["question_id"]], "prompt": "", "plain": "", **row}
                yield {name: shown[name] for name in TO_SCORE.names}


def _graded(
    build: Build, config: EvaluateConfig, samples: Samples, form: PromptForm, rewards: Mapping[str, float]
) -> Iterator[Row]:
    """Every completion with its verdict, and its reward where there is one."""
    done, total = 0, samples.count
    with ExitStack() as opened:
        graders = _graders(build, config, opened)
        for name in samples.sets:
            questions = {row["id"]: row for row in read_rows(_questions(build, name), ["id", "answer", "meta"])}
            rows = sorted(samples.rows(name), key=_order)
            pairs = ((graded_text(row, form), questions[row["question_id"]]["answer"]) for row in rows)
            grader = graders[config.benchmark(name).answers == "code"]
            for row, verdict in zip(rows, grader.stream(pairs), strict=True):
                done += 1
                if done % 200 == 0 or done == total:
                    build.progress(done, total, "answers checked")
                yield {
                    "benchmark": name,
                    "verdict": verdict.verdict,
                    "extracted": verdict.extracted,
                    "meta": questions[row["question_id"]]["meta"],
                    **({"reward": rewards.get(row["key"])} if config.reward_model else {}),
                    **{key: row[key] for key in EVALUATED.names if key in row},
                }


def _equal(verifiers: VerifierPool, answers: Sequence[Pair]) -> list[bool]:
    """Whether the verifier takes the second answer of each pair for the first."""
    verdicts = verifiers.verify((f"\\boxed{{{other}}}", one) for one, other in answers)
    return [verdict.verdict == "correct" for verdict in verdicts]


def _order(row: Row) -> tuple[str, int]:
    return row["question_id"], row["sample_index"]


def _counts(path: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in read_rows(path, ["benchmark"]):
        counts[row["benchmark"]] = counts.get(row["benchmark"], 0) + 1
    return counts
