"""A model of a size that is asked for."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from flows.doctor.sizes import ON_GPU
from tasks.shared.models.facts import ModelFacts
from tasks.shared.models.random_weights import write_random_llama
from tests.support.paths import TINY_MODEL

SHAPE = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 700}


@pytest.mark.slow
def test_all_weights_of_the_shape_are_there_and_none_besides(tmp_path: Path) -> None:
    facts = write_random_llama(tmp_path / "model", TINY_MODEL, SHAPE)
    model, loading = AutoModelForCausalLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(loading.values()), loading
    assert sum(weight.numel() for weight in model.parameters()) == facts.parameters
    assert AutoTokenizer.from_pretrained(tmp_path / "model").eos_token_id == model.config.eos_token_id


def test_the_model_of_the_smoke_run_on_a_gpu_has_348_million_weights() -> None:
    facts = ModelFacts(model_type="llama", max_position_embeddings=2048, tie_word_embeddings=True, **ON_GPU.shape)
    assert round(facts.parameters / 1e6) == 348
