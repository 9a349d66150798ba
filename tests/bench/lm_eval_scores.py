"""Scores of lm-evaluation-harness for saved outputs: a Python that has it runs `lm_eval_scores.py IN.jsonl OUT.json`.

It imports nothing of this project, because lm-eval and the packages here ask for different versions of ANTLR. Each
line of the input has `task` (`gsm8k_cot` or `minerva_math500`), `completion` and `gold`; the output has one list of
scores by metric for each line, and the CPU seconds that each task took.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from lm_eval import tasks
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import exact_match_fn
from lm_eval.filters import build_filter_ensemble
from lm_eval.tasks.minerva_math import utils as minerva

Scores = list[dict[str, bool]]


def main() -> None:
    """Score the lines task by task; loading and warming up are not counted."""
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    scorers = {"gsm8k_cot": gsm8k, "minerva_math500": math}
    scores: list[dict[str, bool]] = [{} for _ in rows]
    spent: dict[str, float] = {}
    for task, scorer in scorers.items():
        places = [place for place, row in enumerate(rows) if row["task"] == task]
        if not places:
            continue
        scorer([{"completion": r"\boxed{\frac{x}{2}}", "gold": r"0.5x"}])
        start = time.process_time()
        for place, score in zip(places, scorer([rows[place] for place in places]), strict=True):
            scores[place] = score
        spent[task] = time.process_time() - start
    Path(sys.argv[2]).write_text(json.dumps({"scores": scores, "cpu_s": spent}))


def gsm8k(rows: list[dict[str, str]]) -> Scores:
    """The filters and the metric that the task's own file configures."""
    config = yaml.safe_load((Path(tasks.__file__).parent / "gsm8k" / "gsm8k-cot.yaml").read_text())
    [metric] = config["metric_list"]
    ignored = {name: metric[name] for name in ("ignore_case", "ignore_punctuation", "regexes_to_ignore")}
    found: dict[str, list[bool]] = {}
    for named in config["filter_list"]:
        steps = [[step.pop("function"), step or None] for step in named["filter"]]
        instances = [_instance(place, row) for place, row in enumerate(rows)]
        build_filter_ensemble(named["name"], steps).apply(instances)
        answers = [instance.filtered_resps[named["name"]] for instance in instances]
        found[named["name"]] = [
            bool(exact_match_fn(predictions=[answer], references=[row["gold"]], **ignored)["exact_match"])
            for answer, row in zip(answers, rows, strict=True)
        ]
    return [dict(zip(found, scores, strict=True)) for scores in zip(*found.values(), strict=True)]


def _instance(place: int, row: dict[str, str]) -> Any:
    instance = Instance("generate_until", doc={}, arguments=(), idx=place)
    instance.resps = [row["completion"]]
    return instance


def math(rows: list[dict[str, str]]) -> Scores:
    """The task's own function; the gold stands in a box, as in the solutions of MATH."""
    scores = []
    for row in rows:
        document = {"solution": rf"\boxed{{{row['gold']}}}", "answer": minerva.normalize_final_answer(row["gold"])}
        result = minerva.process_results(document, [row["completion"]])
        scores.append({name: bool(value) for name, value in result.items()})
    return scores


if __name__ == "__main__":
    main()
