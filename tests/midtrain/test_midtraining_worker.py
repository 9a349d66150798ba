"""The program itself: a whole run, and one that was killed."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.midtrain.worker import run
from tasks.spine.stage.launch import WorkerFailed, run_worker
from tasks.spine.stage.worker import Reporter
from tests.support.killing import kill_when
from tests.support.midtraining_jobs import points
from tests.support.random_model import padded_with_end

pytestmark = pytest.mark.slow
MODULE = "tasks.midtrain.worker"


def job(model: Path, dataset: Path, folder: Path, epochs: int = 2) -> MidtrainJob:
    (folder / "out").mkdir(parents=True, exist_ok=True)
    return MidtrainJob(
        model=model,
        data=dataset,
        out=folder / "out",
        checkpoints=folder / "checkpoints",
        save_every_steps=5,
        num_threads=1,
        config=MidtrainConfig(learning_rate=1e-3, epochs=epochs, batch_size=4),
    )


def test_a_killed_trainer_finishes_on_the_next_run_as_if_nothing_had_happened(
    random_model: Path, dataset: Path, tmp_path: Path
) -> None:
    straight = run(job(random_model, dataset, tmp_path / "a", 12), Reporter(tmp_path / "a"))
    work = tmp_path / "b" / "w"
    killer = kill_when(work, lines=13)
    with pytest.raises(WorkerFailed, match="exit code -9"):
        run_worker(MODULE, job(random_model, dataset, tmp_path / "b", 12), work, timeout_s=200)
    killer.join()
    resumed = run(job(random_model, dataset, tmp_path / "b", 12), Reporter(work))
    assert resumed["resumed_from_step"] >= 10
    assert resumed["ledger"] == straight["ledger"]
    assert resumed["ledger"]["trained_tokens"] == 12 * resumed["ledger"]["completion_tokens"]
    weights = [(tmp_path / name / "out" / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "b" / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "b" / "out")
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(random_model).chat_template
    assert not list((tmp_path / "b" / "out").glob("*.bin"))


def test_the_end_is_trained_on_where_it_is_the_padding_token_too(
    random_model: Path, dataset: Path, tmp_path: Path
) -> None:
    padded = padded_with_end(random_model, tmp_path / "padded")
    runs = [
        run(job(model, dataset, tmp_path / name, epochs=1), Reporter(tmp_path / name))
        for name, model in (("own", random_model), ("end", padded))
    ]
    assert runs[0]["ledger"] == runs[1]["ledger"]
    assert points(tmp_path / "own")[0]["loss"] == points(tmp_path / "end")[0]["loss"]
    assert AutoTokenizer.from_pretrained(tmp_path / "end" / "out").pad_token_id == 0
