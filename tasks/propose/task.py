"""The stage as a Prefect task: lists or plain solutions from the sample pool, and what is taken from them."""

from collections.abc import Iterable

from tasks.errors import Permanent
from tasks.propose.config import ProposeConfig
from tasks.propose.listed import choose, items
from tasks.propose.schema import PROPOSALS, PROPOSALS_FILE
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.prompts.config import fill as filled
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.sampler import fill
from tasks.shared.sampling.schema import ENDED, graded_text
from tasks.shared.sampling.wanted import Question, Wanted, plain_prompt
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.shared.verification.pool import VerifierPool
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

PROPOSE = Stage("propose", version=1, kind="proposals", pool="gpu")
QUESTIONS = "questions"
"""Role of the parent, and name of the one set of samples."""
ADVICE = {
    "approaches": "what it wrote holds no list of items; change propose.list_template, or take heuristics",
    "paraphrases": "none of its plain solutions is right; raise propose.attempts, or take easier questions",
}
Found = dict[str, list[Row]]
"""Names and instructions of each question's proposals."""


@stage_task(PROPOSE)
def propose_prompts(build: Build, config: ProposeConfig) -> None:
    """What the parent `model` proposes for each of the parent `questions`."""
    kind, asked = config.proposals.kind, list(read_rows(build.path(QUESTIONS) / QUESTIONS_FILE))
    if kind == "none":
        raise Permanent("proposals.kind=none: there is nothing to propose; set it to approaches or paraphrases")
    renderer = _renderer(build, config)
    samples = fill(build, _wanted(config, asked, renderer))
    written = samples.rows(QUESTIONS)
    if kind == "approaches":
        found, ledger = _approaches(config, written, renderer.form)
    else:
        found, ledger = _paraphrased(build, config, written, asked, renderer.form)
    rows = ({"question_id": question, **proposal} for question, own in found.items() for proposal in own)
    count = write_parquet(rows, build.out / PROPOSALS_FILE, PROPOSALS)
    if not count:
        raise Permanent(f"proposals.kind={kind}: the model proposed nothing for {len(asked)} questions; {ADVICE[kind]}")
    without = len(asked) - sum(map(bool, found.values()))
    build.record(
        rows={"proposals": count, "questions": len(asked), "questions_with_none": without},
        ledger={**ledger, "proposed": count},
        facts={"proposals": kind},
        summary={**renderer.form.summary(), "generated_now": samples.generated},
    )


def _renderer(build: Build, config: ProposeConfig) -> Renderer:
    """Prompts for lists are plain ones of another wording; solutions have the plain prompt itself."""
    prompt = config.prompt
    if config.proposals.kind == "approaches":
        text = filled(config.list_template, count=str(config.proposals.count))
        prompt = prompt.model_copy(update={"plain_template": text})
    return Renderer.for_model(prompt, build.path("model"), trust_remote_code=build.runtime.trust_remote_code)


def wanted_samples(build: Build, config: ProposeConfig) -> Wanted[Question]:
    """The lists, or the plain solutions, of all questions."""
    return _wanted(config, read_rows(build.path(QUESTIONS) / QUESTIONS_FILE), _renderer(build, config))


def _wanted(config: ProposeConfig, asked: Iterable[Row], renderer: Renderer) -> Wanted[Question]:
    return Wanted(
        sources={QUESTIONS: ((row["id"], row["question"]) for row in asked)},
        render=lambda question: [plain_prompt(question, renderer)],
        samplings=(config.draws,),
        num_samples=1 if config.proposals.kind == "approaches" else config.attempts,
        seed=config.seed,
        form=renderer.form,
    )


def _approaches(config: ProposeConfig, lists: Iterable[Row], form: PromptForm) -> tuple[Found, dict[str, int]]:
    """The approaches of each list."""
    found: Found = {}
    ledger = {"listed": 0, "repeated": 0, "beyond_count": 0}
    for row in lists:
        listed = items(form.graded(row["completion"], whole=True), whole=row["finish_reason"] == ENDED)
        chosen = choose(listed, config.proposals.count)
        found[row["question_id"]] = _named(config, chosen.texts)
        for name, number in (("listed", len(listed)), ("repeated", chosen.repeated), ("beyond_count", chosen.beyond)):
            ledger[name] += number
    return found, ledger


def _paraphrased(
    build: Build, config: ProposeConfig, rows: Iterable[Row], asked: Iterable[Row], form: PromptForm
) -> tuple[Found, dict[str, int]]:
    """The first right solution of each question, as an instruction to reword it."""
    gold = {row["id"]: row["answer"] for row in asked}
    solutions = [(row["question_id"], graded_text(row, form)) for row in rows]
    found: Found = {question: [] for question in gold}
    ledger = {"solutions": len(solutions), "not_right": 0, "further_right": 0}
    runtime = build.runtime
    with VerifierPool(
        runtime.num_verifiers, memory_mb=runtime.verifier_memory_mb, config=config.verification
    ) as verifiers:
        verdicts = verifiers.verify((text, gold[question]) for question, text in solutions)
    for (question, text), verdict in zip(solutions, verdicts, strict=True):
        if verdict.verdict != "correct":
            ledger["not_right"] += 1
        elif found[question]:
            ledger["further_right"] += 1
        else:
            found[question] = _named(config, [filled(config.paraphrase_template, solution=text.strip())])
    return found, ledger


def _named(config: ProposeConfig, texts: Iterable[str]) -> list[Row]:
    return [{"name": name, "instruction": text} for name, text in zip(config.proposals.names, texts, strict=False)]
