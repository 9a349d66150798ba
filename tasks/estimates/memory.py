"""Peak memory of a recipe's phases against a device's, and the setting to lower where one does not fit.

Rough by design: activations are counted from the shapes that a layer keeps, which is good to about a fifth.
"""

from dataclasses import dataclass, replace

from tasks.entropy.config import EntropyConfig
from tasks.estimates.training_memory import LARGER, MemoryNeed, sharded, trainer_bytes, training_need
from tasks.filter.adherence.config import LikelihoodRatioScorer, RewardModelScorer
from tasks.filter.config import FilterConfig
from tasks.midtrain.config import MidtrainConfig
from tasks.recipe.base import Recipe
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe
from tasks.rmt.config import RMTTrainConfig
from tasks.shared.costs.devices import GIB, Device
from tasks.shared.costs.engine_memory import GRAPHS, VLLM_BATCH_TOKENS, engine_parts
from tasks.shared.engines.protocol import Sampling
from tasks.shared.models.facts import ModelFacts, model_facts
from tasks.shared.training.config import RL_TOKENS, SFT_TOKENS, GRPOSettings

CONTEXT = 1.5 * GIB
"""CUDA's own memory and fragmentation (ours)."""
SCORING_TOKENS = 65_536
"""Tokens of one forward pass in scoring."""
SFT_PASS = "sft_micro_batch_tokens", SFT_TOKENS["cuda"]
RL_PASS = "rl_micro_batch_tokens", RL_TOKENS["cuda"]
"""The setting of a training pass's tokens, and what it is where that is 0."""
ENTROPY_TOKENS = 65_536
"""Tokens of one forward pass of `entropy`."""
ENTROPY_LOGITS = 1 << 27
"""Logits that `entropy` has in memory at a time."""


class MemoryShort(ValueError):
    """A phase of a recipe needs more memory than a device has."""


def memory(recipe: Recipe, device: Device) -> list[MemoryNeed]:
    """Peak memory of every phase that loads the model on a GPU; nothing for the CPU, whose models are small.

    A phase that an arm's own settings change stands once more, with the name of the arm.
    """
    if device.is_cpu:
        return []
    needs = _needs(recipe, device)
    for name in recipe.arms:
        own = [need for need in _needs(recipe.arm(name), device) if need not in needs]
        needs += [replace(need, phase=f"{need.phase} ({name})") for need in own]
    return needs


def _needs(recipe: Recipe, device: Device) -> list[MemoryNeed]:
    base, teacher = model_facts(recipe.model), getattr(getattr(recipe, "generate", None), "model", None)
    facts = {name: model_facts(teacher) for name in ("generate", "filter")} if teacher else {}
    return [
        need
        for section in recipe.stage_sections().values()
        for need in _phases(recipe, facts.get(section, base), device, section)
    ]


def _phases(recipe: Recipe, facts: ModelFacts, device: Device, section: str) -> list[MemoryNeed]:
    """What a stage does with the model, as the kind of its settings says."""
    config = getattr(recipe, section)
    if isinstance(config, GRPOSettings):
        stage = _Reinforced(section, config, _prompt_tokens(recipe, section))
        beside = _beside(recipe, facts, device, section, config)
        return [_rollouts(recipe, facts, device, stage), _update(recipe, facts, device, stage), *beside]
    if isinstance(config, EntropyConfig):
        return [_entropy(facts, device, config)]
    if isinstance(config, MidtrainConfig):
        return [_fine_tuning(recipe, facts, device, section, config)] if getattr(config, "enabled", True) else []
    if isinstance(config, FilterConfig):
        return _scoring(facts, device, config)
    if isinstance(sampling := getattr(config, "sampling", None), Sampling):
        return [_engine(recipe, facts, device, section, sampling, _prompt_tokens(recipe, section))]
    return []


def _prompt_tokens(recipe: Recipe, section: str) -> int:
    """Longest prompt of a stage: of the schedule where RMT's own stages sample, else one with a question."""
    if isinstance(recipe, RmtRecipe) and section not in Recipe.model_fields:
        return recipe.schedule.max_prompt_tokens
    return recipe.rl.max_prompt_tokens


def require_fit(recipe: Recipe, device: Device) -> None:
    """Raise MemoryShort naming each phase that does not fit, what it needs, and the setting to lower."""
    short = [need for need in memory(recipe, device) if not need.fits]
    if short:
        lines = [
            f"{need.phase} needs {need.needed / GIB:.1f} GiB of {need.available / GIB:.1f} GiB on {device.label}: "
            f"{need.advice}"
            for need in short
        ]
        raise MemoryShort(f"recipe {recipe.name!r} does not fit:\n  " + "\n  ".join(lines))


@dataclass(frozen=True)
class _Reinforced:
    """A stage that is trained by GRPO."""

    section: str
    config: GRPOSettings
    max_prompt_tokens: int

    @property
    def longest(self) -> int:
        """Tokens of the longest rollout with its prompt."""
        return self.max_prompt_tokens + self.config.max_completion_tokens


def _engine(
    recipe: Recipe, facts: ModelFacts, device: Device, section: str, sampling: Sampling, max_prompt_tokens: int
) -> MemoryNeed:
    """One engine alone on the device; it must hold at least one sequence of the greatest length."""
    runtime = recipe.runtime
    longest = min(max_prompt_tokens + sampling.max_new_tokens, facts.max_position_embeddings)
    parts = engine_parts(facts, VLLM_BATCH_TOKENS) | {"cache": float(longest * facts.cache_bytes)}
    advice = (
        f"lower {section}.sampling.max_new_tokens={sampling.max_new_tokens}, or raise "
        f"runtime.gpu_memory_utilization={runtime.gpu_memory_utilization} or runtime.tensor_parallel_size"
    )
    gpus = runtime.tensor_parallel_size
    return MemoryNeed(section, parts, runtime.gpu_memory_utilization * device.memory_bytes * gpus, advice)


