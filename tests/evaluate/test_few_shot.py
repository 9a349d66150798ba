"""Worked examples of others: shown to the letter, part of the identity, and only before questions like them."""

from hashlib import sha256

import pytest

from tasks.estimates.stages import estimate
from tasks.evaluate.config import EvaluateConfig
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.costs.devices import device_named
from tasks.shared.prompts.config import fill

QUESTION = "A pen costs $3. What do 4 pens cost?"
# SHA-256 of what lm-evaluation-harness 0.4.13 shows for this question.
THEIRS = {
    ("gsm8k_cot", "gsm8k"): "1abbfead6826c5f2f880487466e41ffda5d57c5634f0354e4cff95fde1b6aa27",
    ("minerva_math", "math500"): "9f856a7ab42427dba0a59ac698bfd8581fc10f99c2f8cd662d7249a59abe1e0a",
}


@pytest.mark.parametrize(("name", "benchmark"), THEIRS)
def test_examples_are_shown_to_the_byte_as_the_harness_shows_them(name: str, benchmark: str) -> None:
    config = EvaluateConfig(few_shot=name, benchmarks=(benchmark,))
    shown = fill(config.shown_prompt.plain_template, question=QUESTION) + config.shown_prompt.cue
    assert config.shown_prompt.style == "plain"
    assert sha256(shown.encode()).hexdigest() == THEIRS[name, benchmark]
    assert config.drawn.stop


def test_examples_take_the_place_of_the_recipes_prompt_and_are_known_by_their_text() -> None:
    overrides = {"evaluate.benchmarks": ["gsm8k"], "evaluate.sampling.max_new_tokens": 64, "prompt.style": "chat"}
    bare = load(PolyaRecipe, "tiny-cpu", overrides).evaluate
    shown = load(PolyaRecipe, "tiny-cpu", {**overrides, "evaluate.few_shot": "gsm8k_cot"}).evaluate
    assert (bare.shown_prompt.style, shown.shown_prompt.style) == ("chat", "plain")
    assert shown.drawn == bare.drawn.model_copy(update={"stop": ("Q:", "</s>", "<|im_end|>")})
    assert "few_shot" not in shown.identity_payload()
    assert shown.identity_payload() != bare.identity_payload()
    assert EvaluateConfig.model_validate(shown.model_dump()) == shown


def test_unknown_examples_and_those_for_other_benchmarks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no worked examples 'gsm8k-cot'.*gsm8k_cot"):
        EvaluateConfig(few_shot="gsm8k-cot")
    with pytest.raises(ValueError, match=r"few_shot=gsm8k_cot is for gsm8k, svamp, and not for math500"):
        EvaluateConfig(few_shot="gsm8k_cot", benchmarks=("gsm8k", "math500"))


def test_examples_are_counted_in_what_an_evaluation_costs() -> None:
    overrides = {"evaluate.benchmarks": ["gsm8k"], "prompt.style": "chat"}
    bare, shown = (
        estimate(load(PolyaRecipe, "tiny-cpu", {**overrides, "evaluate.few_shot": name}), device_named("cpu"))[
            "evaluate"
        ]
        for name in ("", "gsm8k_cot")
    )
    assert shown.flops > 1.5 * bare.flops
