"""Where a solution ends, on texts as models write them."""

import time

import pytest

from tasks.filter.endings import Ending, ending, new_problem
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.extraction import extract_answers
from tasks.shared.verification.grading import grade

FORMS = ("boxed", "tag", "hash", "phrase")
MARKS = new_problem("Problem: {question}\nSolution: {solution}\n\n")
NEXT = "Problem: A bat and a ball together cost $1.10. How much does the ball cost?\nSolution: Let x be it."
STEPS = "She has 2 + 3 = 5 apples.\n"

WHOLE = [
    "2*6=12\n#### 12",
    STEPS + "The answer is 5.",
    STEPS + "So the answer is 2 + 3 = 5.\n\nThe final answer is 5.",
    STEPS + r"The answer is \boxed{5}." + "\n",
    STEPS + r"So the distance is \boxed{5} cm.",
    STEPS + r"The answer is \boxed{5}." + "\n\nSo Tom has 5 apples.",
    STEPS + r"The answer is \boxed{5}." + "\nThat is what was asked. We are done!",
    STEPS + "**Answer:** 5 apples\n\n---",
    STEPS + "<answer>5</answer>",
    STEPS + "\\[\n\\boxed{5}\n\\]\n",
    STEPS + "$$\\boxed{5}$$\n",
    "<think>Is it 4? The answer is 4.</think>" + STEPS + r"\boxed{5}",
    "The answer to part one is 3.\nThen 3 + 2 = 5.\nThe answer is 5.",
    "Sub-answer: 3\nThen 3 + 2 = 5.\n#### 5",
    STEPS + "#### 5\n" + r"The answer is \boxed{5}.",
    STEPS + r"The answer is $2 + 3 = \boxed{5}$.",
    r"There are 3! ways, so the answer is $3! - 1 = \boxed{5}$.",
    r"The roots are \boxed{2} and \boxed{3}.",
    "Problem: how many apples?\nSolution: 2 + 3 = 5.\nThe answer is 5.",
    r"\boxed{5}",
    "We want the answer: how many apples.\nSolution: 2 + 3 = 5.\nThe answer is 5.",
]
"""Whole solutions, which stay as they are."""

CUT_BACK = [
    (STEPS + r"The answer is \boxed{5}.", "\n\n" + NEXT),
    (STEPS + r"The answer is \boxed{5}.", "\n\n" + NEXT + r" So \boxed{0.05}."),
    (STEPS + r"The answer is \boxed{5}.", "\n\n**Problem:** What is 1 + 1?\nThe answer is 2."),
    (STEPS + r"The answer is \boxed{5}.", " Problem: What is 1 + 1?"),
    (STEPS + "The answer is 5.", "\nQ: And 1 + 1?\nA: 2"),
    (STEPS + "#### 5", "\n\nQuestion: What is 1 + 1?\n1 + 1 = 2\n#### 2"),
    (STEPS + "The answer is 5.\nSo Tom has 5 apples.", "\n\nExample 2:\nAnn has 3 pens."),
    (STEPS + "The answer is 5.", "\n\n### Exercise 3\nAnn has 3 pens. How many more does she need?"),
    (STEPS + "The answer is 5.", "<|im_end|>\n<|im_start|>user\nThanks!"),
    (STEPS + "\\[\n\\boxed{5}\n\\]", "\n\n" + NEXT),
    (STEPS + "$$\n\\boxed{5}\n$$", "\n\n" + NEXT),
    (STEPS + "<answer>5</answer>", "\n" + NEXT),
    (STEPS + r"The answer is \boxed{5}.", "\n\nSolution: We add 2 and 3.\n" + r"The answer is \boxed{5}."),
    ("The answer is 5.", "\n\n" + NEXT),
    (STEPS + r"The answer is \boxed{5}.", "\n\n" + r"The answer is \boxed{5}." * 9),
    (STEPS + r"The answer is \boxed{5}.", ("\n\n" + r"The answer is \boxed{5}.") * 9),
    (STEPS + "The answer is 5.", "\nThe answer is 5." * 9 + "\n" + NEXT),
]
"""Solutions, and what follows them that is not theirs."""

WENT_ON = [
    (STEPS + "The answer is 5.", "\nTom then went to the shop. There he saw Ann. She had 3 pens, and he had none."),
    (STEPS + "The answer is 5.", "\nThis is the number of the 3 pens."),
    (STEPS + "The answer is 5.", " I hope that this helps." * 20),
    ("1. The answer is given as 5.", "\n2. Next, we divide.\n3. 10 / 5 = 2, and with the 3 pens that"),
]
"""The same, of which it can be said only because the text ended so."""

