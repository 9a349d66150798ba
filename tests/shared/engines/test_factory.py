"""Which engine `auto` is."""

from pathlib import Path

import pytest

from tasks.shared.engines.factory import cpu_engine, engine_name
from tasks.spine.store.runtime import Runtime


@pytest.mark.parametrize(
    ("weights", "has_vllm", "engine"),
    [
        (135_000_000, True, "transformers"),
        (299_999_999, True, "transformers"),
        (300_000_000, True, "vllm"),
        (1_100_000_000, True, "vllm"),
        (1_100_000_000, False, "transformers"),
    ],
)
def test_on_a_cpu_a_large_model_goes_to_vllm_where_there_is_one(weights: int, has_vllm: bool, engine: str) -> None:
    assert cpu_engine(weights, has_vllm=has_vllm) == engine


def test_the_size_is_read_from_the_files_and_an_engine_that_is_named_is_taken(tiny_model: Path) -> None:
    assert engine_name(Runtime(device="cpu"), tiny_model) == "transformers"
    assert engine_name(Runtime(device="cpu", engine="vllm"), tiny_model) == "vllm"
    assert engine_name(Runtime(engine="openai"), Path("not here")) == "openai"
