"""The loss does not depend on the layout, examples do not see each other, and every token is counted."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Gemma2Config,
    LlamaConfig,
    MistralConfig,
    NemotronConfig,
    Qwen3Config,
    masking_utils,
)

from tasks.errors import Permanent
from tasks.midtrain.collate import lay_out
from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.midtrain.encoding import TrainingExample, read_examples
from tasks.midtrain.worker import run
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.training.config import IGNORED
from tasks.spine.stage.imports import hide_packages
from tasks.spine.stage.worker import Reporter

with hide_packages("mlflow", "vllm"):
    from trl.trainer.utils import add_fused_lm_head

    from tasks.midtrain.attention import NAME, use_attention_by_example
    from tasks.midtrain.packing import check_packing, settle_packing
    from tasks.shared.training.lm_head import reward_entropy, use_compact_head

Run = Callable[..., dict[str, object]]


@pytest.fixture
def train(random_model: Path, dataset: Path, tmp_path: Path) -> Run:
    """Run the worker's own function in this process; `name` is the folder of one run."""

    def call(name: str, micro_batch_tokens: int = 0, reporter: Reporter | None = None, **settings: object) -> dict:
        folder = tmp_path / name
        (folder / "out").mkdir(parents=True, exist_ok=True)
        config = MidtrainConfig(**{"learning_rate": 1e-3, "epochs": 2, "batch_size": 8, **settings})
        job = MidtrainJob(
            model=random_model,
            data=dataset,
            out=folder / "out",
            checkpoints=folder / "checkpoints",
            save_every_steps=2,
            num_threads=1,
            sft_micro_batch_tokens=micro_batch_tokens,
            config=config,
        )
        return run(job, reporter or Reporter(folder))

    return call


@pytest.fixture
def examples(random_model: Path, dataset: Path) -> list[TrainingExample]:
    return read_examples(dataset, load_tokenizer(random_model), 512)


def token_losses(
    model: torch.nn.Module, examples: list[TrainingExample], rows: list[list[int]]
) -> dict[int, torch.Tensor]:
    """Token losses of each example, whatever row it is in."""
    batch = lay_out(examples, rows, filler=1, with_borders=model.config._attn_implementation == NAME)
    labels = batch.pop("labels")[:, 1:]
    log_probs = model(**batch, use_cache=False).logits[:, :-1].log_softmax(-1)
    losses = -log_probs.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    found = {}
    for line, row in enumerate(rows):
        start = 0
        for index in row:
            example = examples[index]
            found[index] = losses[line, start + len(example.prompt) - 1 : start + len(example) - 1]
            start += len(example)
    return found


@pytest.mark.parametrize("attention", [NAME, "sdpa", "eager"])
def test_packed_losses_are_those_of_each_example_alone(
    attention: str, random_model: Path, examples: list[TrainingExample]
) -> None:
    model = AutoModelForCausalLM.from_pretrained(random_model, attn_implementation=attention)
    packed = token_losses(model, examples, [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9, 10]])
    for index, losses in packed.items():
        alone = token_losses(model, examples, [[index]])[index]
        assert len(losses) == len(examples[index].completion)
        torch.testing.assert_close(losses, alone, atol=1e-4, rtol=0)