RUNS_ON = [
    STEPS + "The answer is 5. Wait, that is not what was asked.",
    STEPS + "The answer is 5.\nActually, she gave one away.\n\n" + NEXT,
    "The answer is 3.\nLet us see: 2 + 3 = 5.\nThe answer is 5.",
    "#### 3\n2 + 3 = 5\n#### 5",
    r"The answer is \boxed{3}." + "\nOr is it? \n" + r"The answer is \boxed{5}.",
    STEPS + r"The answer is \boxed{5}." + "\n\nSolution: 3 + 3 = 6.\n" + r"The answer is \boxed{6}.",
    STEPS + "The answer is 5.\n\nExample 2: Ann has 6 pens.\nThe answer is 6.",
    "The answer is 5.\n\nExplanation: Tom has 2 apples. He buys 3 more. So there are 2 + 3 = 5.",
]
"""Texts of which it cannot be said what the solution is."""


@pytest.mark.parametrize("text", WHOLE)
def test_a_solution_with_its_closing_words_is_whole(text: str) -> None:
    assert ending(text, FORMS, MARKS) == Ending("whole", len(text))


@pytest.mark.parametrize(("solution", "more"), [*CUT_BACK, *WENT_ON])
def test_what_follows_a_solution_is_cut_off(solution: str, more: str) -> None:
    kind, chars = ending(solution + more, FORMS, MARKS)
    assert (kind, (solution + more)[:chars]) == ("cut_back", solution)


@pytest.mark.parametrize(("solution", "more"), CUT_BACK)
def test_a_new_problem_or_the_answer_again_shows_that_a_text_cut_at_the_limit_had_its_solution(
    solution: str, more: str
) -> None:
    text = solution + more
    assert ending(text, FORMS, MARKS, whole=False) == Ending("cut_back", len(solution))
    for limit in range(len(text)):
        found = ending(text[:limit], FORMS, MARKS, whole=False)
        assert found == (found.kind, len(solution) if found.kind == "cut_back" else limit)


@pytest.mark.parametrize("text", [*WHOLE, *RUNS_ON[:2], *RUNS_ON[-1:], *(more + rest for more, rest in WENT_ON)])
def test_any_other_text_that_was_cut_may_have_gone_on_with_its_solution(text: str) -> None:
    assert ending(text, FORMS, MARKS, whole=False).kind in ("", "runs_on")


@pytest.mark.parametrize("text", RUNS_ON)
def test_a_text_without_one_clear_solution_runs_on(text: str) -> None:
    assert ending(text, FORMS, MARKS) == Ending("runs_on", len(text))


@pytest.mark.parametrize(("solution", "more"), CUT_BACK)
@pytest.mark.parametrize("gold", ["5", "2", "0.05"])
def test_cutting_changes_no_verdict(solution: str, more: str, gold: str) -> None:
    config = VerificationConfig()
    before, after = (grade(text, gold, config) for text in (solution + more, solution))
    assert (before.verdict, before.extracted) == (after.verdict, after.extracted)


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("#### Solution: 5", ""),
        ("2+3=5\nA: 5", "Q: {question}\nA: {solution}"),
        ("Answer: 5", "Question: {question}\nAnswer: {solution}"),
    ],
)
def test_words_that_state_the_answer_begin_no_new_problem(text: str, template: str) -> None:
    assert ending(text, FORMS, new_problem(template)) == Ending("whole", len(text))


@pytest.mark.parametrize("text", ["no answer here", "", "<think>The answer is 5."])
def test_a_text_without_an_answer_has_no_ending(text: str) -> None:
    assert ending(text, FORMS, MARKS) == Ending("", len(text))


def test_the_words_of_the_example_template_begin_a_new_problem() -> None:
    text = STEPS + "#### 5\n\nAufgabe: Wie viele Stifte hat Ann?\n#### 6"
    own = new_problem("Aufgabe: {question}\nLösung: {solution}")
    assert extract_answers(text) == ("6",)
    assert ending(text, FORMS, own).kind == "runs_on"
    assert ending(text.replace("#### 6", "#### 5"), FORMS, own) == Ending("cut_back", len(STEPS + "#### 5"))


@pytest.mark.parametrize(
    "piece", ["The answer is 5. ", "#### 5\n", r"\boxed{5} ", "\n", " ", "Problem:\n", "**Q", "$$"]
)
def test_a_long_text_takes_no_time(piece: str) -> None:
    began = time.thread_time()
    ending("The answer is 5.\n" + piece * (100_000 // len(piece)), FORMS, MARKS)
    assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        "Question 1: How much? 3 * 3 = 9, so the answer is 9.\nQuestion 2: How much does she earn? 9 *",
        "So the answer is 9.\nProblem 2: And then",
        "Question: What is 3 * 3? The answer is 9.\n\nQuestion: And what is left of",
    ],
)
def test_a_cut_solution_in_parts_is_not_finished_with_its_first_part(text: str) -> None:
    assert ending(text, FORMS, MARKS, whole=False) == Ending("", len(text))
