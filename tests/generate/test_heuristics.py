"""Heuristics are data, so what they say is checked like code."""

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from sympy import Rational, nsimplify, simplify, sympify

from tasks.generate.config import GenerateConfig
from tasks.generate.heuristics import Heuristic, HeuristicExample, heuristic_prompts, load_heuristics, set_names
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.prompts.render import Renderer
from tasks.shared.prompts.under_heuristics import stated_as_asked
from tasks.spine.store.fingerprint import fingerprint
from tasks.tiny.styles import METHODS

BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
NUMBER = r"\d+(?:\.\d+)?"
TERM = rf"\(*\s*{NUMBER}\s*\)*"
EXPRESSION = rf"{TERM}(?:\s*[-+*/^]\s*{TERM})*"
CHAIN = re.compile(rf"(?<![\w^*/+.(-])(?<![-+*/^(]\s){EXPRESSION}(?:\s*=\s*{EXPRESSION})+(?!\s*[-+*/^(]|\w)")

SHIPPED = [(heuristic, example) for heuristic in load_heuristics("polya16") for example in heuristic.examples]
EXAMPLES = [pytest.param(item, id=f"{h.name}: {item.question[:30]}") for h, item in SHIPPED]

OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def value(expression: str) -> Fraction:
    """Exact value of an arithmetic expression."""

    def walk(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](walk(node.left), walk(node.right))
        if isinstance(node, ast.Constant):
            return Fraction(str(node.value))
        raise ValueError(f"{ast.dump(node)} in {expression!r}")

    return walk(ast.parse(expression.replace("^", "**").strip(), mode="eval").body)


def equations(text: str) -> list[list[str]]:
    """Every chain `a = b = c` of plain numbers in a text."""
    return [match.group().split("=") for match in CHAIN.finditer(text)]


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("So 3 * (4 - 1) = 9, and 2^3 = 8.", [["3 * (4 - 1)", "9"], ["2^3", "8"]]),
        ("It is 1 - 1/10 = 9/10.", [["1 - 1/10", "9/10"]]),
        ("a + c = 40 and n * 2 = 8 prove nothing", []),
        ("15 - 15 / 3 = 10", [["15 - 15 / 3", "10"]]),
    ],
)
def test_equations_are_found(text: str, sides: list[list[str]]) -> None:
    assert [[side.strip() for side in chain] for chain in equations(text)] == sides


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_equation_of_a_solution_is_true(example: HeuristicExample) -> None:
    found = equations(example.solution)
    assert found, "a worked solution shows its arithmetic"
    for chain in found:
        assert len({value(side) for side in chain}) == 1, " = ".join(chain)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_answer_is_what_the_check_says_and_what_the_solution_boxes(example: HeuristicExample) -> None:
    assert example.check
    assert simplify(sympify(example.check) - nsimplify(Rational(example.answer))) == 0
    assert BOXED.findall(example.solution) == [example.answer]
    assert example.solution.rstrip().endswith(f"The answer is \\boxed{{{example.answer}}}.")


def test_the_shipped_exemplars_pass_the_verifier() -> None:
    from tasks.shared.verification.pool import VerifierPool

    bare = PromptConfig(answer_instruction="Say: The answer is N.")
    shown = [(stated_as_asked(config, example.solution), example.answer)
             for config in (PromptConfig(), bare) for _, example in SHIPPED]  # fmt: skip
    assert not any("boxed" in solution for solution, _ in shown[len(SHIPPED) :])
    with VerifierPool(1) as verifiers:
        verdicts = verifiers.verify(shown)
    assert [verdict.verdict for verdict in verdicts] == ["correct"] * len(shown)


def test_polya16_has_sixteen_distinct_heuristics_with_two_examples_each() -> None:
    heuristics = load_heuristics("polya16")
    assert len(heuristics) == 16
    assert len({heuristic.instruction for heuristic in heuristics}) == 16
    assert {len(heuristic.examples) for heuristic in heuristics} == {2}
    questions = [example.question for heuristic in heuristics for example in heuristic.examples]
    assert len(set(questions)) == 32


