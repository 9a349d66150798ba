"""The tags' rows of the output layer after the fit: likely where the examples have them, and nowhere else."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.models.causal_lm import load_causal_lm
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.tables.parquet import write_parquet
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tasks.think_tags import rows, worker
from tasks.think_tags.config import RowJob, TagJob, ThinkTagsConfig
from tasks.think_tags.examples import EXAMPLES
from tests.support.random_model import save_random_model
from tests.support.talking_model import save_capped_model, save_talking_model

TAGS = ("<think>", "</think>")
BARE = PredictionPrompt(style="plain", template="{context} {budget}", template_without_budget="{context}")


def example(number: int, *, opens: bool) -> dict[str, Any]:
    """One of many examples of one form: the thought ends behind "so"."""
    # Some have the tag where a position of the prompt is looked at.
    prompt = f"{'x' * (number % 5)} Ann has {number} pens" + ("" if opens else TAGS[0])
    return {
        "question_id": str(number),
        "position": 3,
        "prompt": prompt,
        "completion": f"{TAGS[0] if opens else ''}{number} so{TAGS[1]} and",
    }


def fitted(
    base: Path, folder: Path, *, opens: bool = False, penalty: float = 1e-3
) -> tuple[Path, Path, dict[str, Any]]:
    """The model with tags before and after the fit, and what the worker found."""
    before, after = folder / "tagged", folder / "fitted"
    reporter = Reporter(folder)
    worker.run(TagJob(model=base, out=before, tags=TAGS), reporter)
    write_parquet((example(number, opens=opens) for number in range(60)), folder / "examples.parquet", EXAMPLES)
    job = RowJob(
        model=before,
        out=after,
        tags=TAGS,
        examples=folder / "examples.parquet",
        form=PromptForm(),
        config=ThinkTagsConfig(prediction_prompt=BARE, row_penalty=penalty),
        runtime=Runtime(device="cpu"),
    )
    return before, after, rows.run(job, reporter)["fitted"]


@pytest.mark.parametrize("opens", [False, True])
@pytest.mark.parametrize("tied", [True, False])
def test_tags_become_likely_at_their_places_alone(tmp_path: Path, tied: bool, opens: bool) -> None:
    base = save_random_model(tmp_path / "base") if tied else save_talking_model(tmp_path / "base", chat=True)
    before, after, found = fitted(base, tmp_path, opens=opens, penalty=1e-5)
    assert found[TAGS[1]]["at_its_places"] > 0.5 > 10 * found[TAGS[1]]["elsewhere"]
    assert (found[TAGS[0]] is not None) == opens
    tokenizer = load_tokenizer(after)
    row = example(7, opens=opens)
    text = row["prompt"] + row["completion"]
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    close = tokenizer.convert_tokens_to_ids(TAGS[1])
    place = ids[0].tolist().index(close) - 1
    with torch.no_grad():
        said = [load_causal_lm(each, dtype="float32")(ids).logits[0].softmax(-1)[:, close] for each in (before, after)]
    assert said[1][place] > 0.5 > 5 * said[0][place]
    assert said[1][:place].max() < 0.3


def test_no_other_weight_moves(tmp_path: Path) -> None:
    before, after, _ = fitted(save_talking_model(tmp_path / "base", chat=True), tmp_path)
    close = load_tokenizer(after).convert_tokens_to_ids(TAGS[1])
    old, new = (load_file(each / "model.safetensors") for each in (before, after))
    moved = {name for name in old if not torch.equal(old[name], new[name])}
    assert moved == {"lm_head.weight"}
    assert (old["lm_head.weight"] != new["lm_head.weight"]).any(1).nonzero().flatten().tolist() == [close]


def test_a_greater_penalty_keeps_the_row_nearer_to_its_start(tmp_path: Path) -> None:
    base, distances = save_random_model(tmp_path / "base"), []
    for penalty in (1e-5, 1.0):
        folder = tmp_path / str(penalty)
        folder.mkdir()
        before, after, _ = fitted(base, folder, penalty=penalty)
        rows_of = [load_causal_lm(each, dtype="float32").get_output_embeddings().weight for each in (before, after)]
        distances.append(float((rows_of[1] - rows_of[0]).norm()))
    assert distances[1] < 0.1 * distances[0]


def test_rows_of_a_model_that_caps_its_logits_keep_their_start(tmp_path: Path) -> None:
    before, after, found = fitted(save_capped_model(tmp_path / "base", chat=True), tmp_path)
    old, new = (load_file(each / "model.safetensors") for each in (before, after))
    assert found == {}
    assert all(torch.equal(old[name], new[name]) for name in old)
