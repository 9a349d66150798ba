"""`midtrain samples`: completions as they were written, for people and for programs."""

import json
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from tasks.report.reading import CompletionFilter, ReadCompletion, pick
from tasks.spine.stage.context import run_context
from tasks.spine.store.store import ArtifactMissing

TONES = {"correct": "green", "right": "green", "wrong": "red"}


def show_samples(ref: str, wanted: CompletionFilter, as_json: bool, console: Console) -> None:
    """Print some completions of an artifact.

    Raises:
        ArtifactMissing: no completion is as wanted, or the artifact has none.
    """
    store = run_context().store
    rows = pick(store, store.ref(ref), wanted)
    if not rows:
        raise ArtifactMissing(f"no completion of {ref} is as asked for; leave some of the options out")
    for row in rows:
        if as_json:
            print(json.dumps(asdict(row), ensure_ascii=False))
        else:
            console.print(_shown(row), soft_wrap=True)


def _shown(row: ReadCompletion) -> Text:
    """A completion with its question; text of models is never markup."""
    drawn = "greedy" if row.sample_index < 0 else f"sample {row.sample_index}"
    how = [row.heuristic or "plain prompt", drawn] if row.step is None else [f"step {row.step}", f"reward {row.reward}"]
    parts = [row.model, row.source, *how, f"{row.completion_tokens} tokens", row.fate]
    read = "" if row.step is not None else f"read {row.extracted or 'nothing'}, "
    judged = f"{row.verdict or 'not judged'}: {read}gold {row.gold}"
    return Text.assemble(
        (", ".join(filter(None, parts)) + "\n", "bold"),
        (judged + "\n", TONES.get(row.verdict, "yellow")),
        (f"{row.question}\n", "dim"),
        f"{row.completion.strip()}\n",
    )
