"""The judge on real samples: asked by rubric in a fixed form, once for each solution; what it says chooses."""

import json
from collections.abc import Iterator

import pytest

from tasks.errors import Permanent
from tasks.filter.adherence.judge import read_score
from tasks.filter.config import FilterConfig
from tasks.filter.schema import KEPT_FILE, VERDICTS_FILE
from tasks.filter.task import filter_solutions
from tasks.generate.config import GenerateConfig
from tasks.generate.heuristics import load_heuristics
from tasks.generate.task import assemble
from tasks.shared.engines.protocol import Sampling
from tasks.shared.models.config import ModelConfig
from tasks.shared.models.task import import_model
from tasks.shared.tables.parquet import Row
from tasks.spine.store.fingerprint import canonical_json
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tests.support.classifier import save_classifier
from tests.support.model_server import ModelServer, serving
from tests.support.small_world import TINY, World

HEURISTICS = load_heuristics("tiny")
JUDGE = {"type": "judge", "judge": "stub"}


def solution(prompt: str) -> str:
    return prompt.partition("\n\nSolution:\n")[2].partition("\n\nAnswer in JSON")[0]


def opinion(prompt: str) -> str:
    """Short solutions follow their heuristic; of those under one heuristic it says nothing that can be read."""
    if "Method: analogy." in prompt:
        return "I would rather not say."
    score = 1 / len(solution(prompt))
    return f"```json\n{json.dumps({'reason': 'It is short.', 'score': score})}\n```"


@pytest.fixture(scope="module")
def samples(world: World) -> ArtifactRef:
    config = GenerateConfig(
        heuristics="tiny", samples_per_heuristic=3, sampling=Sampling(top_p=1.0, max_new_tokens=96), prompt=TINY
    )
    return assemble(config, Runtime(device="cpu", num_verifiers=1), questions=world.questions, model=world.model)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer(models=["other", "stub"], write=opinion)) as server:
        yield server


def filtered(
    world: World, samples: ArtifactRef, scorer: dict[str, object], url: str = "", **settings: object
) -> ArtifactRef:
    config = FilterConfig.model_validate({"scorer": scorer, **settings}).following(HEURISTICS)
    runtime = Runtime(device="cpu", num_verifiers=1, **({"openai_base_url": url} if url else {}))
    parents = {"samples": samples, "questions": world.questions, "model": world.model}
    if scorer["type"] == "reward_model":
        source = ModelConfig.model_validate(scorer["model"])
        parents["reward_model"] = import_model(source, runtime, classifies=True)
    return filter_solutions(config, runtime, **parents)


def right_ones(world: World, ref: ArtifactRef) -> list[Row]:
    verdicts = world.rows(ref, VERDICTS_FILE)
    return [row for row in verdicts if row["verdict"] == "correct" and not row["truncated"]]


def kept_scores(world: World, ref: ArtifactRef) -> dict[tuple[str, str], float | None]:
    return {(row["question_id"], row["heuristic"]): row["adherence"] for row in world.rows(ref, KEPT_FILE)}


def best_scores(rows: list[Row]) -> dict[tuple[str, str], float | None]:
    """The highest score of each (question, heuristic); None where nothing has one."""
    found: dict[tuple[str, str], float | None] = {}
    for row in rows:
        pair, score = (row["question_id"], row["heuristic"]), row["adherence"]
        before = found.setdefault(pair, score)
        found[pair] = score if before is None else max(before, score if score is not None else before)
    return found


@pytest.mark.slow
def test_a_judge_chooses_and_is_asked_once_for_each_solution(
    world: World, samples: ArtifactRef, server: ModelServer
) -> None:
    ref = filtered(world, samples, {**JUDGE, "max_unread_share": 0.5}, server.url)
    right = right_ones(world, ref)
    assert len(server.bodies) == len(right) > 20
    for body in server.bodies:
        assert (body["model"], body["temperature"]) == ("stub", 0)
        assert body["response_format"]["json_schema"]["schema"]["required"] == ["reason", "score"]
        prompt = body["messages"][0]["content"]
        (rubric,) = [item.rubric for item in HEURISTICS if f"Method: {item.name}." in prompt]
        assert f"Rubric:\n{rubric}" in prompt
    assert {row["heuristic"] for row in right if row["adherence"] is None} == {"analogy"}
    assert kept_scores(world, ref) == best_scores(right)
    unscored = sum(row["adherence"] is None for row in right)
    assert world.store.manifest(ref).summary["unscored"] == unscored > 0

    asked = len(server.bodies)
    again = filtered(world, samples, {**JUDGE, "max_unread_share": 0.5}, server.url, score_wrong=True)
    wrong = [row for row in world.rows(again, VERDICTS_FILE) if row["verdict"] == "wrong" and not row["truncated"]]
    assert len(server.bodies) - asked == len(wrong) > 0, "what was judged before is not asked again"
    with pytest.raises(Permanent, match=r"max_unread_share=0\.05: .* hold no score from 0 to 1, such as 'I would rath"):
        filtered(world, samples, JUDGE, server.url)


@pytest.mark.slow
def test_a_reward_model_scores_beside_the_model_that_wrote(
    world: World, samples: ArtifactRef, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = save_classifier(tmp_path_factory.mktemp("classifier"))
    ref = filtered(world, samples, {"type": "reward_model", "model": {"source": str(folder)}})
    right = right_ones(world, ref)
    assert len({row["adherence"] for row in right}) > 10, "equal texts score the same"
    assert kept_scores(world, ref) == best_scores(right)


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ('{"reason": "It {does}.", "score": 0.25}', 0.25),
        ('Sure:\n```json\n{"reason": "", "score": 1}\n```', 1.0),
        ('<think>\nAbout {"score": 0}?\n</think>\n\n{"reason": "", "score": 0.5}', 0.5),
        ('{"reason": "", "score": 1.5}', None),
        ('{"reason": "", "score": true}', None),
        ('{"reason": "", "score": NaN}', None),
        ('{"reason": "cut', None),
        ('{"score": "0.5"}', None),
        ("", None),
    ],
)
def test_a_score_is_read_where_it_is_one(answer: str, score: float | None) -> None:
    assert read_score(answer) == score


def test_what_scorers_are_told_is_their_identity_and_where_they_run_is_not() -> None:
    judge = FilterConfig.model_validate({"scorer": JUDGE})
    changed = [item.model_copy(update={"rubric": "1: short. 0: long."}) for item in HEURISTICS]
    assert canonical_json(judge.following(HEURISTICS)) != canonical_json(judge.following(changed))
    one, other = (
        FilterConfig.model_validate({"scorer": {"type": "reward_model", "model": {"source": source}}})
        for source in ("here", "there")
    )
    assert canonical_json(one.following(HEURISTICS)) == canonical_json(other.following(changed))
    bare = [item.model_copy(update={"rubric": ""}) for item in HEURISTICS]
    assert "every decisive step of the solution is a step of the method" in canonical_json(judge.following(bare))
