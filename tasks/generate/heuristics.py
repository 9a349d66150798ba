"""Heuristics are data: one YAML file each, in folders that are sets.

A file has `name`, `instruction`, optionally `rubric`, and `examples` (worked: `question`, `solution`, `answer`, and
optionally `check`, an expression that evaluates to the answer and that the project's tests evaluate). A user adds a
heuristic by adding a file to a set, or a set by pointing `generate.heuristics` at a folder.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tasks.config import Frozen
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.wanted import Prompt, Question
from tasks.spine.store.fingerprint import canonical_json, digest_text
from tasks.yaml_text import read_yaml

SETS = Path(__file__).parent / "heuristics"
GENERAL_RUBRIC = (
    "1: every decisive step of the solution is a step of the method. 0.5: the method is there, but another way carries "
    "the solution. 0: the method is only named, or plays no part."
)
"""Rubric of a heuristic whose file has none (ours); what the method is, its instruction says."""


class HeuristicExample(Frozen):
    """A worked example of a heuristic, shown in its prompt."""

    question: str
    solution: str
    """Visibly uses the heuristic and ends in the final answer, in the form that the verifier reads."""
    answer: str
    check: str = ""
    """Expression (sympy syntax) that evaluates to the answer by another way than the solution."""


class Heuristic(Frozen):
    """A way of attacking a problem, as named in a prompt."""

    name: str
    """As the prompt names it. Empty: the control without a heuristic."""
    instruction: str = ""
    rubric: str = ""
    """Guide for a judge, who scores from 0 to 1 how well a solution follows it; no solver sees it."""
    examples: tuple[HeuristicExample, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over what a prompt shows of it; neither the file's name nor the checks or the rubric change it."""
        shown = [(example.question, example.solution) for example in self.examples]
        return digest_text(canonical_json([self.name, self.instruction, shown]))

    @property
    def rubric_text(self) -> str:
        """Its rubric, or the general one."""
        return self.rubric or GENERAL_RUBRIC


def set_names() -> list[str]:
    """Names of the sets that ship with the project."""
    return sorted(folder.name for folder in SETS.iterdir() if folder.is_dir())


def load_heuristics(source: str) -> tuple[Heuristic, ...]:
    """The heuristics of a shipped set (`polya16`) or of a folder of YAML files, sorted by name.

    Raises:
        FileNotFoundError: no such set or folder, or no YAML file in it.
        ValueError: a file cannot be read, lacks a field or has one too many, or two files use one name.
    """
    folder = SETS / source if source in set_names() else Path(source).expanduser()
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]) if folder.is_dir() else []
    if not files:
        raise FileNotFoundError(
            f"generate.heuristics is {source!r}: neither a shipped set ({', '.join(set_names())}) "
            f"nor a folder with .yaml files"
        )
    named: dict[str, tuple[Heuristic, Path]] = {}
    for file in files:
        heuristic = load_heuristic(file)
        if heuristic.name in named:
            other = named[heuristic.name][1]
            raise ValueError(f"{file}: field 'name' is {heuristic.name!r}, which {other} has already; change one")
        named[heuristic.name] = (heuristic, file)
    return tuple(named[name][0] for name in sorted(named))


def load_heuristic(file: Path) -> Heuristic:
    """Read one heuristic file. Raises `ValueError` naming the file, the field and what is wrong with it."""
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise ValueError(f"{file}: holds {type(content).__name__}; expected the fields name, instruction, examples")
    try:
        return Heuristic.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(f"field {'.'.join(map(str, item['loc']))!r}: {item['msg']}" for item in error.errors())
        raise ValueError(f"{file}: {problems}") from error


def heuristic_prompts(question: Question, heuristics: Sequence[Heuristic], renderer: Renderer) -> list[Prompt]:
    """The prompt of a question under every heuristic."""
    return [Prompt(*question, item.name, renderer.heuristic(item, question[1])) for item in heuristics]
