"""A table of kept solutions as filtering writes it, with questions that have none to four of them."""

from typing import Any

import pyarrow as pa

KEPT = pa.schema(
    [
        ("question_id", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("heuristic", pa.string()),
        ("completion", pa.string()),
        ("adherence", pa.float64()),
        ("completion_tokens", pa.int32()),
        ("key", pa.string()),
    ]
)
HEURISTICS = ("analogy", "auxiliary", "backward", "decomposition")


def kept_rows(questions: int) -> list[dict[str, Any]]:
    """Question i has i % 5 solutions (question 0, 5, ... none), the last a copy of the first where there are four."""
    rows = []
    for index in range(questions):
        for number, heuristic in enumerate(HEURISTICS[: index % 5]):
            text = " ".join(str(index * 1_000 + number * 100 + word) for word in range(9))
            if number == 3:
                text = rows[-3]["completion"].upper()
            rows.append(
                {
                    "question_id": f"{index:05d}",
                    "question": f"Question {index}?",
                    "answer": str(index),
                    "heuristic": heuristic,
                    "completion": f" {text}\n#### {index}",
                    "adherence": number / 10,
                    "completion_tokens": 10 + number,
                    "key": f"{index:05d}-{heuristic}",
                }
            )
    return rows
