"""Adherence by a judge: a model behind an OpenAI-compatible server, asked by rubric, whose answers the pool keeps."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.errors import Permanent
from tasks.filter.adherence.config import JudgeScorer
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.prompts.config import fill
from tasks.shared.sampling.sampler import WORKER, SampleSet
from tasks.shared.sampling.schema import RENDERED, WANTED, SampleSetJob, SamplingJob
from tasks.shared.sampling.wanted import pool_name
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.shared.thoughts import answer_part
from tasks.spine.stage.stage import Build
from tasks.spine.store.fingerprint import canonical_json, digest_text
from tasks.spine.store.manifest import POOLS

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "number"}},
    "required": ["reason", "score"],
    "additionalProperties": False,
}
"""What an answer looks like: the reason first, so that the score follows from it. OpenAI's structured output takes no
bounds, so they are checked here."""
RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "adherence", "strict": True, "schema": SCHEMA}}


def judged(build: Build, scorer: JudgeScorer, requests: Path) -> Iterator[tuple[str, float]]:
    """Key and score of every solution whose judgement can be read; what the pool has is not asked again.

    Raises:
        Permanent: too many judgements cannot be read.
    """
    answers = _answers(build, scorer, requests)
    waiting = build.work / "to_judge.parquet"
    if write_parquet(answers.missing(), waiting, WANTED):
        asked = SampleSetJob(wanted=waiting, pool=answers.pool, sampling=answers.sampling)
        server = {"engine": "openai", "openai_model": scorer.judge}
        job = SamplingJob(
            model=build.path("model"),
            sets=(asked,),
            runtime=build.runtime.model_copy(update=server),
            form=PromptForm(style="message"),
            response_format=RESPONSE_FORMAT,
        )
        build.worker(WORKER, job, name="judging", gpus=0)
    unread: list[str] = []
    for row in answers.rows():
        score = read_score(row["completion"])
        if score is None:
            unread.append(row["completion"])
        else:
            yield row["question_id"], score
    if len(unread) > scorer.max_unread_share * answers.count:
        raise Permanent(
            f"filter.scorer.max_unread_share={scorer.max_unread_share}: {len(unread)} of {answers.count} answers of "
            f"the judge {scorer.judge!r} hold no score from 0 to 1, such as {unread[0][-200:]!r}; take a server and a "
            f"model with structured output, or raise filter.scorer.max_new_tokens={scorer.max_new_tokens}"
        )


def _answers(build: Build, scorer: JudgeScorer, requests: Path) -> SampleSet:
    """One greedy answer for each solution, known by the judge's name and by all that it is shown."""
    digest = digest_text(canonical_json({"judge": scorer.judge, "response_format": RESPONSE_FORMAT}))
    sampling = Sampling(temperature=0, top_p=1, max_new_tokens=scorer.max_new_tokens)
    pool = f"{POOLS}/{pool_name(digest, sampling)}"
    build.record(pools=[pool])
    prompts = build.work / "judge_prompts.parquet"
    write_parquet(_prompts(scorer, requests), prompts, RENDERED)
    return SampleSet(
        prompts=prompts,
        pool=f"{build.store.files.uri.rstrip('/')}/{pool}",
        model_digest=digest,
        sampling=sampling,
        num_samples=1,
        seed=0,
    )


def _prompts(scorer: JudgeScorer, requests: Path) -> Iterator[Row]:
    """Rows of schema `RENDERED`: what the judge is asked of each solution, under the solution's key."""
    for row in read_rows(requests):
        text = judge_prompt(scorer, row["question"], row["heuristic"], row["completion"])
        yield {"question_id": row["key"], "question": "", "heuristic": row["heuristic"], "text": text}


def judge_prompt(scorer: JudgeScorer, question: str, heuristic: str, solution: str) -> str:
    """What the judge is asked of one solution."""
    followed = scorer.heuristic(heuristic)
    return fill(
        scorer.template,
        question=question,
        name=followed.name,
        instruction=followed.instruction,
        rubric=followed.rubric,
        solution=solution,
    )


def read_score(answer: str) -> float | None:
    """The score in a judge's answer, with or without a fence around its JSON; None where there is none from 0 to 1.

    A thought before the answer may hold braces of its own.
    """
    found = re.search(r"\{.*\}", answer_part(answer) or "", re.DOTALL)
    try:
        score = json.loads(found.group())["score"] if found else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    is_number = isinstance(score, int | float) and not isinstance(score, bool)
    return float(score) if is_number and 0 <= score <= 1 else None
