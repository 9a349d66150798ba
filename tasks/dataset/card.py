"""The dataset card: what the table holds, where its rows went, and what it was made from."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tasks.text import in_markdown

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "n>1M"


def dataset_card(
    *,
    title: str,
    about: str,
    file: str,
    rows: int,
    licence: str,
    counts: Mapping[str, int],
    ledger: Mapping[str, int],
    heuristics: Mapping[str, int],
    by_accident: Mapping[str, str],
    diversity: Mapping[str, Any],
    examples: Sequence[Mapping[str, Any]],
    lineage: Mapping[str, str],
    config_json: str,
) -> str:
    """Markdown with the YAML front matter that the Hugging Face hub and `datasets.load_dataset(folder)` read.

    `lineage` maps a role to the reference and digest of the artifact in that role; `ledger` is shown as it is, as is
    `by_accident`, by heuristic how many samples would be right by accident, and `diversity`, of a training set.
    """
    parts = [
        f"# {title}\n\n{about}",
        "## Counts\n\n" + _table(("", "count"), counts.items()),
        "## Ledger\n\nWhat went in is what was kept plus what was left out, in rows and in completion tokens.\n\n"
        + _table(("part", "count"), ledger.items()),
    ]
    if heuristics:
        named = [
            (name or "(plain prompt)", count, by_accident.get(name, "-")) for name, count in sorted(heuristics.items())
        ]
        header = ("heuristic", "rows", "right by accident, an estimate")
        parts.append("## Heuristics\n\n" + _table(header, named))
    if diversity:
        parts.append(_diversity(diversity))
    parts.append("## Examples\n\n" + "\n\n".join(_example(row) for row in examples))
    parts.append("## Made from\n\n" + _table(("role", "artifact and content digest"), lineage.items()))
    parts.append(f"## Settings\n\n{fenced(config_json, 'json')}")
    use = f'from datasets import load_dataset\n\nload_dataset("parquet", data_files="{file}", split="train")'
    parts.append(f"## Use\n\n{fenced(use, 'python')}")
    return f"---\n{_front_matter(licence, file, rows)}---\n\n" + "\n\n".join(parts) + "\n"


def _diversity(measured: Mapping[str, Any]) -> str:
    about = (
        f"On {measured['solutions']:,} solutions of {measured['questions']:,} questions, drawn from all. The Vendi "
        "score (arXiv 2210.02410) is the number of different texts that there are in effect, similarity being that of "
        f"{measured['kernel']}; self-BLEU (arXiv 1802.01886) is 1 where all solutions of a question are copies."
    )
    named = {
        "Vendi score over all": measured["vendi_all"],
        "Vendi score of a question with several solutions": measured["vendi_per_question"],
        "solutions of such a question": measured["solutions_per_question"],
        "self-BLEU of such a question": measured["self_bleu"],
    }
    rows = [(name, "-" if value is None else f"{value:.2f}") for name, value in named.items()]
    return f"## Diversity\n\n{about}\n\n{_table(('measure', 'mean'), rows)}"


def _front_matter(licence: str, file: str, rows: int) -> str:
    fields = {
        "license": licence,
        "task_categories": ["text-generation"],
        "tags": ["mathematics", "self-generated", "mid-training"],
        "size_categories": [next((name for limit, name in _SIZES if rows < limit), _LARGEST)],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": file}]}],
    }
    return yaml.safe_dump(fields, sort_keys=False)


def _table(header: Sequence[str], rows: Any) -> str:
    lines = [f"| {' | '.join(header)} |", f"| {' | '.join('---' for _ in header)} |"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else in_markdown(str(value))


def _example(row: Mapping[str, Any]) -> str:
    notes = ", ".join(
        f"{name}: {in_markdown(str(value))}" for name, value in row.items() if name not in ("prompt", "completion")
    )
    texts = "\n\n".join(fenced(row[name], "text") for name in ("prompt", "completion") if name in row)
    return f"{notes}\n\n{texts}"


def fenced(text: str, language: str) -> str:
    """A block of code in Markdown, whatever backticks the text has."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
