"""Which model a release is about, and when the lead moves."""

import numpy as np
import pytest

from tasks.release.config import ReleaseConfig, is_of
from tasks.release.outcome import comparison, decide
from tasks.report.config import ReportEntry, labels
from tasks.report.numbers.collect import Evaluated, QuestionScores
from tasks.spine.store.fingerprint import digest_text
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef

QUESTIONS = 60
SAMPLES = 4


def ref(name: str, kind: str = "model") -> ArtifactRef:
    return ArtifactRef(kind=kind, fingerprint=digest_text(name), digest=digest_text(name))


def model(label: str, correct: np.ndarray, questions: str = "q") -> Evaluated:
    ids = tuple(f"{questions}{number:03d}" for number in range(len(correct)))
    scores = QuestionScores(ids=ids, samples=SAMPLES, correct=correct, greedy=None)
    manifest = Manifest(
        kind="evaluation",
        stage="evaluate",
        version=1,
        fingerprint="f",
        payload={},
        parents={},
        digest="d",
        data="d",
        files=(),
    )
    entry = ReportEntry(label=label, arm="released", checkpoint="rl", evaluation=label)
    return Evaluated(entry, manifest, {"gsm8k": scores})


def test_the_first_model_of_a_line_leads() -> None:
    decision = decide(None, model("new", np.full(QUESTIONS, 1)), "pass@1")
    assert decision.promote
    assert decision.difference is None


@pytest.mark.parametrize(
    ("gained", "lost", "leads"), [(40, 0, True), (3, 2, False), (0, 0, False), (0, 40, False), (2, 0, False)]
)
def test_the_lead_moves_only_to_what_is_better_on_the_same_questions(gained: int, lost: int, leads: bool) -> None:
    before = np.full(QUESTIONS, 2)
    after = before.copy()
    after[:gained] += 1
    after[QUESTIONS - lost :] -= 1
    decision = decide(model("old", before), model("new", after), "pass@1")
    assert decision.promote is leads
    assert decision.questions == QUESTIONS
    assert decision.difference == pytest.approx((gained - lost) / QUESTIONS / SAMPLES)
    assert "old" in decision.reason
    assert f"{QUESTIONS} questions" in decision.reason


def test_models_that_met_other_questions_are_not_compared() -> None:
    scores = np.full(QUESTIONS, 2)
    with pytest.raises(ValueError, match="same benchmark settings"):
        decide(model("old", scores, "a"), model("new", scores, "b"), "pass@1")


def test_a_comparison_has_every_release_and_sets_the_newest_against_each_of_the_others() -> None:
    releases = [
        (name, {"model": ref(name), "base_evaluation": ref(f"b{name}"), "evaluation": ref(f"e{name}")})
        for name in ("one", "two", "three")
    ]
    config, parents = comparison("midtrain-tiny-cpu", (), releases)
    assert config.comparisons == (("one", "three"), ("two", "three"))
    assert len(labels(config.entries)) == 6
    assert set(parents) == {entry.evaluation for entry in config.entries}


def test_a_release_is_known_by_weights_and_recipe() -> None:
    config = ReleaseConfig(recipe="tiny-cpu", overrides={"rl.steps": 3})
    assert config.key(ref("one")) == config.key(ref("one"))
    others = [ReleaseConfig(recipe="tiny-cpu"), ReleaseConfig(recipe="tiny-cpu", overrides={"rl.steps": 4})]
    assert len({config.key(ref("two")), config.key(ref("one")), *(item.key(ref("one")) for item in others)}) == 4
    assert ReleaseConfig(recipe="tiny-cpu").line == "midtrain-tiny-cpu"
    assert len({config.line, *(item.line for item in others)}) == 3
    assert is_of(config, config.payload(ref("one")))
    assert not is_of(others[0], config.payload(ref("one")))
