"""The tables for training and RL: schemas, nesting, sizes, ledgers, and the card."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.dataset.card import dataset_card
from tasks.dataset.config import DatasetConfig, PromptSetConfig
from tasks.dataset.materialize import DatasetTally, NothingToTrainOn, write_prompts, write_solutions
from tasks.dataset.schema import RL, RL_FILE, TRAIN, TRAIN_FILE
from tasks.questions.schema import QUESTIONS
from tasks.shared.tables.parquet import read_rows, write_parquet
from tests.support.kept_table import HEURISTICS, KEPT, kept_rows
from tests.support.tables import check_schema


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "kept.parquet"
    write_parquet(kept_rows(200), path, KEPT, sorted_by=("question_id",))
    return path


def build(kept: Path, **config: Any) -> tuple[DatasetTally, list[dict[str, Any]]]:
    out = kept.parent / "out"
    work = kept.parent / "work"
    tally = write_solutions(DatasetConfig(**config), kept, out, work, prompt=lambda question: f"Q: {question}\nA:")
    assert list(work.iterdir()) == []
    check_schema(out / TRAIN_FILE, TRAIN)
    rows = list(read_rows(out / TRAIN_FILE))
    ledger = tally.ledger()
    assert ledger["candidates"] == 400
    assert ledger["kept"] == len(rows)
    assert len({(row["question_id"], row["heuristic"]) for row in rows}) == len(rows)
    assert ledger["tokens_kept"] == sum(10 + HEURISTICS.index(row["heuristic"]) for row in rows)
    return tally, rows


def pairs(rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["question_id"], row["completion"]) for row in rows}


def test_rows_pair_the_plain_prompt_with_each_solution(kept: Path) -> None:
    tally, rows = build(kept, variants=16)
    assert [(row["question_id"], row["rank"]) for row in rows] == sorted(
        (row["question_id"], row["rank"]) for row in rows
    )
    first = rows[0]
    assert first["prompt"] == "Q: Question 1?\nA:"
    assert first["completion"].endswith("#### 1")
    assert all(row["heuristic"] not in row["prompt"] for row in rows)
    assert tally.ledger()["duplicates"] == 40
    assert tally.questions == 160
    assert sum(tally.heuristics.values()) == len(rows) == 360


def test_variants_are_nested_by_rank(kept: Path) -> None:
    _, all_rows = build(kept, variants=4)
    for variants in (1, 2, 3):
        tally, rows = build(kept, variants=variants)
        assert rows == [row for row in all_rows if row["rank"] < variants]
        assert max(tally.ranks) == variants - 1


@pytest.mark.parametrize("field", ["max_questions", "max_rows"])
def test_size_limits_are_exact_and_nested(kept: Path, field: str) -> None:
    sets = []
    for count in (1, 20, 90, 10_000):
        tally, rows = build(kept, variants=4, **{field: count})
        size = tally.questions if field == "max_questions" else len(rows)
        assert size == min(count, 160 if field == "max_questions" else 360)
        sets.append(pairs(rows))
    assert sets[0] < sets[1] < sets[2] < sets[3]
    other, rows = build(kept, variants=4, seed=1, **{field: 20})
    assert (other.questions if field == "max_questions" else len(rows)) == 20
    assert pairs(rows) != sets[1]


def test_a_limit_of_tokens_takes_whole_rows_in_the_order_of_max_rows(kept: Path) -> None:
    by_rows = [pairs(build(kept, variants=4, max_rows=count)[1]) for count in range(1, 30)]
    everything = build(kept, variants=4)[0].tokens["kept"]
    sets = []
    for most in (20, 100, 300, everything):
        tally, rows = build(kept, variants=4, max_tokens=most)
        assert most - (10 + len(HEURISTICS)) < tally.tokens["kept"] <= most
        assert most == everything or pairs(rows) in by_rows
        sets.append(pairs(rows))
    assert sets[0] < sets[1] < sets[2] < sets[3]
    assert pairs(build(kept, variants=4, max_tokens=300, max_rows=5)[1]) == by_rows[4]
    with pytest.raises(NothingToTrainOn, match=r"none of 400 candidates is left .* beyond_rows.*dataset\.max_tokens"):
        build(kept, variants=4, max_tokens=9)


def test_breadth_and_depth_at_equal_rows(kept: Path) -> None:
    _, deep = build(kept, variants=3, full_only=True, max_questions=20)
    _, broad = build(kept, variants=1, max_questions=60)
    assert Counter(Counter(row["question_id"] for row in deep).values()) == {3: 20}
    assert Counter(Counter(row["question_id"] for row in broad).values()) == {1: 60}


def test_nothing_left_says_where_it_went(kept: Path) -> None:
    with pytest.raises(NothingToTrainOn, match=r"none of 400 candidates is left \(400 other_heuristics\)"):
        build(kept, heuristics=("unheard of",))
    write_parquet([], kept, KEPT)
    with pytest.raises(NothingToTrainOn, match=r"kept\.parquet is empty.*more tokens"):
        build(kept)


def test_a_handful_of_lucky_guesses_is_no_dataset(kept: Path) -> None:
    with pytest.raises(NothingToTrainOn, match=r"too little.*rows, fewer than dataset.min_rows=1000, are left of 400"):
        build(kept, min_rows=1000)


def test_unsorted_candidates_are_refused(kept: Path) -> None:
    write_parquet(reversed(kept_rows(20)), kept, KEPT)
    with pytest.raises(ValueError, match="pass the rows through sort_rows first"):
        build(kept)


def test_the_tables_load_with_datasets(kept: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    tally, rows = build(kept, variants=2)
    (tmp_path / "out" / "README.md").write_text(card(tally))
    cache = str(tmp_path / "cache")
    by_file = load_dataset("parquet", data_files=str(tmp_path / "out" / TRAIN_FILE), split="train", cache_dir=cache)
    assert by_file.to_list() == rows
    assert load_dataset(str(tmp_path / "out"), split="train", cache_dir=cache).to_list() == rows


def card(tally: DatasetTally) -> str:
    return dataset_card(
        title="Title",
        about="About.",
        file=TRAIN_FILE,
        rows=tally.rows["kept"],
        licence="mit",
        counts={"rows": tally.rows["kept"]},
        ledger=tally.ledger(),
        heuristics={"a|b": 3, "": 1_234},
        by_accident={"": "0.4 of 20"},
        diversity={},
        examples=[*tally.examples, {"prompt": "```\nx", "completion": "````y", "rank": 0}],
        lineage={"kept": "filtered/abc"},
        config_json=json.dumps({"variants": 2}),
    )


def test_the_card_states_counts_lineage_and_examples(kept: Path) -> None:
    tally, rows = build(kept, variants=2)
    text = card(tally)
    _, front, body = text.split("---\n", 2)
    fields = yaml.safe_load(front)
    assert fields["license"] == "mit"
    assert fields["size_categories"] == ["n<1K"]
    assert fields["configs"][0]["data_files"] == [{"split": "train", "path": TRAIN_FILE}]
    for part in (
        rows[0]["completion"],
        "| kept | 280 |",
        "| a\\|b | 3 | - |",
        "| (plain prompt) | 1,234 | 0.4 of 20 |",
        "filtered/abc",
    ):
        assert part in body
    assert "`````text\n````y\n`````" in body


def test_the_rl_set_is_prompts_with_gold_answers(tmp_path: Path) -> None:
    questions = [
        {"id": f"{index:04d}", "question": f"Q{index}?", "answer": str(index), "source": "s", "meta": "{}"}
        for index in range(100)
    ]
    write_parquet(questions, tmp_path / "questions.parquet", QUESTIONS)
    sets = []
    for count in (10, 60, None):
        config = PromptSetConfig(max_questions=count)
        ledger = write_prompts(
            config, tmp_path / "questions.parquet", tmp_path, prompt=lambda question: f"<{question}>"
        )
        rows = list(read_rows(tmp_path / RL_FILE, schema=RL))
        assert ledger == {"read": 100, "kept": len(rows), "beyond_questions": 100 - len(rows)}
        sets.append({row["question_id"] for row in rows})
        assert all(row["prompt"] == f"<Q{int(row['question_id'])}?>" for row in rows)
        assert all(int(row["answer"]) == int(row["question_id"]) for row in rows)
    assert [len(some) for some in sets] == [10, 60, 100]
    assert sets[0] < sets[1] < sets[2]


def test_an_empty_rl_set_is_an_error(tmp_path: Path) -> None:
    write_parquet([], tmp_path / "questions.parquet", QUESTIONS)
    with pytest.raises(NothingToTrainOn, match="no questions for RL"):
        write_prompts(PromptSetConfig(), tmp_path / "questions.parquet", tmp_path, prompt=str)


PEAK = """
import resource, sys
from pathlib import Path
from tasks.dataset.config import DatasetConfig
from tasks.dataset.materialize import write_solutions
from tasks.shared.tables.parquet import write_parquet
from tests.support.kept_table import KEPT

folder, questions = Path(sys.argv[1]), int(sys.argv[2])

def rows():
    for index in range(questions):
        for number in range(4):
            text = " ".join(str(index * 97 + number * 13 + word) for word in range(150))
            yield {"question_id": f"{index:08d}", "question": "Q?", "answer": "1", "heuristic": str(number),
                   "completion": text, "adherence": 0.5, "completion_tokens": 99, "key": f"{index}-{number}"}

write_parquet(rows(), folder / "kept.parquet", KEPT)
write_solutions(DatasetConfig(max_rows=2 * questions), folder / "kept.parquet",
                folder / "out", folder / "work", prompt=str)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_rows(tmp_path: Path) -> None:
    def peak_mb(questions: int) -> float:
        folder = tmp_path / str(questions)
        folder.mkdir()
        command = [sys.executable, "-c", PEAK, str(folder), str(questions)]
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
        return int(done.stdout) / 1_024

    small, large = peak_mb(1_000), peak_mb(10_000)
    assert large < small + 60
