"""What each stage of a recipe costs on a device: tokens, operations, hours, disk.

Operations are 2 a weight and token that is read or written and 6 a weight and token that is trained; attention's own
are left out, which is under a tenth of them at the lengths of mathematical solutions. Hours come from `devices.yaml`.
"""

from dataclasses import dataclass

from tasks.artifacts.plan import PlannedStage
from tasks.estimates.devices import Device, device_of
from tasks.estimates.memory import VLLM_BATCH_TOKENS, VLLM_SEQUENCES, cache_tokens
from tasks.estimates.workload import Texts, Workload, workload
from tasks.models.facts import ModelFacts, model_facts
from tasks.recipe.polya import PolyaRecipe

STORED_PER_TOKEN = 1.6
"""Bytes of text in compressed Parquet (ours)."""
HASHED_PER_S = 5e8
"""Bytes of a model's files that are hashed when it is first met; its download is not counted (ours)."""
CHECKS_PER_S = 750
"""Answers that one core checks: math-verify on answers of 2,500 characters."""
ROLLOUT_TAIL = 1.5
"""How much longer a rollout batch lasts than its mean length asks, because it waits for its longest (ours)."""


@dataclass(frozen=True)
class StageEstimate:
    """Expected cost of one run of a stage."""

    device: str
    """What the hours are hours of."""
    hours: float
    tokens: float = 0
    """Written by the model, or trained on."""
    what: str = ""
    """What the tokens are."""
    flops: float = 0
    disk_bytes: float = 0
    """Of the artifact."""
    scratch_bytes: float = 0
    """On top while the stage runs."""

    @property
    def text(self) -> str:
        """One line for people."""
        spent = f"{amount(self.tokens)} tokens {self.what}" if self.tokens else ""
        return ", ".join(filter(None, (f"estimate: {duration(self.hours, self.device)}", spent)))


def estimate(recipe: PolyaRecipe, device: Device) -> dict[str, StageEstimate]:
    """Expected cost of every stage by its name; `recipe.arm(name)` gives the recipe of an arm.

    `questions` stands for any one question set and `evaluate` for one model.

    Raises:
        ValueError: the model's shape, or the size of a question set, is not known.
    """
    return _Estimator(recipe, device).all()


def planned_cost(row: PlannedStage) -> str:
    """What a plan says of a stage: the seconds that the last artifact of its kind took, and the estimate."""
    if row.verdict == "hit":
        return "none"
    last = f"about {row.seconds:.0f} s (the last time)" if row.seconds is not None else ""
    return "; ".join(filter(None, (last, _estimated(row)))) or "unknown: never run here"


def _estimated(row: PlannedStage) -> str:
    if not isinstance(row.context, PolyaRecipe):
        return ""
    try:
        found = estimate(row.context, device_of(row.context)).get(row.stage)
    except ValueError as error:
        return f"no estimate: {error}"
    return found.text if found else ""


