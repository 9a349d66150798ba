"""What trainings of adapters have in common: their size here, and what holds of every artifact they leave."""

import json
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file

from tasks.shared.models.causal_lm import load_causal_lm
from tasks.shared.models.files import local_names, local_reader, model_files
from tasks.shared.models.weights import read_weights

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


def adapter_bytes(out: Path) -> list[bytes]:
    """Files of the adapters in the order of their names."""
    return [path.read_bytes() for path in sorted((out / "adapter").iterdir())]


@torch.no_grad()
def log_probs(model: torch.nn.Module) -> torch.Tensor:
    """Log-probabilities of every token behind a fixed text."""
    return model(input_ids=torch.arange(2, 34)[None]).logits.float().log_softmax(-1)
