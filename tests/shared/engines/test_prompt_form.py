"""What is graded of a completion, and how the form of prompts travels with artifacts."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import Permanent
from tasks.filter.endings import new_problem
from tasks.filter.tables import Tables
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.engines.prompt_form import PromptForm, form_of
from tasks.shared.sampling.schema import SAMPLES, SAMPLES_FILE, graded_text
from tasks.shared.tables.parquet import write_parquet
from tasks.shared.verification.extraction import extract_answer
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.publishing import publishing

OPENED = PromptForm(style="chat", opened_thought="<think>")
COMPLETIONS = (
    ("#### 18", "stop", "18", None),
    ("#### 18", "length", None, None),
    ("<think> so #### 18", "stop", None, None),
    ("<think> 17? </think> #### 18", "stop", "18", "18"),
    ("so 17? </think> #### 18", "stop", "18", "18"),
    ("so #### 18", "stop", "18", None),
)
"""A completion, how it ended, and its answer: behind a prompt that opens no thought, and behind one that does."""


def test_an_answer_inside_a_thought_or_a_cut_completion_is_none() -> None:
    for completion, reason, after_plain, after_opened in COMPLETIONS:
        sample = {"completion": completion, "finish_reason": reason}
        found = [extract_answer(graded_text(sample, form)) for form in (PromptForm(), OPENED)]
        assert found == [after_plain, after_opened], completion


def test_filtering_reads_completions_behind_the_prompts_that_they_continue(tmp_path: Path) -> None:
    rows = [
        {
            "key": str(number),
            "question_id": "q",
            "heuristic": "",
            "sample_index": number,
            "completion": completion,
            "finish_reason": reason,
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "engine": "transformers",
        }
        for number, (completion, reason, *_) in enumerate(COMPLETIONS)
    ]
    write_parquet(rows, tmp_path / SAMPLES_FILE, SAMPLES)
    question = {"id": ["q"], "question": ["6 * 3?"], "answer": ["18"]}
    pq.write_table(pa.table(question), tmp_path / QUESTIONS_FILE)
    for form, place in ((PromptForm(), 2), (OPENED, 3)):
        pairs = list(Tables(tmp_path, tmp_path, tmp_path / "checked", form, ("hash",), new_problem()).pairs())
        assert [(extract_answer(text), gold) for text, gold in pairs] == [(row[place], "18") for row in COMPLETIONS]


def test_an_artifact_says_how_its_prompts_were_made_or_is_refused(tmp_path: Path) -> None:
    publish, store = publishing(tmp_path), Store.open(Settings(home=tmp_path / "home"))
    form = PromptForm(style="chat", adds_prefix=False, opened_thought="[THINK]")
    assert form_of(publish(store, "dataset", summary=form.summary())) == form
    with pytest.raises(Permanent, match=r"does not say how its prompts were made.*run the stage 'samples' again"):
        form_of(publish(store, "samples"))
