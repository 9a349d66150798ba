"""What is said where nothing, or little, is right."""

from tasks.filter.config import FilterConfig
from tasks.filter.outcome import by_heuristic, outcome
from tasks.filter.select import FilterTally, decide
from tasks.generate.config import GenerateConfig
from tasks.spine.store.fingerprint import payload

NONE = {"expected": None}


def tally(config: FilterConfig | None = None, **verdicts: int) -> FilterTally:
    """Counts of samples of one heuristic by verdict, `truncated` among them."""
    counts = FilterTally()
    rows = [
        {
            "key": f"{verdict}-{index}",
            "question_id": f"{verdict}-{index}",
            "sample_index": index,
            "verdict": "wrong" if verdict == "truncated" else verdict,
            "truncated": verdict == "truncated",
            "recovered": False,
            "ending": "whole" if verdict in ("correct", "wrong") else "",
            "adherence": None,
            "arithmetic": None,
            "completion_tokens": 5,
            "heuristic": "working backward",
        }
        for verdict, count in verdicts.items()
        for index in range(count)
    ]
    counts.add(rows, decide(rows, config or FilterConfig()))
    return counts


def test_where_nothing_is_right_it_says_how_many_were_cut_and_at_which_setting() -> None:
    generated = payload("generate", 1, GenerateConfig.model_validate({"sampling": {"max_new_tokens": 96}}), {})
    counts = tally(truncated=250, wrong=108, unparsed=2)
    assert outcome(counts.ledger(360), generated) == (
        "0 of 360 right: 250 cut at generate.sampling.max_new_tokens=96, 108 wrong, "
        "2 without an answer that can be read"
    )
    numbers = {**counts.summary()["working backward"], "accidents": {"expected": 0.25}}
    assert [
        line.split() for line in by_heuristic({"working backward": numbers, "": {**numbers, "accidents": NONE}})
    ] == [
        ["heuristic", "samples", "cut", "not", "right", "run", "on", "right", "by", "chance", "kept"],
        ["working", "backward", "360", "250", "110", "0", "0", "0.2", "0"],
        ["(plain", "prompt)", "360", "250", "110", "0", "0", "-", "0"],
    ]


def test_where_some_are_right_it_says_what_became_of_them() -> None:
    assert outcome(tally(correct=3, wrong=1).ledger(4), {}) == "3 of 4 right: 1 wrong; of the right ones 1 kept"
    strict = FilterConfig(evidence="agreement")
    assert outcome(tally(strict, correct=1, wrong=1).ledger(2), {}) == (
        "1 of 2 right: 1 wrong; of the right ones 1 without the evidence that filter.evidence asks for, 0 kept"
    )
