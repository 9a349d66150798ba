"""What became of samples, in words: for whoever finds that none is left."""

from collections.abc import Mapping
from typing import Any, get_args

from tasks.filter.select import BY_CHANCE, MISCALCULATED, NOT_ADHERENT, RUNS_ON
from tasks.shared.verification.verdict import TRUNCATED, VerdictName

IN_WORDS = {
    "wrong": "wrong",
    "unparsed": "without an answer that can be read",
    "timeout": "not judged in time",
    "error": "that the verifier failed on",
    RUNS_ON: "right that run on behind their answer",
}
NOT_TAKEN = {
    BY_CHANCE: "without the evidence that filter.evidence asks for",
    MISCALCULATED: "below filter.min_arithmetic",
    NOT_ADHERENT: "below filter.min_adherence",
}
"""What became of right solutions that are not kept, apart from those that were not the best."""
LIMIT = "generate.sampling.max_new_tokens"


def outcome(ledger: Mapping[str, int], generated: Mapping[str, Any]) -> str:
    """How many samples are right and where the others went.

    Args:
        ledger: of the stage `filter`.
        generated: payload of the artifact with the samples, for its settings.
    """
    names = [*(name for name in get_args(VerdictName) if name != "correct"), RUNS_ON]
    parts = [f"{ledger[name]} {IN_WORDS.get(name, name)}" for name in names if ledger.get(name)]
    if ledger[TRUNCATED]:
        limit = generated.get("config", {}).get("sampling", {}).get("max_new_tokens")
        parts.insert(0, f"{ledger[TRUNCATED]} cut at {LIMIT}{f'={limit}' if limit else ''}")
    line = f"{ledger['correct']} of {ledger['generated']} right: {', '.join(parts) or 'all'}"
    if not ledger["correct"]:
        return line
    lost = [f"{ledger[name]} {words}, " for name, words in NOT_TAKEN.items() if ledger[name]]
    return f"{line}; of the right ones {''.join(lost)}{ledger['kept']} kept"


def by_heuristic(heuristics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The same for each heuristic, as the summary of the stage `filter` has them: lines of a table."""
    rows = [("heuristic", "samples", "cut", "not right", "run on", "right", "by chance", "kept")]
    for name, counts in heuristics.items():
        other = counts["samples"] - counts["truncated"] - counts[RUNS_ON] - counts["correct"]
        numbers = (counts["samples"], counts["truncated"], other, counts[RUNS_ON], counts["correct"])
        expected = counts["accidents"]["expected"]
        chance = "-" if expected is None else f"{expected:.1f}"
        rows.append((name or "(plain prompt)", *map(str, numbers), chance, str(counts["kept"])))
    name_width, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        f"  {name:<{name_width}}" + "".join(f"{cell:>{width + 2}}" for cell, width in zip(cells, widths, strict=True))
        for name, *cells in rows
    ]