def _scoring(facts: ModelFacts, device: Device, config: FilterConfig) -> list[MemoryNeed]:
    """Adherence by a model that is loaded here: one forward pass.

    A likelihood ratio needs the caches of the prompts' shared part, and logits; a reward model has neither.
    """
    scorer = config.scorer
    if not isinstance(scorer, LikelihoodRatioScorer | RewardModelScorer):
        return []
    facts = model_facts(scorer.model) if isinstance(scorer, RewardModelScorer) else facts
    parts = {
        "weights": float(facts.stored_bytes),
        "activations": SCORING_TOKENS * (8 * facts.hidden_size + 3 * facts.intermediate_size) * 2.0,
    }
    if isinstance(scorer, LikelihoodRatioScorer):
        parts |= {"cache": 1.1 * SCORING_TOKENS * facts.cache_bytes, "logits": 2.0 * (1 << 28)}
    advice = "set filter.scorer.type=none, or score on a larger device"
    return [MemoryNeed("filter", parts, device.memory_bytes - CONTEXT, advice)]


def _entropy(facts: ModelFacts, device: Device, config: EntropyConfig) -> MemoryNeed:
    """A forward pass over windows of the texts, and the logits of some positions of it."""
    width = 4 if config.dtype == "float32" else 2
    parts = {
        "weights": float(facts.parameters * width),
        "activations": ENTROPY_TOKENS * (8 * facts.hidden_size + 3 * facts.intermediate_size) * float(width),
        # As they come, and as float32 before and after their softmax.
        "logits": float(ENTROPY_LOGITS * (width % 4 + 8)),
    }
    advice = "set entropy.dtype=bfloat16" if width == 4 else LARGER
    return MemoryNeed("entropy", parts, device.memory_bytes - CONTEXT, advice)


def _rollouts(recipe: Recipe, facts: ModelFacts, device: Device, stage: _Reinforced) -> MemoryNeed:
    """vLLM awake beside a trainer that holds weights and moments; gradients are gone by then."""
    share, phase = recipe.runtime.rollout_gpu_memory_utilization, f"{stage.section} rollouts"
    parted, gpus = sharded(recipe.runtime), recipe.runtime.rollout_tensor_parallel_size
    state = trainer_bytes(facts, stage.config, recipe.runtime)
    held = {name: size for name, size in state.items() if name not in ("gradients", "bfloat16 copies")}
    trainer = {f"trainer's {name}": size / parted.get(name, 1) for name, size in held.items()}
    least = sum(engine_parts(facts, 4096, gpus).values()) + stage.longest * facts.cache_bytes / gpus
    taken = share * device.memory_bytes
    setting = f"runtime.rollout_gpu_memory_utilization={share}"
    if least > taken:
        # An engine that cannot hold one rollout fails, however much memory lies beside its share.
        lower = f"{stage.section}.max_completion_tokens"
        advice = f"raise {setting} to {least / device.memory_bytes + 0.005:.2f}, or lower {lower}"
        return MemoryNeed(phase, {**trainer, "vLLM": least}, sum(trainer.values()) + taken, advice)
    available = device.memory_bytes - CONTEXT
    room = available - sum(trainer.values())
    advice = f"lower {setting} to {room / device.memory_bytes - 0.005:.2f}" if room > least else LARGER
    return MemoryNeed(phase, {**trainer, "vLLM": taken}, available, advice)


def _fine_tuning(recipe: Recipe, facts: ModelFacts, device: Device, section: str, config: MidtrainConfig) -> MemoryNeed:
    length = max(config.max_length, config.pack_length)
    lower = f"{section}.max_length={config.max_length}"
    available = device.memory_bytes - CONTEXT
    return training_need(section, recipe, facts, config, length, *SFT_PASS, available, lower)


def _beside(recipe: Recipe, facts: ModelFacts, device: Device, section: str, config: GRPOSettings) -> list[MemoryNeed]:
    """Cross-entropy on other rows in RL's steps, whose passes come before those of the rollouts."""
    if isinstance(config, RMTTrainConfig):
        phase, length = "texts", config.ntp_context_tokens
        lower = f"{section}.ntp_context_tokens={length}"
    elif isinstance(recipe, PolyaRecipe) and recipe.rl.sft_weight:
        longest = recipe.generate.sampling.max_new_tokens
        phase, length = "solutions", recipe.rl.max_prompt_tokens + longest
        lower = f"generate.sampling.max_new_tokens={longest}"
    else:
        return []
    available = device.memory_bytes - CONTEXT - GRAPHS
    return [training_need(f"{section} {phase}", recipe, facts, config, length, *SFT_PASS, available, lower)]


def _update(recipe: Recipe, facts: ModelFacts, device: Device, stage: _Reinforced) -> MemoryNeed:
    config = stage.config
    lower = f"{stage.section}.max_completion_tokens={config.max_completion_tokens}"
    available = device.memory_bytes - CONTEXT - GRAPHS
    return training_need(f"{stage.section} update", recipe, facts, config, stage.longest, *RL_PASS, available, lower)
