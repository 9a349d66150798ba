"""What a model is measured on, and how often."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from tasks.config import ADDED, NOT_HASHED, Frozen, Seed, StageConfig
from tasks.errors import did_you_mean
from tasks.evaluate.few_shot import check_benchmarks, few_shot
from tasks.filter.adherence.config import RewardModelScorer
from tasks.questions.config import QuestionsConfig
from tasks.questions.fields import FieldMapping
from tasks.shared.engines.protocol import Sampling
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.sandbox.config import SandboxConfig
from tasks.shared.verification.config import VerificationConfig
from tasks.yaml_text import read_yaml

BENCHMARKS = Path(__file__).parent / "benchmarks"
OWN_FIELDS = FieldMapping(question="question", answer="answer")
"""Fields of a file of a user's own that comes without a definition."""


class Benchmark(Frozen):
    """A question set with a name that tables use."""

    title: str
    questions: QuestionsConfig
    """The publisher's set; `EvaluateConfig.sources` may say that it lies elsewhere."""
    styles: dict[str, str] = {}
    """First word of an answer in each style that is to be counted, where a model's answers show theirs so."""
    answers: Literal["math", "choice", "code"] = "math"
    """What an answer is: mathematics, a letter (read by the same rules), or code that unit tests run in the sandbox."""
    answer_instruction: str = ""
    """How an answer is to be stated, in the place of `prompt.answer_instruction`; empty leaves that."""
    version: int = Field(1, ge=1)
    """Raised when the same completions get other verdicts than before for a reason that stands in this file alone."""

    def identity_payload(self) -> dict[str, Any]:
        """What of it, apart from questions and styles, decides on completions and verdicts; empty where it is usual."""
        told = ("answers", "answer_instruction", "version")
        usual = type(self).model_fields
        return {name: value for name in told if (value := getattr(self, name)) != usual[name].default}

    def prompt(self, prompt: PromptConfig) -> PromptConfig:
        """The prompt of its questions."""
        changed = {"answer_instruction": self.answer_instruction} if self.answer_instruction else {}
        return prompt.model_copy(update=changed)


@cache
def benchmark(name: str) -> Benchmark:
    """A benchmark by the name of its file in `benchmarks/`.

    Raises:
        ValueError: there is none of that name.
    """
    path = BENCHMARKS / f"{name}.yaml"
    if not path.exists():
        raise ValueError(f"no benchmark {name!r}; there are: {', '.join(benchmark_names())}")
    return Benchmark.model_validate(yaml.safe_load(path.read_text()))


def benchmark_names() -> list[str]:
    """Benchmarks that ship with the project; adding a file adds one."""
    return sorted(path.stem for path in BENCHMARKS.glob("*.yaml"))


class EvaluationSampling(Sampling):
    """Sampling of the whole distribution, as long as RL's completions; a class, so that a recipe may set one field."""

    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus; 1 keeps all."""
    max_new_tokens: int = Field(3072, ge=1)
    """Longest completion; the paper's in RL."""


