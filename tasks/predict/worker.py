"""The child process that predicts without reasoning: the likeliest token at positions of documents.

It is the entropy stage's computation on another checkpoint, so that a position has the same context there and here.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tasks.entropy.encoding import Encoded, chunks
from tasks.entropy.worker import CHUNK_TOKENS, open_model
from tasks.predict.config import DirectJob
from tasks.predict.schema import DRAWN, LIKELIEST
from tasks.shared.tables.parquet import Row, count_rows, read_rows, write_parquet
from tasks.spine.stage.imports import offline
from tasks.spine.stage.worker import Reporter, worker_main


def run(job: DirectJob, reporter: Reporter) -> dict[str, Any]:
    """Predict every position; returns how many there were."""
    model = open_model(job.model, job.config, job.runtime)
    from tasks.entropy.passes import TOKENS_PER_PASS, score_documents

    total = count_rows(job.drawn)
    rows = read_rows(job.drawn, schema=DRAWN)
    documents, wanted = itertools.tee(rows)
    encoded = (Encoded(row["document_id"], "evaluation", 0, np.array(row["tokens"], np.int32)) for row in documents)

    def predicted() -> Iterator[Row]:
        done = 0
        for chunk in chunks(encoded, CHUNK_TOKENS):
            scored = score_documents(model, chunk, job.config, TOKENS_PER_PASS[model.device.type])
            for result, row in zip(scored, itertools.islice(wanted, len(chunk)), strict=True):
                for position in row["positions"]:
                    token = int(result.top_token[position])
                    yield {"document_id": row["document_id"], "position": position, "token": token}
            done += len(chunk)
            reporter.progress(done, total, "documents")

    return {"positions": write_parquet(predicted(), job.out, LIKELIEST, sorted_by=("document_id", "position"))}


if __name__ == "__main__":
    offline()
    worker_main(DirectJob, run)
