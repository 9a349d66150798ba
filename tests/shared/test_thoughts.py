"""What models think, and where they answer."""

import pytest

from tasks.shared.thoughts import MARKS, answer_part, unclosed
from tasks.shared.verification.extraction import extract_answer


@pytest.mark.parametrize(("open_mark", "close_mark"), MARKS)
def test_an_answer_stands_behind_the_thought_whatever_marks_a_model_writes(open_mark: str, close_mark: str) -> None:
    said = f"{open_mark} 6+3=9, so #### 9? {close_mark} #### 18"
    assert answer_part(said) == " #### 18"
    assert answer_part(said.removeprefix(open_mark)) == " #### 18", "where the prompt has opened it"
    assert answer_part(f"{open_mark} so #### 18") is None
    assert answer_part(f"{said} {open_mark} no, #### 19") is None
    assert (unclosed(f"<|assistant|>{open_mark}\n"), unclosed(said)) == (open_mark, "")
    assert (extract_answer(said), extract_answer(f"{open_mark} so #### 18")) == ("18", None)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("#### 18", "#### 18"),
        ("", ""),
        ("<think> a <think> b </think> 18", " 18"),
        ("<think> a </think> b </think> 18", " 18"),
        ("<think> not [THINK], nor <reasoning> </think> 18", " 18"),
        ("<think> not [/THINK] 18", None),
        ("<think>\n\n</think>\n\n18", "\n\n18"),
        ("<|channel|>final<|message|>18", "18"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>18", "18"),
    ],
)
def test_a_mark_that_a_thought_mentions_closes_nothing(text: str, answer: str | None) -> None:
    assert answer_part(text) == answer
