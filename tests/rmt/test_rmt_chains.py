"""Long chains beside the texts: which documents a step learns, from which tokens, and what that comes to."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from tasks.errors import Permanent
from tasks.rmt.config import RMTTrainConfig
from tasks.rmt.rows import MixedPlan, TextPlan, read_chains, read_run
from tasks.rmt.worker import run
from tasks.shared.tables.parquet import write_parquet
from tasks.shared.training.config import IGNORED
from tasks.spine.stage.worker import Reporter
from tasks.texts.schema import TEXTS
from tests.support.guessing import MakeJob


def written(folder: Path, *texts: str) -> Path:
    """A table of documents."""
    rows = [
        {"document_id": f"d{number}", "text": text, "given_chars": 0, "source": "test", "meta": "{}"}
        for number, text in enumerate(texts)
    ]
    write_parquet(rows, folder / "chains.parquet", TEXTS)
    return folder / "chains.parquet"


def test_tags_are_the_models_own_tokens_and_every_chain_ends(guesser: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(guesser)
    opened, closed = (tokenizer.convert_tokens_to_ids(tag) for tag in ("<think>", "</think>"))
    path = written(tmp_path, "1+2<think>3</think>3", f"4{tokenizer.eos_token}")
    first, second = read_chains(path, tokenizer, len(tokenizer), 9)
    assert (first == opened).sum() == (first == closed).sum() == 1
    assert first[-1] == second[-1] == tokenizer.eos_token_id
    assert (second == tokenizer.eos_token_id).sum() == 1
    assert len(read_chains(path, tokenizer, len(tokenizer), 1)) == 1


def test_no_chains_and_tokens_that_the_model_has_not_are_refused(guesser: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(guesser)
    with pytest.raises(Permanent, match=r"chains\.parquet: no chains to learn"):
        read_chains(written(tmp_path), tokenizer, len(tokenizer), 9)
    with pytest.raises(Permanent, match="embedding of 3 rows"):
        read_chains(written(tmp_path, "<think>"), tokenizer, 3, 9)


def test_a_step_has_its_texts_and_its_chains_whole(make_job: MakeJob) -> None:
    texts = TextPlan(read_run(make_job("plan").data), context_tokens=64, overlap_tokens=8, keep_drawn=True)
    chains = [np.arange(1000 * number, 1000 * number + length) for number, length in ((1, 4), (2, 30), (3, 9))]
    plan = MixedPlan(texts, chains, steps=6, chains_per_step=2, context_tokens=10, overlap_tokens=3, seed=0)
    learned: Counter[int] = Counter()
    for step in range(6):
        rows = plan.rows(step)[len(texts.rows(step)) :]
        assert len({row.tokens[0] // 1000 for row in rows}) == 2
        assert max(len(row.tokens) for row in rows) <= 10
        learned.update(int(label) for row in rows for label in row.labels[1:] if label != IGNORED)
        assert plan.tokens(step) == texts.tokens(step) + sum(row.counted for row in rows)
    assert learned == Counter({token: 4 for ids in chains for token in ids[1:].tolist()})


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match=r"chains_per_position=1 belongs to plain next-token training.*objective=ntp"):
        RMTTrainConfig(chains_per_position=1)


@pytest.mark.slow
def test_chains_are_learned_beside_the_texts(make_job: MakeJob, tmp_path: Path) -> None:
    def trained(name: str, **settings: Any) -> dict[str, Any]:
        job = make_job(name, steps=12, objective="ntp", **settings)
        chains = written(tmp_path / name, *["7<think>777</think>7"] * 3) if settings else None
        return run(job.model_copy(update={"chains": chains}), Reporter(tmp_path / name))

    alone, mixed = trained("alone"), trained("mixed", chains_per_position=1)
    tokenizer = AutoTokenizer.from_pretrained(make_job("length").model)
    counted = len(tokenizer("7<think>777</think>7", add_special_tokens=False)["input_ids"])
    assert mixed["ledger"]["ntp_tokens"] == alone["ledger"]["ntp_tokens"] + 12 * 4 * counted
