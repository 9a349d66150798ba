"""The stage with other readers: a reward model scores every sample, and the model itself reads right solutions."""

from pathlib import Path

import pytest

from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.likelihood import SOLUTIONS
from tasks.evaluate.schema import REWARDED, SAMPLES_FILE
from tasks.evaluate.task import measure
from tasks.filter.adherence.likelihood_ratio import LikelihoodRatio
from tasks.filter.adherence.protocol import ScoreRequest
from tasks.filter.adherence.scores import REWARD_MODEL
from tasks.filter.schema import KEPT, KEPT_FILE
from tasks.shared.models.task import import_model
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.prompts.render import Renderer
from tasks.shared.tables.parquet import Row, write_parquet
from tasks.spine.stage.stage import Build
from tasks.spine.store.runtime import Runtime
from tasks.tiny.problems import generate_problems
from tasks.tiny.styles import completion
from tests.support.classifier import save_classifier
from tests.support.paths import TINY_MODEL
from tests.support.small_world import TINY, NumberOf, make, small_world
from tests.support.tables import check_schema


def _kept(build: Build, config: NumberOf) -> None:
    """Two right solutions of every question, in the model's habit and in another style."""
    rows = [
        {
            "question_id": f"{number:04d}",
            "question": problem.question,
            "answer": problem.answer,
            "heuristic": "",
            "completion": completion(problem, style),
            "verdict": "correct",
            "adherence": None,
            "completion_tokens": 1,
            "key": f"{number}-{style}",
        }
        for number, problem in enumerate(generate_problems("test", config.count, seed=2))
        for style in ("step", "analogy")
    ]
    write_parquet(rows, build.out / KEPT_FILE, KEPT)


def own_likelihoods(rows: list[Row], prompt: PromptConfig = TINY) -> list[float]:
    """Nats a token of each solution, by the scorer that is tested against the plain definition."""
    scorer = LikelihoodRatio(TINY_MODEL, device="cpu", dtype="float32", tokens_per_batch=4096, is_ratio=False)
    renderer = Renderer(prompt)
    requests = [
        ScoreRequest(row["key"], row["question"], "", "", renderer.plain(row["question"]), row["completion"])
        for row in rows
    ]
    return [score.adherence for score in scorer.score(requests)]


@pytest.mark.slow
def test_a_reward_model_scores_every_sample_and_the_model_itself_reads_right_solutions(tmp_path: Path) -> None:
    settings = {"benchmarks": ["tiny-dev"], "samples": 4, "sampling": {"max_new_tokens": 48}, "prompt": TINY}
    source = {"source": str(save_classifier(tmp_path / "classifier"))}
    config = EvaluateConfig.model_validate(settings | {"reward_model": {"model": source}})
    with small_world(tmp_path / "home") as world:
        runtime = Runtime(device="cpu", num_verifiers=1)
        assert config.reward_model
        reward_model = import_model(config.reward_model.model, runtime, classifies=True)
        solutions = make("solutions", "filtered", _kept, NumberOf(count=5))
        parents = {"model": world.model, "questions.tiny-dev": world.questions}
        parents |= {REWARD_MODEL: reward_model, SOLUTIONS: solutions}
        ref = measure(config, runtime, **parents)
        check_schema(world.store.local(ref) / SAMPLES_FILE, REWARDED)
        rows = world.rows(ref, SAMPLES_FILE)
        assert all((row["reward"] is None) == (row["sample_index"] == -1) for row in rows)
        assert len({row["reward"] for row in rows}) > 10
        summary = world.store.manifest(ref).summary
        expected = own_likelihoods(world.rows(solutions, KEPT_FILE))
    scores, found = summary["scores"]["tiny-dev"], summary["likelihood"]
    assert found["mean"] == pytest.approx(sum(expected) / len(expected), abs=1e-4)
    assert found["low"] < found["mean"] < found["high"] < 0
    assert (found["questions"], found["solutions"]) == (5, 10)
    assert scores["best@4_low"] <= scores["best@4"] <= scores["pass@4"]
    payload = EvaluateConfig.model_validate(settings | {"solutions": "filtered/abc"}).identity_payload()
    assert not {"reward_model", "solutions"} & payload.keys()


@pytest.mark.slow
def test_solutions_are_read_after_the_worked_examples_that_are_shown(tmp_path: Path) -> None:
    settings = {"benchmarks": ["gsm8k"], "samples": 1, "greedy": False, "sampling": {"max_new_tokens": 1}}
    config = EvaluateConfig.model_validate({**settings, "prompt": TINY, "few_shot": "gsm8k_cot"})
    with small_world(tmp_path / "home") as world:
        solutions = make("solutions", "filtered", _kept, NumberOf(count=2))
        parents = {"model": world.model, "questions.gsm8k": world.questions, SOLUTIONS: solutions}
        ref = measure(config, Runtime(device="cpu", num_verifiers=1), **parents)
        found = world.store.manifest(ref).summary["likelihood"]["mean"]
        rows = world.rows(solutions, KEPT_FILE)
    shown, bare = own_likelihoods(rows, config.shown_prompt), own_likelihoods(rows)
    assert found == pytest.approx(sum(shown) / len(shown), abs=1e-4)
    assert abs(sum(shown) - sum(bare)) > 0.1