def test_without_the_block_diagonal_mask_examples_see_each_other(
    random_model: Path, examples: list[TrainingExample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda *_: None)
    model = AutoModelForCausalLM.from_pretrained(random_model, attn_implementation="sdpa")
    packed = token_losses(model, examples, [[0, 1]])[1]
    alone = token_losses(model, examples, [[1]])[1]
    assert (packed - alone).abs().max() > 1e-2
    with pytest.raises(Permanent, match="batching=length_grouped"):
        check_packing(model, examples)


def test_a_model_that_does_not_take_attention_by_example_keeps_its_own(examples: list[TrainingExample]) -> None:
    """Nemotron settles its attention when it is made."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = NemotronConfig(vocab_size=512, num_key_value_heads=2, **sizes)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    settle_packing(model, examples, "midtrain")
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_attention_by_example_needs_no_mask_and_has_the_gradients_of_the_mask(
    autocast: bool, random_model: Path, examples: list[TrainingExample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys and values have fewer heads than queries, rows have filler, and layers are computed again, as on a GPU."""
    found = []
    for own in (False, True):
        config = AutoConfig.from_pretrained(random_model, num_key_value_heads=2)
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
        if own:
            monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda *_: pytest.fail("a mask"))
            assert use_attention_by_example(model)
            model.gradient_checkpointing_enable()
            assert model.training
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            losses = token_losses(model, examples, [[0, 1, 2, 3], [4, 5]])
        torch.cat(list(losses.values())).mean().backward()
        found.append(([losses[index] for index in range(6)], [parameter.grad for parameter in model.parameters()]))
    torch.testing.assert_close(found[1], found[0], atol=2e-2 if autocast else 1e-5, rtol=2e-2 if autocast else 1e-4)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (MistralConfig, {"sliding_window": 8}),
        (Qwen3Config, {"layer_types": ["full_attention", "sliding_attention"]}),
        (Gemma2Config, {"layer_types": ["full_attention"] * 2, "sliding_window": None, "query_pre_attn_scalar": 12}),
        (LlamaConfig, {"attention_dropout": 0.1}),
    ],
)
def test_a_model_whose_attention_is_more_than_causal_keeps_its_own(kind: Any, settings: dict[str, Any]) -> None:
    sizes = {
        "hidden_size": 48,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "head_dim": 12,
    }
    config = kind(vocab_size=258, num_key_value_heads=4, pad_token_id=None, **sizes, **settings)
    assert not use_attention_by_example(AutoModelForCausalLM.from_config(config, attn_implementation="sdpa"))


def test_batching_and_micro_batches_do_not_change_the_model(train: Run, tmp_path: Path) -> None:
    runs = {
        "packed": {},
        "wide": {"pack_length": 512},
        "small": {"micro_batch_tokens": 1},
        "grouped": {"batching": "length_grouped"},
    }
    results = {name: train(name, **settings) for name, settings in runs.items()}
    weights = {name: load_file(tmp_path / name / "out" / "model.safetensors") for name in runs}
    for name in runs:
        assert results[name]["ledger"] == results["packed"]["ledger"]
        for key, value in weights[name].items():
            torch.testing.assert_close(value, weights["packed"][key], atol=2e-4, rtol=0)
    assert not torch.equal(weights["packed"]["model.norm.weight"], torch.ones(48))


def test_the_ledger_counts_every_completion_token_of_every_epoch(
    train: Run, examples: list[TrainingExample], tmp_path: Path
) -> None:
    ledger = train("run", epochs=3)["ledger"]
    tokens = sum(len(example.completion) for example in examples)
    assert ledger["completion_tokens"] == tokens
    assert ledger["trained_tokens"] == 3 * tokens
    assert ledger["trained_examples"] == 60
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 10))
    assert lines[-1]["values"]["trained_tokens"] == 3 * tokens
    assert {"loss", "learning_rate", "grad_norm", "tokens_per_s", "padding_share"} <= set(lines[0]["values"])


def test_a_restart_goes_on_from_the_last_checkpoint(train: Run, tmp_path: Path) -> None:
    class Crash(Reporter):
        def metrics(self, step: int, **values: float) -> None:
            if step == 4:
                raise KeyboardInterrupt
            super().metrics(step, **values)

    train("straight")
    (tmp_path / "broken").mkdir()
    with pytest.raises(KeyboardInterrupt):
        train("broken", reporter=Crash(tmp_path / "broken"))
    half_written = tmp_path / "broken" / "checkpoints" / "checkpoint-4"
    half_written.mkdir()
    (half_written / "trainer_state.json").write_text('{"global_step": ')
    for step, name in ((6, "model.safetensors"), (8, "optimizer.pt")):
        power_cut = tmp_path / "broken" / "checkpoints" / f"checkpoint-{step}"
        shutil.copytree(tmp_path / "broken" / "checkpoints" / "checkpoint-2", power_cut)
        (power_cut / "trainer_state.json").write_text(f'{{"global_step": {step}}}')
        os.truncate(power_cut / name, 500)
    assert train("broken")["resumed_from_step"] == 2
    straight, broken = (tmp_path / name / "out" for name in ("straight", "broken"))
    assert (straight / "training.jsonl").read_text() == (broken / "training.jsonl").read_text()
    assert (straight / "model.safetensors").read_bytes() == (broken / "model.safetensors").read_bytes()


