"""Next-token predictions for people to read: the text that goes on, what a model made of it, and the true token."""

from collections.abc import Iterator
from itertools import groupby

from tasks.entropy.read import read_documents
from tasks.predict.positions import SPLIT
from tasks.predict.schema import DIRECT
from tasks.report.completions import ReadCompletion
from tasks.schedule.spans import Spans, TokenText
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.tables.parquet import Row
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.store import Store


def predictions(store: Store, manifest: Manifest, model: str, rows: Iterator[Row]) -> Iterator[ReadCompletion]:
    """Rows of a table of predictions, in its order, with their texts; `model` is what they call the model.

    A table has the places of its positions alone: texts are those of the tokens that the entropy was computed from.
    """
    text = TokenText(load_tokenizer(store.local(manifest.parents["model"])))
    # In the order of the predictions.
    documents = read_documents(store.local(manifest.parents["entropy"]), SPLIT)
    for name, of_document in groupby(rows, key=lambda row: row["document_id"]):
        document = next(found for found in documents if found.document_id == name)
        spans = text.spans(document.tokens)
        for row in of_document:
            yield _read(row, spans, int(document.context_start[row["position"]]), model)


def _read(row: Row, spans: Spans, start: int, model: str) -> ReadCompletion:
    """A tier stands in the place of a benchmark, and how the model was asked in that of a heuristic."""
    place, direct = row["position"], row["mode"] == DIRECT
    return ReadCompletion(
        model=model,
        source=row["tier"],
        heuristic=row["mode"],
        question_id=f"{row['document_id']}:{place}",
        question=spans.between(start, place),
        gold=spans.between(place, place + 1),
        completion=row["predicted"] if direct else row["completion"],
        verdict=row["outcome"],
        extracted=row["predicted"],
        fate="",
        sample_index=row["sample_index"],
        completion_tokens=1 if direct else row["reasoning_tokens"],
    )
