"""Which rollouts of a training are kept, and how they are read."""

from pathlib import Path

from tasks.report.reading import CompletionFilter, pick
from tasks.rl.rollouts import KEPT_BATCHES, ROLLOUTS_FILE, RolloutLog
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.report_worlds import World


def row(place: int, text: str = "so") -> dict[str, object]:
    named = {"question_id": f"q{place}", "prompt": "2 + 3?", "answer": "5", "verdict": "wrong"}
    return {**named, "completion": f"{text} {place}", "completion_tokens": 2}


def test_batches_are_kept_at_even_distances_and_the_first_is_one_of_them(tmp_path: Path) -> None:
    for batches in (1, 7, 20, 21, 1000):
        log = RolloutLog(tmp_path, batches)
        kept = [batch for batch in range(batches) if log.wants(batch)]
        assert kept[0] == 0
        assert min(batches, KEPT_BATCHES // 2) <= len(kept) <= KEPT_BATCHES


def test_the_highest_and_the_lowest_rewards_are_kept_and_a_repeated_batch_takes_its_place(tmp_path: Path) -> None:
    world = World(Store.open(Settings(home=tmp_path / "home")), tmp_path / "made")
    log = RolloutLog(tmp_path / "rollouts", 3)
    log.keep(2, [0.0, 1.0], lambda place: row(place, "lost with a killed process"))
    log.keep(10, [0.5, 0.0, 1.0, 0.0, 0.9, 0.1, 1.0], row)
    log.keep(2, [0.0, 1.0], row)
    out = tmp_path / "made" / "trained"
    log.write(out)
    ref = world.publish("trained", "model", "rl").ref
    shown = sorted(pick(world.store, ref, CompletionFilter(count=99)), key=lambda item: item.sample_index)
    assert [(item.step, item.completion, item.reward) for item in shown] == [
        (2, "so 0", 0.0),
        (2, "so 1", 1.0),
        (10, "so 1", 0.0),
        (10, "so 2", 1.0),
        (10, "so 3", 0.0),
        (10, "so 6", 1.0),
    ]
    assert {(item.model, item.question, item.gold) for item in shown} == {(str(ref), "2 + 3?", "5")}


def test_a_training_without_rollouts_leaves_no_table(tmp_path: Path) -> None:
    RolloutLog(tmp_path / "rollouts", 3).write(tmp_path)
    assert not (tmp_path / ROLLOUTS_FILE).exists()
