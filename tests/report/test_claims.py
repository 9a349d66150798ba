"""What a recipe claims of its arms, in the report: whichever way it comes out, and the worst news first."""

from pathlib import Path

import pytest
from pydantic import JsonValue

from flows.arms.polya import report_config
from tasks.recipe.loading import load
from tasks.recipe.merging import RecipeError
from tasks.recipe.polya import PolyaRecipe
from tasks.report.config import ReportEntry, StatedClaim
from tasks.report.show import tables
from tasks.report.write import write_report
from tests.support.report_worlds import World

HELPS = StatedClaim(higher="RL from mid-trained", lower="RL from base", text="Mid-training helps RL")
HARMS = StatedClaim(higher="RL from base", lower="RL from mid-trained", text="Mid-training harms RL")
PAIRS = (HELPS.pair, HARMS.pair, ("Base", "Mid-trained"))


def test_claims_are_checked_and_what_does_not_hold_comes_first(three_seeds: World, tmp_path: Path) -> None:
    config = three_seeds.config(claims=(HELPS, HARMS), comparisons=PAIRS)
    summary = write_report(three_seeds.store, config, three_seeds.parents, tmp_path)
    assert summary.claims
    harms, helps = summary.claims.in_order
    assert (harms.status, helps.status) == ("does not hold", "holds")
    assert (harms.row, helps.row) == tuple(
        next(row for row in summary.comparisons if (row.baseline, row.candidate, row.metric) == (*claim.pair, "pass@1"))
        for claim in (HARMS, HELPS)
    )
    told = "2 claims were checked; not holding here: 1, holding: 1, unclear: 0, resting on one training: 0."
    assert summary.claims.headline == told
    page = (tmp_path / "report.html").read_text()
    assert page.index("Does not hold here:") < page.index("Mid-training harms RL (pass@1 on tiny-test). Here ")
    assert page.index("Mid-training harms RL") < page.index("Mid-training helps RL")
    assert "(paper:" not in page
    assert (tmp_path / "plots" / "claims.png").exists()
    # What a claim says already is not said again; other comparisons are.
    assert "RL from mid-trained scores higher than RL from base in pass@1" not in page
    assert "Mid-trained scores higher than Base in pass@1" in page


def test_one_training_decides_no_claim(world: World, tmp_path: Path) -> None:
    config = world.config(claims=(HELPS,))
    summary = write_report(world.store, config, world.parents, tmp_path)
    assert summary.claims
    assert {claim.status for claim in summary.claims.claims} == {"one training"}
    assert "One training here:" in (tmp_path / "report.html").read_text()


def test_a_claim_about_labels_that_are_not_compared_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match=r"claims: \['Mid-training harms RL'\] are about pairs that are not in"):
        world.config(claims=(HARMS,))


@pytest.mark.parametrize(
    ("arm", "other", "said"),
    [
        ("polya", "vanila", r"arms\.polya\.above: no arm 'vanila'; .*'vanilla'"),
        ("polya", "early", r"arms\.polya\.above: no arm 'early' with RL at its end"),
        ("early", "vanilla", r"arms\.early\.above is about what RL ends in, .* set rl: true"),
    ],
)
def test_a_claim_about_no_arm_with_rl_is_refused(arm: str, other: str, said: str) -> None:
    arms: dict[str, JsonValue] = {
        "vanilla": {"label": "V", "midtrain": False},
        "polya": {"label": "P"},
        "early": {"label": "E", "rl": False},
    }
    arms[arm] = {**arms[arm], "above": {other: {"text": "x"}}}  # type: ignore[dict-item]
    with pytest.raises(RecipeError, match=said):
        load(PolyaRecipe, "tiny-cpu", {"arms": arms})


def test_what_a_recipe_claims_is_compared_and_checked() -> None:
    settings = load(PolyaRecipe, "tiny-cpu-controls", {})
    entries = [
        ReportEntry(label=arm.label, arm=name, checkpoint="rl", evaluation=f"evaluation-{name}")
        for name, arm in settings.arms.items()
        if name != "wrong"
    ]
    config = report_config(settings, entries)
    stated = {claim.pair: claim for claim in config.claims}
    assert stated["RL from STaR", "RL from mid-trained"].paper.startswith("pass@64 48.1 against 45.7")
    assert "RL from wrong answers" not in {label for pair in stated for label in pair}, "an arm that was not run"
    assert set(stated) <= set(config.comparisons)
    # Every mid-trained arm is compared with plain RL, and with no other arm that nobody asked about.
    assert ("RL from base", "RL from 60 x 4") in config.comparisons
    assert ("MaxRL from base", "RL from 60 x 4") not in config.comparisons


def test_a_terminal_shows_claims_as_a_table(three_seeds: World, tmp_path: Path) -> None:
    config = three_seeds.config(claims=(HELPS, HARMS), comparisons=PAIRS)
    summary = write_report(three_seeds.store, config, three_seeds.parents, tmp_path)
    manifest = three_seeds.made["evaluation-base-0"].model_copy(
        update={"kind": "report", "stage": "report", "summary": summary.model_dump(mode="json")}
    )
    (table,) = [table for table in tables(manifest) if table.title.startswith("What is claimed")]
    assert [column.name for column in table.columns] == ["claim", "here", "status"]
    assert [str(row[-1]) for row in table.rows] == ["does not hold", "holds"]
