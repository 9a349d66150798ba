"""Where a completion's final answer is found."""

import pytest

from tasks.shared.verification.extraction import extract_answer, find_answer


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (r"so \boxed{42}", "42"),
        (r"first \boxed{1}, no: \boxed{\frac{1}{2}}.", r"1, \frac{1}{2}"),
        (r"first \boxed{1}, no: the answer is $x = \boxed{2}$.", "2"),
        (r"\boxed{1}. No: the answer is 2.", "2"),
        (r"\boxed{1}. The answer is correct.", "1"),
        (r"\boxed{\left\{ x : x > \frac{1}{2} \right\}}", r"\left\{ x : x > \frac{1}{2} \right\}"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\fbox{7}", "7"),
        (r"$\boxed 7$", "7"),
        (r"\boxed{$7$}", "7"),
        (r"\boxed{3} and then \boxed{4", "3"),
        ("48/2 = 24\n#### 72", "72"),
        ("#### 1,000 \nQ: next", "1,000"),
        ("#### 5\n#### 6", "6"),
        ("The answer is 42.", "42"),
        ("The final answer is: **3.5**.", "3.5"),
        ("Answer: $\\frac{1}{2}$ of it", r"$\frac{1}{2}$ of it"),
        ("The answer is $5$ or $6$.", "$5$ or $6$"),
        ("the answer to the question is 12 apples. Good.", "12 apples"),
        ("The answer is $5, since she spent $3.", "$5"),
        ("The answer is $18.50.", "$18.50"),
        (r"The answer is \(x+1\).", "x+1"),
        (r"The answer is 4. #### 5 and \boxed{6}", "6"),
        ("The answer is 4.\n#### 5", "5"),
        (r"<think>\boxed{1}</think> \boxed{2}", "2"),
        (r"\boxed{1}</think>The answer is 2", "2"),
    ],
)
def test_final_answer(completion: str, answer: str) -> None:
    assert extract_answer(completion) == answer


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("26 is the answer.", "26"),
        ("46 + 92 = 138 is the answer.", "138"),
        ("So 5  is  the\tanswer.", "5"),
        ("18 + 14 + 17 = 49, which is the answer.", "49"),
        ("First, 5 + 6 = 11.\nSo 1,234 apples is our final answer!", "1,234 apples"),
        ("Thus $\\frac{1}{2}$ is the correct answer", r"\frac{1}{2}"),
        (r"Hence \(x+1\) is the answer to the question.", "x+1"),
        ("11 people are the answer.", "11 people"),
        ("3.5 is the answer", "3.5"),
        ("1/2 is the answer", "1/2"),
        ("-4 is the **answer**.", None),
        ("The answer is 4. Wait, so 5 is the answer.", "5"),
        ("4 is the answer. No, the answer is 5.", "5"),
        ("4 is the answer.\nProblem: 7 is the answer.", "4"),
    ],
)
def test_a_value_of_which_the_sentence_says_that_it_is_the_answer(completion: str, answer: str | None) -> None:
    assert extract_answer(completion) == answer


@pytest.mark.parametrize(
    "completion",
    [
        "If 5 is the answer, we are done.",
        "If 5 is the answer.",
        "Is 5 is the answer?",
        "3 + 5 is the answer.",
        "11 / 1 = 11 and 2 is the answer.",
        "2 is the answer, 30 - 2 = 28.",
        "x + 3.5 is the answer.",
        "x + 1,234 is the answer.",
        "x != 5 is the answer.",
        "This is the answer.",
        "5 is not the answer.",
        "5 is the answer to the first part.",
        "5 is the answer of another problem.",
        "5 or 6 is the answer.",
        "13 more than 4 is the answer.",
    ],
)
def test_what_is_conditional_compound_or_of_something_else_is_no_statement(completion: str) -> None:
    assert extract_answer(completion) is None


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "no idea",
        "42",
        r"\boxed{}",
        r"\boxed{4",
        "####",
        r"<think> \boxed{1}",
        r"<think>\boxed{1}</think> done",
        "answers vary",
    ],
)
def test_nothing_to_extract(completion: str) -> None:
    assert extract_answer(completion) is None


def test_only_configured_forms_are_looked_for_and_the_last_statement_counts() -> None:
    completion = "\\boxed{1}\n#### 2\nThe answer is 3"
    assert extract_answer(completion) == "3"
    assert extract_answer(completion, ("hash", "boxed")) == "2"
    assert extract_answer(completion, ("boxed",)) == "1"


@pytest.mark.parametrize(
    "piece",
    [
        "\\boxed{",
        "<answer>",
        "#### ",
        "answer is ",
        "A: ",
        "{",
        "1 (",
        "Q: ",
        "answer is (",
        "  answer",
        "$ ",
        "= 5 apples ",
        "5 is the answer ",
    ],
)
def test_long_texts_are_read_in_linear_time(piece: str) -> None:
    extract_answer(piece * (100_000 // len(piece)))
    extract_answer("\n".join([piece] * 10_000))


def test_a_megabyte_is_read_in_linear_time() -> None:
    assert extract_answer("{" * 1_000_000 + r"\boxed{" + "(" * 100 + "}") == "(" * 100


@pytest.mark.parametrize(
    ("before", "stated", "behind"),
    [
        ("So ", r"\boxed{5} cm.", " That is it."),
        ("", r"\boxed{2} and \boxed{3}.", "\n"),
        ("It is ", "#### 12", "\nQ: next"),
        ("So the ", "answer is **5**.", " Good."),
        ("", "Answer:\n12 apples.", " Good."),
        ("So ", "12 apples is the answer.", " Good."),
        ("The ", "answer is \n$$\n5\n$$.", " Good."),
        ("so\n\\[\n", "\\boxed{5}\n\\]", "\nGood."),
        ("</think>", "<answer>5</answer>", " Good."),
    ],
)
def test_a_statement_lasts_to_the_end_of_its_sentence_line_or_mark_up(before: str, stated: str, behind: str) -> None:
    found = find_answer(before + stated + behind)
    assert found is not None
    assert (before + stated + behind)[found.start : found.end] == stated


def test_the_text_about_a_question_ends_at_the_next() -> None:
    text = "The answer is 5.\n\nProblem: What is 1 + 1?\nThe answer is 2."
    found = find_answer(text)
    assert found is not None
    assert text[: found.until] == "The answer is 5.\n"
