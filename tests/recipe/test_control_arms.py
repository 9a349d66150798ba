"""Arms that could refute the claim, as the README of the recipes shows them: each differs where it says."""

import re
from typing import Any

import pytest
import yaml

from flows.compare import outline
from tasks.dataset.estimate import training_rows
from tasks.spine.stage.plan import PlannedStage
from tests.support.paths import ROOT

PAGE = (ROOT / "deployments/recipes/README.md").read_text()
[(RECIPE, BLOCK)] = re.findall(r"<!-- arms: (\S+) -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
ARMS: dict[str, Any] = yaml.safe_load(BLOCK)["arms"]
SIZED = ("dataset", "filter", "generate", "questions", "expected")
EQUAL_SIZE = ("polya", "own-approaches", "paraphrases")
WITHOUT_MIDTRAINING = {"vanilla", "more-rl", "vanilla-maxrl", "at-once"}


@pytest.fixture(scope="module")
def planned() -> dict[str, dict[str, PlannedStage]]:
    """The stages of each arm by name; of several calls of a stage the last."""
    rows = outline(RECIPE, {"arms": ARMS})
    return {arm: {row.stage: row for row in rows if row.arm == arm} for arm in ARMS}


def test_each_arm_but_the_base_lines_says_what_it_would_refute() -> None:
    told = set(
        re.findall(r"`([\w-]+)`", "".join(re.findall(r"^\| `.*$", PAGE.split("| arm | what it would", 1)[1], re.M)))
    )
    assert set(ARMS) - {"vanilla", "polya", "star"} <= told


def test_every_arm_starts_rl_from_a_model_of_its_own(planned: dict[str, dict[str, PlannedStage]]) -> None:
    for name, stages in planned.items():
        assert ("midtrain" in stages) == (name not in WITHOUT_MIDTRAINING), name
    assert len({stages["rl"].ref for stages in planned.values()}) == len(ARMS)


def test_each_arm_differs_from_the_one_it_controls_in_one_thing(planned: dict[str, dict[str, PlannedStage]]) -> None:
    def config(arm: str, stage: str) -> Any:
        return planned[arm][stage].config

    def new(arm: str, other: str) -> set[str]:
        """Stages that are made anew for an arm, what is before them being the other's."""
        mine, others = planned[arm], {row.ref for row in planned[other].values()}
        return {name for name, row in mine.items() if row.ref not in others and name not in ("evaluate", "rl")}

    assert config("distilled", "generate").model.source == "Qwen/QwQ-32B"
    assert config("traces", "generate").solutions.solution == "generation"
    of_data = {"generate", "filter", "dataset", "midtrain"}
    assert new("own-approaches", "polya") == new("paraphrases", "polya") == {"propose", *of_data}
    rows = [training_rows(*(getattr(planned[arm]["dataset"].context, name) for name in SIZED)) for arm in EQUAL_SIZE]
    assert len(set(rows)) == 1
    assert planned["at-once"]["dataset"].ref == planned["polya"]["dataset"].ref
    assert new("star-half", "star") == {"interpolate"}
    assert new("star-entropy", "star") == {"midtrain"}
    assert new("polya-maxrl", "polya") == new("vanilla-maxrl", "vanilla") == new("more-rl", "vanilla") == set()
    assert config("polya-maxrl", "rl").trl.scale_rewards == config("vanilla-maxrl", "rl").trl.scale_rewards == "mean"
    assert f"makes {config('more-rl', 'rl').steps} steps" in PAGE
