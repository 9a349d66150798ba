"""What the model proposes stands in the place of heuristics: each question is solved by its own approaches."""

from pathlib import Path
from typing import Any

import pytest

from tasks.errors import Permanent
from tasks.generate.config import GenerateConfig
from tasks.generate.task import assemble
from tasks.propose.config import ProposeConfig
from tasks.propose.listed import choose, items
from tasks.propose.schema import PROPOSALS, PROPOSALS_FILE
from tasks.propose.task import propose_prompts
from tasks.questions.schema import QUESTIONS_FILE
from tasks.recipe.loading import load
from tasks.recipe.merging import RecipeError
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.prompts.config import fill
from tasks.shared.sampling.schema import PROMPTS_FILE, SAMPLES_FILE
from tasks.shared.verification.verify import verify
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tests.support.midtraining_jobs import learned
from tests.support.small_world import TINY, NumberOf, World, make
from tests.support.tables import check_schema

RUNTIME = Runtime(device="cpu", batch_size=32, flush_rows=16, num_verifiers=1)
SHOWN = TINY.model_copy(update={"heuristic_template": "{instruction}\nQ: {question}"})


def proposed(world: World, kind: str, model: ArtifactRef | None = None, **changes: Any) -> ArtifactRef:
    settings = {"proposals": {"kind": kind, "count": 3}, "prompt": SHOWN, "max_new_tokens": 48} | changes
    return propose_prompts(
        ProposeConfig.model_validate(settings), RUNTIME, questions=world.questions, model=model or world.model
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Here are some:\n1. Work backward.\n2) Draw\n   a picture\n", ["Work backward.", "Draw a picture"]),
        ("- guess\n* **check**: all\n• halve 1.5 of it", ["guess", "check: all", "halve 1.5 of it"]),
        ("**1. Algebra**\nname it x\n\n**2. Counting**", ["Algebra name it x", "Counting"]),
        ("no list at all, 3. of nothing", []),
        ("", []),
    ],
)
def test_items_of_a_list_are_read_whatever_marks_it_has(text: str, found: list[str]) -> None:
    assert items(text, whole=True) == found
    assert items(text, whole=False) == found[:-1]


def test_what_is_listed_twice_or_beyond_the_count_is_counted() -> None:
    chosen = choose(["Guess.", "halve", "guess", "draw", "sum"], 2)
    assert (chosen.texts, chosen.repeated, chosen.beyond) == (["Guess.", "halve"], 1, 2)


@pytest.fixture(scope="module")
def lists(world: World, random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> ArtifactRef:
    """A model that has learned to list four approaches, one of them twice."""
    rows = world.rows(world.questions, QUESTIONS_FILE)
    text = " Three ways:\n1. count up\n2. halve it\n3. Count up.\n4. draw\n5. sum"
    pairs = [(f"Q: List 3 ways. {row['question']}\nA:", text) for row in rows]
    folder = learned(tmp_path_factory.mktemp("lists"), random_model, pairs, epochs=60)
    return make("midtrain", "model", lambda build, config: build.record(external=str(folder)), NumberOf(count=2))


@pytest.mark.slow
def test_every_question_is_solved_by_the_approaches_that_the_model_lists(world: World, lists: ArtifactRef) -> None:
    template = "Q: List {count} ways. {question}"
    found = proposed(world, "approaches", lists, list_template=template, temperature=0.0, max_new_tokens=90)
    check_schema(world.store.local(found) / PROPOSALS_FILE, PROPOSALS)
    rows, manifest = world.rows(found, PROPOSALS_FILE), world.store.manifest(found)
    names = [f"approach {number:02d}" for number in (1, 2, 3)]
    texts = ["count up", "halve it", "draw"]
    assert [(row["name"], row["instruction"]) for row in rows] == list(zip(names, texts, strict=True)) * 10
    assert manifest.ledger == {"listed": 50, "repeated": 10, "beyond_count": 10, "proposed": 30}
    assert manifest.rows == {"proposals": 30, "questions": 10, "questions_with_none": 0}
    settings = {"proposals": {"kind": "approaches", "count": 3}, "prompt": SHOWN, "samples_per_heuristic": 2}
    config = GenerateConfig.model_validate(settings | {"sampling": {"max_new_tokens": 4}})
    solved = assemble(config, RUNTIME, questions=world.questions, model=world.model, proposals=found)
    prompts = world.rows(solved, PROMPTS_FILE)
    asked = {row["id"]: row["question"] for row in world.rows(world.questions, QUESTIONS_FILE)}
    shown = [(row["heuristic"], row["prompt"]) for row in prompts if row["heuristic"] and row["question_id"] == "0000"]
    assert shown == [(name, f"{text}\nQ: {asked['0000']}\nA:") for name, text in zip(names, texts, strict=True)]
    samples = world.rows(solved, SAMPLES_FILE)
    assert len(samples) == 60
    assert {row["heuristic"] for row in samples} == set(names)
    assert world.store.manifest(solved).facts["heuristics"] == "approaches of the model's own"


@pytest.mark.slow
def test_one_right_solution_of_a_question_is_reworded(world: World) -> None:
    found = proposed(world, "paraphrases", attempts=8)
    rows, manifest = world.rows(found, PROPOSALS_FILE), world.store.manifest(found)
    gold = {row["id"]: row["answer"] for row in world.rows(world.questions, QUESTIONS_FILE)}
    asked = fill(ProposeConfig().paraphrase_template, solution="").strip()
    assert 0 < len(rows) == len({row["question_id"] for row in rows}) == manifest.ledger["proposed"]
    for row in rows:
        assert row["name"] == "paraphrase"
        assert row["instruction"].startswith(asked)
        assert verify(row["instruction"].removeprefix(asked), gold[row["question_id"]]).verdict == "correct"
    counts = manifest.ledger
    assert counts["solutions"] == 80 == counts["not_right"] + counts["further_right"] + counts["proposed"]
    assert manifest.rows["questions_with_none"] == 10 - len(rows)


def test_a_model_that_lists_nothing_stops_the_run_with_what_to_do(world: World) -> None:
    with pytest.raises(Permanent, match=r"proposed nothing for 10 questions; .*change propose.list_template"):
        proposed(world, "approaches", list_template="Q: {question}")
    with pytest.raises(Permanent, match=r"proposals.kind=none"):
        proposed(world, "none")


def test_proposals_are_one_setting_of_two_stages_and_need_a_prompt_that_shows_them() -> None:
    recipe = load(PolyaRecipe, "llama-3.2-3b", {"proposals.kind": "approaches", "proposals.count": 8})
    assert recipe.propose.proposals == recipe.generate.proposals == recipe.proposals
    assert len(recipe.generate.answered()) == 8
    plain = load(PolyaRecipe, "llama-3.2-3b")
    assert recipe.generate.identity_payload().keys() == plain.generate.identity_payload().keys() - {"heuristics"}
    with pytest.raises(
        RecipeError, match=r"proposals.kind=approaches: prompt.heuristic_template=.* put \{instruction\}"
    ):
        load(PolyaRecipe, "tiny-cpu", {"proposals.kind": "approaches"})
    ready = {"proposals.kind": "approaches", "generate.solutions.source": "a.jsonl"}
    with pytest.raises(RecipeError, match=r"give proposals or generate.solutions, not both"):
        load(PolyaRecipe, "llama-3.2-3b", ready)
    judged = {"proposals.kind": "approaches", "filter.scorer": {"type": "judge", "judge": "any"}}
    with pytest.raises(RecipeError, match=r"filter.scorer.type=judge .* proposals.kind=approaches has none"):
        load(PolyaRecipe, "llama-3.2-3b", judged)
