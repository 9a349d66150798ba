"""Cost of `midtrain`."""

from tasks.dataset.config import DatasetConfig
from tasks.dataset.estimate import training_examples
from tasks.filter.config import FilterConfig
from tasks.generate.config import GenerateConfig
from tasks.midtrain.config import MidtrainConfig
from tasks.questions.config import QuestionsConfig
from tasks.shared.costs.expected import Expected
from tasks.shared.costs.machine import Machine, StageEstimate
from tasks.shared.prompts.config import PromptConfig


def midtrain(
    machine: Machine,
    midtrain: MidtrainConfig,
    dataset: DatasetConfig,
    filter: FilterConfig,
    generate: GenerateConfig,
    questions: QuestionsConfig,
    prompt: PromptConfig,
    expected: Expected,
) -> StageEstimate:
    """Cost of all epochs over the training rows."""
    rows = training_examples(machine.model, dataset, filter, generate, questions, prompt, expected)
    return machine.trained(rows.all_tokens * midtrain.epochs, midtrain)