def test_a_loss_that_is_not_a_number_stops_with_its_cause(train: Run) -> None:
    with pytest.raises(Permanent, match="learning_rate"):
        train("nan", learning_rate=1e18, schedule="constant", max_grad_norm=0.0, epochs=4)


def test_the_compact_head_scores_like_trls(random_model: Path, examples: list[TrainingExample]) -> None:
    outputs = ("log_probs", "entropy", "is_top1")
    scored, gradients = [], []
    for compact in (False, True):
        model = AutoModelForCausalLM.from_pretrained(random_model)
        add_fused_lm_head(model, temperature=0.7, outputs=outputs)
        if compact:
            assert use_compact_head(model, temperature=0.7, outputs=outputs)
        result = model(**lay_out(examples, [[0, 1], [2, 3]], filler=1), fused_lm_head=True)
        result.loss.backward()
        scored.append(result)
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    for name in ("loss", "label_mask", *outputs):
        torch.testing.assert_close(getattr(scored[1], name), getattr(scored[0], name))
    torch.testing.assert_close(gradients[1], gradients[0])


def test_a_model_that_waits_on_a_cpu_to_be_sharded_keeps_trls_head(
    random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL's head gathers the output layer, of which DeepSpeed leaves nothing in its place."""
    model = AutoModelForCausalLM.from_pretrained(random_model)
    add_fused_lm_head(model)
    trls = model.forward
    monkeypatch.setitem(os.environ, "ACCELERATE_USE_DEEPSPEED", "true")
    assert not use_compact_head(model, temperature=1.0, outputs=("log_probs",))
    assert model.forward == trls


def test_the_entropy_of_each_token_is_part_of_the_loss_and_of_its_gradient(
    random_model: Path, examples: list[TrainingExample]
) -> None:
    model = AutoModelForCausalLM.from_pretrained(random_model)
    batch = lay_out(examples, [[0, 1], [2]], filler=1)
    labels = batch["labels"][:, 1:]
    scores = model(**{**batch, "labels": None}, use_cache=False).logits[:, :-1].log_softmax(-1)[labels != IGNORED]
    own = scores.gather(-1, labels[labels != IGNORED][:, None]).squeeze(-1)
    wanted = own + 0.3 * -(scores.exp() * scores).sum(-1)
    wanted.sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    use_compact_head(model, temperature=1.0, outputs=("log_probs", "entropy"))
    reward_entropy(model, 0.3)
    output = model(**batch, fused_lm_head=True)
    torch.testing.assert_close(output.log_probs[labels != IGNORED], wanted, atol=1e-4, rtol=0)
    output.log_probs.sum().backward()
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-3, rtol=1e-3)
    assert model(batch["input_ids"]).logits is not None


def test_training_that_rewards_entropy_keeps_more_of_it(train: Run, tmp_path: Path) -> None:
    ends = {}
    for weight in (0.0, 0.3):
        train(f"entropy-{weight}", learning_rate=1e-2, epochs=4, entropy_coef=weight)
        lines = (tmp_path / f"entropy-{weight}" / "out" / "training.jsonl").read_text().splitlines()
        ends[weight] = [json.loads(line)["entropy"] for line in lines]
    assert ends[0.3][0] == pytest.approx(ends[0.0][0])
    assert ends[0.3][-1] > 1.2 * ends[0.0][-1]
