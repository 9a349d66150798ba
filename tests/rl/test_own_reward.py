"""A reward of the user's own package: found by its name, known by its code, and checked."""

from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.rl.config import RLConfig
from tasks.rl.own_reward import OwnReward, reward_function
from tasks.rl.reward import CorrectnessReward
from tasks.rl.rollouts import ROLLOUTS_FILE
from tasks.rl.worker import run
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.tables.parquet import read_rows
from tasks.shared.verification.pool import VerifierPool
from tasks.spine.stage.worker import Reporter
from tests.support.own_reward import CODE, install
from tests.support.rl_jobs import MakeJob


class _Words:
    """The part of a tokenizer that decodes."""

    def decode(self, ids: list[int], **_: object) -> str:
        return "".join(map(chr, ids))


def test_a_reward_is_known_by_its_code_and_the_usual_one_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "reward" not in RLConfig().identity_payload()
    with monkeypatch.context() as patch:
        install(tmp_path / "one", patch)
        first = RLConfig(reward="short").identity_payload()["reward"]
    with monkeypatch.context() as patch:
        install(tmp_path / "two", patch, CODE.replace("1000", "500"))
        second = RLConfig(reward="short").identity_payload()["reward"]
    assert first["package"] == second["package"] == "my-rewards 1.2"
    assert first["source"] != second["source"]


def test_a_name_that_no_package_offers_is_refused_with_those_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"no installed package offers it.*: none"):
        reward_function("short")
    install(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=r"rl.reward='shrot'.*did you mean 'short'.*constant, fewer, nothing, number"):
        RLConfig(reward="shrot").identity_payload()
    with pytest.raises(ValueError, match="leads to a int, not to a function"):
        reward_function("number")


@pytest.mark.parametrize(
    ("name", "said"), [("fewer", "gave 1 rewards for 2 rollouts"), ("nothing", "gave nan, no finite number")]
)
def test_what_is_no_reward_for_each_rollout_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    install(tmp_path, monkeypatch)
    with VerifierPool(1) as pool:
        reward = OwnReward(name, CorrectnessReward(pool, _Words(), [0], PromptForm()))  # type: ignore[arg-type]
        with pytest.raises(Permanent, match=said):
            reward(
                prompts=["Q"] * 2,
                completion_ids=[[*map(ord, "#### 3"), 0], [*map(ord, "#### 4"), 0]],
                answer=["3", "3"],
                log_metric=lambda *_: None,
            )


@pytest.mark.slow
def test_a_run_learns_from_it_and_still_counts_what_is_right(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "package", monkeypatch)
    job = make_job("own", steps=2, reward="short")
    result = run(job, Reporter(job.out.parent))
    rows = list(read_rows(job.out / ROLLOUTS_FILE))
    for row in rows:
        length = len(row["completion"])
        assert row["reward"] == pytest.approx((row["verdict"] == "correct") - length / 1000, abs=1e-6)
    assert {row["verdict"] for row in rows} >= {"correct", "wrong"}
    ledger = result["ledger"]
    assert ledger["rollouts"] == 32 == sum(ledger[name] for name in ("correct", "wrong", "truncated", "unparsed"))


@pytest.mark.slow
def test_a_reward_that_tells_nothing_apart_stops_the_run_and_is_named(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "package", monkeypatch)
    job = make_job("flat", steps=3, reward="constant", max_zero_advantage_steps=2)
    with pytest.raises(Permanent, match=r"rl.reward='constant' told no rollouts of a group apart"):
        run(job, Reporter(job.out.parent))