def test_exemplars_are_no_benchmark_questions(shared_data: Path) -> None:
    texts = [path.read_text() for path in shared_data.glob("*/*.jsonl")]
    for _, example in SHIPPED:
        sentence = max(re.split(r"(?<=[.?])\s", example.question), key=len)
        assert not any(sentence in text for text in texts)


def test_the_tiny_set_names_the_methods_that_the_base_model_knows() -> None:
    assert {heuristic.name for heuristic in load_heuristics("tiny")} == set(METHODS.values())


def test_the_plain_set_is_one_heuristic_without_a_name() -> None:
    assert load_heuristics("plain") == (Heuristic(name=""),)


def test_a_folder_of_the_user_is_a_set(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("name: beta\ninstruction: do b\n")
    (tmp_path / "a.yml").write_text("name: zeta\nexamples: [{question: q, solution: s, answer: '1'}]\n")
    assert [heuristic.name for heuristic in load_heuristics(str(tmp_path))] == ["beta", "zeta"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("instruction: do it\n", r"bad\.yaml: field 'name': Field required"),
        ("name: x\nhint: y\n", r"bad\.yaml: field 'hint': Extra inputs"),
        ("name: x\nexamples: [{question: q, answer: '1'}]\n", r"bad\.yaml: field 'examples\.0\.solution'"),
        ("- name\n", r"bad\.yaml: holds list"),
        ("name: [\n", r"bad\.yaml is not YAML"),
        ("name: good\n", r"good\.yaml: field 'name' is 'good', which .*bad\.yaml has already"),
    ],
)
def test_errors_name_file_and_field(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "good.yaml").write_text("name: good\n")
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_heuristics(str(tmp_path))


def test_an_unknown_set_names_those_that_ship(tmp_path: Path) -> None:
    for source in ("polya17", str(tmp_path)):
        with pytest.raises(FileNotFoundError, match=", ".join(set_names())):
            load_heuristics(source)


def test_identity_is_what_the_prompt_shows() -> None:
    example = HeuristicExample(question="q", solution="s", answer="1")
    heuristic = Heuristic(name="n", instruction="i", examples=(example,))
    same = heuristic.model_copy(
        update={"examples": (HeuristicExample(question="q", solution="s", answer="1", check="1"),)}
    )
    other = heuristic.model_copy(update={"examples": (HeuristicExample(question="q", solution="t", answer="1"),)})
    assert heuristic.digest == same.digest
    assert len({heuristic.digest, other.digest, heuristic.model_copy(update={"instruction": "j"}).digest}) == 3


def test_a_question_is_asked_under_every_heuristic_in_order_of_their_names() -> None:
    heuristics, renderer = load_heuristics("tiny"), Renderer(PromptConfig(style="plain"))
    prompts = heuristic_prompts(("q1", "1+1?"), heuristics, renderer)
    assert [prompt.heuristic for prompt in prompts] == sorted(heuristic.name for heuristic in heuristics)
    assert {(prompt.question_id, prompt.question) for prompt in prompts} == {("q1", "1+1?")}
    assert [prompt.text for prompt in prompts] == [renderer.heuristic(item, "1+1?") for item in heuristics]


def test_a_stage_is_identified_by_what_its_heuristics_say(tmp_path: Path) -> None:
    def stage_key(source: str) -> str:
        return fingerprint("generate", 1, GenerateConfig(heuristics=source), {})

    (tmp_path / "one.yaml").write_text("name: analogy\ninstruction: compare\n")
    first = stage_key(str(tmp_path))
    (tmp_path / "one.yaml").rename(tmp_path / "renamed.yaml")
    assert stage_key(str(tmp_path)) == first
    (tmp_path / "renamed.yaml").write_text("name: analogy\ninstruction: compare it\n")
    assert stage_key(str(tmp_path)) != first
    (tmp_path / "two.yaml").write_text("name: symmetry\ninstruction: mirror\n")
    payload = GenerateConfig(heuristics=str(tmp_path)).identity_payload()
    assert set(payload["heuristics"]) == {"analogy", "symmetry"}
    assert payload["heuristics"]["symmetry"] == Heuristic(name="symmetry", instruction="mirror").digest
