"""What trainings of adapters have in common: their size here, and what holds of every artifact they leave."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.models.causal_lm import load_causal_lm
from tasks.shared.models.files import local_names, local_reader, model_files
from tasks.shared.models.weights import read_weights
from tasks.spine.stage.worker import Reporter
from tests.support.grpo_runs import Crash, curve

LORA = {"rank": 4, "alpha": 8}
TOLERANCE = 1e-4
"""Largest difference of a log-probability between the merged model and base with adapters: rounding in float32."""


def check_artifact(base: Path, out: Path) -> None:
    """The model in `out` is `base` with its adapters: whole by itself, changed, and the same to the log-probability."""
    assert "adapter/adapter_config.json" not in model_files(local_names(out), local_reader(out))
    assert read_weights(out).files == ("model.safetensors",)
    before, after = load_file(base / "model.safetensors"), load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("_proj." in name for name in changed)
    probabilities = [log_probs(load_causal_lm(folder, dtype="float32")) for folder in (base, out)]
    adapted = log_probs(PeftModel.from_pretrained(load_causal_lm(base, dtype="float32"), out / "adapter"))
    torch.testing.assert_close(probabilities[1], adapted, atol=TOLERANCE, rtol=0)
    assert (probabilities[0] - adapted).abs().max() > 10 * TOLERANCE
    assert json.loads((out / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == "model/base"


def stored_in_bfloat16(model: Path, folder: Path) -> Path:
    """A copy of a model with weights of 16 bits."""
    load_causal_lm(model, dtype="bfloat16").save_pretrained(folder)
    load_tokenizer(model).save_pretrained(folder)
    return folder


def check_bfloat16_artifact(stored: Path, out: Path) -> None:
    """The adapters in `out` learned in float32, and its weights are those of `stored` with them, rounded once."""
    adapters = load_file(out / "adapter" / "adapter_model.safetensors")
    assert {weight.dtype for weight in adapters.values()} == {torch.float32}
    assert all(weight.any() for weight in adapters.values())
    before, after = (load_file(folder / "model.safetensors") for folder in (stored, out))
    for name, weight in before.items():
        a, b = (adapters.get(f"base_model.model.{name.replace('weight', f'lora_{half}.weight')}") for half in "AB")
        expected = weight.float() if a is None else weight.float() + b @ a * 2.0
        assert torch.equal(after[name], expected.to(torch.bfloat16)), name


def trained_and_resumed(
    run: Callable[..., dict[str, Any]], make_job: Callable[..., Any], settings: dict[str, Any], base: Path, folder: Path
) -> list[dict[str, float]]:
    """The curve of an RL training of adapters, of which every artifact holds, and an interrupted one ends the same."""
    half = settings["steps"] // 2
    jobs = [
        make_job(name, save_every_steps=half, **settings).model_copy(update={"model_name": "model/base"})
        for name in ("straight", "broken")
    ]
    straight, broken = jobs
    run(straight, Reporter(folder / "straight"))
    check_artifact(base, straight.out)
    with pytest.raises(KeyboardInterrupt):
        run(broken, Crash(folder / "broken", at=half + 1))
    assert run(broken, Reporter(folder / "broken"))["resumed_from_step"] == half
    points = curve(folder / "straight")
    assert curve(folder / "broken") == points
    assert adapter_bytes(broken.out) == adapter_bytes(straight.out)
    assert (broken.out / "model.safetensors").read_bytes() == (straight.out / "model.safetensors").read_bytes()
    return points


def adapter_bytes(out: Path) -> list[bytes]:
    """Files of the adapters in the order of their names."""
    return [path.read_bytes() for path in sorted((out / "adapter").iterdir())]


@torch.no_grad()
def log_probs(model: torch.nn.Module) -> torch.Tensor:
    """Log-probabilities of every token behind a fixed text."""
    return model(input_ids=torch.arange(2, 34)[None]).logits.float().log_softmax(-1)
