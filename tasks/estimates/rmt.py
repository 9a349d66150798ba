"""Cost of each stage of reinforcement mid-training: documents, positions, rollouts of the budget's mean length."""

import math

from tasks.estimates.cost import STORED_PER_TOKEN, Costs, StageEstimate
from tasks.estimates.devices import Device
from tasks.estimates.workload import Texts, evaluated, rl_prompts, rl_rollouts, tokens
from tasks.recipe.rmt import RmtRecipe
from tasks.shared.next_token.method import TIERS, budget

UNBUDGETED_TOKENS = 872
"""Mean reasoning without a budget: RPT's, as arXiv 2509.24375 measured it."""
ANSWER_TOKENS = 12
"""A boxed prediction behind the reasoning (ours)."""
DOCUMENT_TOKENS = 700
"""Tokens of a document with its given part, where nothing better is known: a problem of Omni-MATH and its solution
(ours)."""
TINY_DOCUMENT_TOKENS = 56
TINY_REASONING_TOKENS = 30


class RmtCosts(Costs):
    """Costs of one arm."""

    def __init__(self, recipe: RmtRecipe, device: Device) -> None:
        """Raises ValueError where the number of training documents is not known."""
        super().__init__(recipe, device)
        self.recipe = recipe
        self.tiny = recipe.texts.source == "tiny"
        self.documents = self._documents()
        self.document_tokens = TINY_DOCUMENT_TOKENS if self.tiny else DOCUMENT_TOKENS
        schedule = recipe.schedule
        self.steps = schedule.steps or math.ceil(self.documents * schedule.epochs / schedule.positions_per_step)

    def all(self) -> dict[str, StageEstimate]:
        """Cost of each stage, by its name."""
        recipe = self.recipe
        held = self.documents + recipe.texts.evaluation_documents
        positions, rl = self.steps * recipe.schedule.positions_per_step, recipe.rl
        return {
            "model": self.imported(),
            "texts": self.table(held * self.document_tokens * STORED_PER_TOKEN),
            "entropy": self.read(held * self.document_tokens, "read"),
            "schedule": self.table(positions * self._prompt() * STORED_PER_TOKEN),
            "rmt_train": self._rmt(),
            "predict": self._predict(),
            "questions": self.table(rl_prompts(recipe) * 250.0),
            "rl_prompts": self.table(rl_prompts(recipe) * 250.0),
            "rl": self.reinforced(rl_rollouts(recipe), rl, rl.prompts_per_step * rl.group_size),
            "evaluate": self.sampled(evaluated(recipe), recipe.evaluate.draws),
            "report": self.table(1e6),
        }

    def _rmt(self) -> StageEstimate:
        config, batch = self.recipe.rmt_train, self.recipe.schedule.positions_per_step
        joint = self.steps * batch * self.document_tokens
        if config.objective == "ntp":
            return self._next_token(joint)
        if not config.ntp_weight:
            joint = 0
        mean = sum(self._reasoning(step) for step in range(self.steps)) / self.steps
        rollouts = Texts(
            self.steps * batch * config.group_size, self._prompt(), min(mean, config.max_completion_tokens)
        )
        return self.reinforced(rollouts, config, batch * config.group_size, joint)

    def _next_token(self, joint: float) -> StageEstimate:
        return self.made(
            self.device.training_s(self.facts, joint),
            tokens=joint,
            what="trained",
            flops=6 * self.facts.active * joint,
            disk_bytes=self.facts.stored_bytes,
            scratch_bytes=self.checkpoints(),
        )

    def _predict(self) -> StageEstimate:
        config = self.recipe.prediction_at_end()
        count = len(TIERS) * config.positions_per_tier * config.num_samples
        length = min(self._reasoning(self.steps), config.sampling.max_new_tokens)
        return self.sampled(Texts(count, self._prompt(), length), config.num_samples)

    def _reasoning(self, step: int) -> float:
        """Tokens of a completion at a step: the budget, which the length reward pays for."""
        if self.recipe.schedule.budget.enabled:
            return budget(step, self.steps, self.recipe.schedule.budget) + ANSWER_TOKENS
        return TINY_REASONING_TOKENS if self.tiny else UNBUDGETED_TOKENS + ANSWER_TOKENS

    def _prompt(self) -> float:
        """Mean tokens of a prompt: half a document and the request for the next token."""
        return self.document_tokens / 2 + tokens(self.recipe, len(self.recipe.prediction_prompt.template))

    def _documents(self) -> int:
        texts = self.recipe.texts
        held = texts.tiny.count if self.tiny else texts.limit
        if held is None:
            raise ValueError(f"how many documents {texts.source!r} holds is not known; set texts.limit")
        return min(held, texts.limit or held)