def amount(value: float) -> str:
    """A count in three digits: 850, 12 k, 3.4 M."""
    for size, unit in ((1e18, " E"), (1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def duration(hours: float, device: str) -> str:
    """Device-hours, in minutes where that reads better."""
    if hours < 1 / 60:
        return "under a minute"
    return f"{hours * 60:.0f} {device}-min" if hours < 1 else f"{hours:.1f} {device}-hours"


class _Estimator:
    def __init__(self, recipe: PolyaRecipe, device: Device) -> None:
        self.recipe, self.device = recipe, device
        self.facts: ModelFacts = model_facts(recipe.model)
        self.work: Workload = workload(recipe)
        self.vllm = recipe.runtime.engine == "vllm" or (recipe.runtime.engine == "auto" and not device.is_cpu)

    def all(self) -> dict[str, StageEstimate]:
        work, rows = self.work, 250.0
        return {
            "model": StageEstimate(self.device.label, self.facts.stored_bytes / HASHED_PER_S / 3600),
            "questions": self._table(work.questions * rows),
            "generate": self._generate(),
            "filter": self._filter(),
            "materialize": self._table(work.trained.all_tokens / self.recipe.midtraining.epochs * STORED_PER_TOKEN),
            "prompts": self._table(work.prompts * rows),
            "midtrain": self._midtrain(),
            "rl": self._rl(),
            "evaluate": self._evaluate(),
            "report": self._table(1e6),
        }

    def _table(self, disk_bytes: float) -> StageEstimate:
        return StageEstimate(self.device.label, disk_bytes / 20e6 / 3600, disk_bytes=disk_bytes)

    def _generate(self) -> StageEstimate:
        work = self.work
        seconds = self.device.forward_s(self.facts, work.read) + self._decoding_s(work.generated)
        return self._made(
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
        return self._made(
            checking + self.device.forward_s(self.facts, 2 * work.scored.all_tokens),
            tokens=2 * work.scored.all_tokens,
            what="scored",
            flops=flops,
            disk_bytes=work.generated.tokens * STORED_PER_TOKEN,
        )

    def _midtrain(self) -> StageEstimate:
        tokens = self.work.trained.all_tokens
        return self._made(
            self.device.training_s(self.facts, tokens),
            tokens=tokens,
            what="trained",
            flops=6 * self.facts.active * tokens,
            disk_bytes=self.facts.stored_bytes,
            scratch_bytes=self._checkpoints(),
        )

    def _rl(self) -> StageEstimate:
        """Rollouts, one pass for their probabilities where vLLM wrote them, and the updates."""
        work, config = self.work, self.recipe.rl
        tokens = work.rollouts.all_tokens
        updates = tokens * config.num_iterations
        reread = tokens if self.vllm else 0
        seconds = (
            ROLLOUT_TAIL * self._decoding_s(work.rollouts, batch=config.prompts_per_step * config.group_size)
            + self.device.forward_s(self.facts, reread)
            + self.device.training_s(self.facts, updates)
        )
        return self._made(
            seconds,
            tokens=work.rollouts.tokens,
            what="rolled out",
            flops=self.facts.active * (2 * work.rollouts.tokens + 2 * reread + 6 * updates),
            disk_bytes=self.facts.stored_bytes,
            scratch_bytes=self._checkpoints(),
        )

    def _evaluate(self) -> StageEstimate:
        texts = self.work.evaluated
        draws = self.recipe.evaluation.samples + self.recipe.evaluation.greedy
        read = texts.count * texts.prompt / draws
        return self._made(
            self.device.forward_s(self.facts, read) + self._decoding_s(texts),
            tokens=texts.tokens,
            what="generated",
            flops=2 * self.facts.active * (texts.tokens + read),
            disk_bytes=texts.tokens * STORED_PER_TOKEN,
        )

    def _decoding_s(self, texts: Texts, batch: float | None = None) -> float:
        """Seconds to write completions; `batch` is how many are asked for at once, in RL."""
        if not texts.count:
            return 0.0
        context = texts.prompt + texts.completion / 2
        runtime = self.recipe.runtime
        at_once = float(VLLM_SEQUENCES) if self.vllm else runtime.batch_size
        if self.vllm and not self.device.is_cpu:
            share, read = runtime.gpu_memory_utilization, VLLM_BATCH_TOKENS
            if batch is not None:
                share, read = runtime.rollout_gpu_memory_utilization, VLLM_BATCH_TOKENS // 2
            held = cache_tokens(self.facts, self.device, share, read)
            at_once = min(at_once, max(1.0, held / context))
        return self.device.decoding_s(self.facts, texts.tokens, context, min(at_once, batch or texts.count))

    def _checkpoints(self) -> float:
        """Float32 weights and both AdamW moments; a new one is whole before the old one goes."""
        return 2 * 12.0 * self.facts.parameters

    def _made(self, seconds: float, **values: float | str) -> StageEstimate:
        hours = (seconds + self.device.start_s) / 3600
        return StageEstimate(self.device.label, hours, **values)