class EvaluateConfig(StageConfig):
    """Evaluation by sampling: unbiased pass@k, and greedy decoding. Counts and intervals are ours."""

    STAGE: ClassVar[str] = "evaluate"

    benchmarks: tuple[str, ...] = ("math500", "aime24", "amc23")
    """Names of files in `tasks/evaluate/benchmarks`, or of your own, whose place `sources` says."""
    sources: Annotated[dict[str, str], NOT_HASHED] = {}
    """Where a benchmark's file lies, when it is not to come from the hub: `{"gsm8k": "data/test.jsonl"}`. One of your
    own is a YAML file as those in `tasks/evaluate/benchmarks`, or data with the fields `question` and `answer`."""
    parts: Annotated[dict[str, str], NOT_HASHED] = {}
    """Share of a benchmark that is asked, `{"svamp": "70-100"}`, where the rest of its set is trained on; see
    `questions.part`."""
    limit: int | None = Field(None, ge=1)
    """Questions of each benchmark at most; for trial runs."""
    samples: int = Field(64, ge=1)
    """Completions per question for pass@k; the paper draws 64."""
    greedy: bool = True
    """Also decode once at temperature 0."""
    sampling: EvaluationSampling = EvaluationSampling()
    """How the samples are drawn; greedy decoding differs in its temperature alone."""
    reward_model: Annotated[RewardModelScorer | None, ADDED] = None
    """Reads each question with each sample; best@k is how often the one that it likes best among k is right. None:
    there is no best@k (ours)."""
    solutions: Annotated[str, NOT_HASHED] = ""
    """Artifact of `filter` (`filtered/3f2a9c...`) whose kept solutions the model reads: the likelihood that it gives to
    right solutions, known before RL is paid for. None of its questions should be trained on. Empty: it is not measured
    (ours)."""
    seed: Seed = 0
    """Seed of the samples and of the bootstrap; not the recipe's, so that a model has one evaluation, whichever seed
    trained it. A sample's draws follow from this seed, its number, the prompt and the model's weights."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of the intervals."""
    resamples: int = Field(2000, ge=100)
    """Bootstrap resamples of questions."""
    few_shot: Annotated[str, NOT_HASHED] = ""
    """Worked examples before each question, such as `gsm8k_cot` and `minerva_math`, with which others publish scores: a
    file of `tasks/evaluate/few_shot`, whose prompt and stop texts take the place of those here."""
    prompt: PromptConfig = PromptConfig()
    verification: VerificationConfig = VerificationConfig()
    sandbox: Annotated[SandboxConfig, NOT_HASHED] = SandboxConfig()
    """Limits of code that a model wrote, for benchmarks whose answers are code."""

    @field_validator("benchmarks")
    @classmethod
    def _exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("give one benchmark at least, and each once")
        if wrong := [name for name in value if not re.fullmatch(r"[\w.-]+", name)]:
            raise ValueError(f"{wrong[0]!r} is no name: tables and runs use it; take letters, digits, '-', '_' and '.'")
        return value

    @model_validator(mode="after")
    def _are_known(self) -> Self:
        """Refuse benchmarks that neither ship nor have a source, and places of what is not asked for."""
        shipped = benchmark_names()
        for name in (*self.benchmarks, *self.sources, *self.parts):
            if name not in shipped and not (name in self.benchmarks and name in self.sources):
                raise ValueError(
                    f"no benchmark {name!r}{did_you_mean(name, shipped) or '.'} There are: {', '.join(shipped)}; one "
                    "of your own stands in `benchmarks` and has its file in `sources`"
                )
        for name in self.benchmarks:
            self.benchmark(name)
        if self.few_shot:
            check_benchmarks(self.few_shot, self.benchmarks)
        return self

    def benchmark(self, name: str) -> Benchmark:
        """A benchmark that ships, or one of the user's own.

        Raises:
            ValueError: the file that defines it cannot be read.
        """
        if name in benchmark_names():
            return benchmark(name)
        place = self.sources[name]
        if not place.endswith((".yaml", ".yml")):
            return Benchmark(title=name, questions=QuestionsConfig(source=place, fields=OWN_FIELDS, name=name))
        return Benchmark.model_validate(read_yaml(Path(place).expanduser()))

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed, with what benchmarks say beside their questions; styles, because scores tell them apart."""
        # Which questions those are, the parents say: a moved file is the same benchmark.
        fields = super().identity_payload() | {"prompt": self.shown_prompt, "sampling": self.drawn}
        found = {name: self.benchmark(name) for name in self.benchmarks}
        styles = {name: known.styles for name, known in found.items() if known.styles}
        scoring = {name: payload for name, known in found.items() if (payload := known.identity_payload())}
        sandbox = self.sandbox if self.runs_code else None
        further = {"styles": styles, "scoring": scoring, "sandbox": sandbox}
        return {**fields, **{name: value for name, value in further.items() if value}}

    @property
    def shown_prompt(self) -> PromptConfig:
        """The prompt, with worked examples where there are any."""
        return few_shot(self.few_shot).shown_in(self.prompt) if self.few_shot else self.prompt

    @property
    def drawn(self) -> EvaluationSampling:
        """How samples are drawn, up to the stop texts that belong to worked examples."""
        return (
            self.sampling.model_copy(update={"stop": few_shot(self.few_shot).stop}) if self.few_shot else self.sampling
        )

    @property
    def runs_code(self) -> bool:
        """Whether a benchmark's answers are code."""
        return any(self.benchmark(name).answers == "code" for name in self.benchmarks)

    @property
    def draws(self) -> int:
        """Completions of each question."""
        return self.samples + self.greedy

    def ks(self) -> tuple[int, ...]:
        """The k of pass@k: powers of two up to `samples`."""
        return tuple(1 << power for power in range(self.samples.bit_length()) if 1 << power <= self.samples)

    def questions(self, name: str) -> QuestionsConfig:
        """The question set of one benchmark with its place and limit."""
        config = self.benchmark(name).questions
        moved = name in self.sources and name in benchmark_names()
        updates: dict[str, Any] = {"source": self.sources[name]} if moved else {}
        if name in self.parts:
            updates["part"] = self.parts[name]
        if self.limit is not None:
            updates["limit"] = self.limit
        return QuestionsConfig.model_validate(config.model_dump() | updates)
