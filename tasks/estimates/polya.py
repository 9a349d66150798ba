"""Cost of each stage of self-generated mid-training."""

from tasks.estimates.cost import STORED_PER_TOKEN, Costs, StageEstimate
from tasks.estimates.devices import Device
from tasks.estimates.workload import workload
from tasks.recipe.polya import PolyaRecipe

CHECKS_PER_S = 750
"""Answers that one core checks: math-verify on answers of 2,500 characters."""
QUESTION_BYTES = 250.0


class PolyaCosts(Costs):
    """Costs of one arm."""

    def __init__(self, recipe: PolyaRecipe, device: Device) -> None:
        super().__init__(recipe, device)
        self.recipe, self.work = recipe, workload(recipe)

    def all(self) -> dict[str, StageEstimate]:
        """Cost of each stage, by its name."""
        work, rl = self.work, self.recipe.rl
        return {
            "model": self.imported(),
            "questions": self.table(work.questions * QUESTION_BYTES),
            "generate": self._generate(),
            "filter": self._filter(),
            "dataset": self.table(work.trained.all_tokens / self.recipe.midtrain.epochs * STORED_PER_TOKEN),
            "rl_prompts": self.table(work.prompts * QUESTION_BYTES),
            "midtrain": self._midtrain(),
            "rl": self.reinforced(work.rollouts, rl, rl.prompts_per_step * rl.group_size),
            "evaluate": self.sampled(work.evaluated, self.recipe.evaluate.draws),
            "report": self.table(1e6),
        }

    def _generate(self) -> StageEstimate:
        work = self.work
        seconds = self.device.forward_s(self.facts, work.read) + self.decoding_s(work.generated)
        return self.made(
            seconds,
            tokens=work.generated.tokens,
            what="generated",
            flops=2 * self.facts.active * (work.read + work.generated.tokens),
            disk_bytes=work.generated.tokens * STORED_PER_TOKEN,
        )

    def _filter(self) -> StageEstimate:
        work = self.work
        checking = work.generated.count / CHECKS_PER_S / self.recipe.runtime.num_verifiers
        flops = 2 * self.facts.active * 2 * work.scored.all_tokens
        return self.made(
            checking + self.device.forward_s(self.facts, 2 * work.scored.all_tokens),
            tokens=2 * work.scored.all_tokens,
            what="scored",
            flops=flops,
            disk_bytes=work.generated.tokens * STORED_PER_TOKEN,
        )

    def _midtrain(self) -> StageEstimate:
        tokens = self.work.trained.all_tokens
        return self.made(
            self.device.training_s(self.facts, tokens),
            tokens=tokens,
            what="trained",
            flops=6 * self.facts.active * tokens,
            disk_bytes=self.facts.stored_bytes,
            scratch_bytes=self.checkpoints(),
        )
