"""What became of samples, in words: for whoever finds that none is left."""

from collections.abc import Mapping
from typing import Any, get_args

from tasks.shared.verification.verdict import TRUNCATED, VerdictName

IN_WORDS = {
    "wrong": "wrong",
    "unparsed": "without an answer that can be read",
    "timeout": "not judged in time",
    "error": "that the verifier failed on",
}
LIMIT = "generate.sampling.max_new_tokens"


def outcome(ledger: Mapping[str, int], generated: Mapping[str, Any]) -> str:
    """How many samples are right and where the others went.

    Args:
        ledger: of the stage `filter`.
        generated: payload of the artifact with the samples, for its settings.
    """
    names = [name for name in get_args(VerdictName) if name != "correct"]
    parts = [f"{ledger[name]} {IN_WORDS.get(name, name)}" for name in names if ledger.get(name)]
    if ledger[TRUNCATED]:
        limit = generated.get("config", {}).get("sampling", {}).get("max_new_tokens")
        parts.insert(0, f"{ledger[TRUNCATED]} cut at {LIMIT}{f'={limit}' if limit else ''}")
    line = f"{ledger['correct']} of {ledger['generated']} right: {', '.join(parts) or 'all'}"
    if not ledger["correct"]:
        return line
    return f"{line}; of the right ones {ledger['not_adherent']} below filter.min_adherence, {ledger['kept']} kept"


def by_heuristic(heuristics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The same for each heuristic, as the summary of the stage `filter` has them: lines of a table."""
    rows = [("heuristic", "samples", "cut", "not right", "right", "kept")]
    for name, counts in heuristics.items():
        other = counts["samples"] - counts["truncated"] - counts["correct"]
        numbers = (counts["samples"], counts["truncated"], other, counts["correct"], counts["kept"])
        rows.append((name or "(plain prompt)", *map(str, numbers)))
    width = max(len(row[0]) for row in rows)
    return [f"  {row[0]:<{width}}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows]
