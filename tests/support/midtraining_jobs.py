"""Small mid-training jobs and a comparison of what two of them made."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.midtrain.worker import run
from tasks.spine.stage.worker import Reporter
from tests.support.training_rows import rows_of, write_rows


def job(
    model: Path,
    dataset: Path,
    folder: Path,
    lora: Mapping[str, object] | None = None,
    settings: dict[str, object] | None = None,
    **place: object,
) -> MidtrainJob:
    """Two epochs in batches of 8, in the folder `folder`, unless `settings` say otherwise."""
    (folder / "out").mkdir(parents=True, exist_ok=True)
    return MidtrainJob(
        model=model,
        data=dataset,
        out=folder / "out",
        checkpoints=folder / "checkpoints",
        num_threads=1,
        config=MidtrainConfig(
            **{"learning_rate": 1e-3, "epochs": 2, "batch_size": 8, "lora": lora, **(settings or {})}
        ),
        **place,
    )


def learned(folder: Path, model: Path, pairs: Iterable[tuple[str, str]], epochs: int) -> Path:
    """The model after some seconds of mid-training on prompts with their completions; returns its folder."""
    settings = {"learning_rate": 1e-2, "epochs": epochs, "batch_size": 16}
    data = write_rows(folder / "train.parquet", rows_of(pairs))
    run(job(model, data, folder, settings=settings, save_every_steps=10_000), Reporter(folder))
    return folder / "out"


def points(folder: Path) -> list[dict[str, float]]:
    """The training curve that a run wrote."""
    return [json.loads(line) for line in (folder / "out" / "training.jsonl").read_text().splitlines()]


def check_same(folder: Path, other: Path) -> None:
    """Two runs have the same curve and the same weights."""
    for point, expected in zip(points(folder), points(other), strict=True):
        for name in ("loss", "grad_norm", "learning_rate", "trained_tokens"):
            assert point[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-6), (name, point["step"])
    weights, wanted = (load_file(each / "out" / "model.safetensors") for each in (folder, other))
    assert weights.keys() == wanted.keys()
    for key, value in weights.items():
        assert value.dtype == wanted[key].dtype
        torch.testing.assert_close(value, wanted[key], atol=5e-4, rtol=0)
