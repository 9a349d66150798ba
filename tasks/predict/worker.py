"""The child process that predicts without reasoning: the likeliest token at positions of documents.

It is the entropy stage's computation on another checkpoint, so that a position has the same context there and here.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tasks.entropy.config import CHUNK_TOKENS
from tasks.entropy.encoding import Encoded, chunks
from tasks.entropy.worker import open_model
from tasks.predict.config import DirectJob
from tasks.predict.schema import DRAWN, LIKELIEST
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.spine.stage.imports import offline
from tasks.spine.stage.worker import Reporter, worker_main


def run(job: DirectJob, reporter: Reporter) -> dict[str, Any]:
    """Predict every position of the job's part; returns how many there were."""
    model = open_model(job.model, job.config, job.runtime)
    from tasks.entropy.passes import TOKENS_PER_PASS, score_documents

    # As many as the stage has drawn positions from, and has in memory itself.
    rows = {row["document_id"]: row for row in read_rows(job.drawn, schema=DRAWN)}
    documents = (Encoded(name, "evaluation", 0, np.array(row["tokens"], np.int32)) for name, row in rows.items())
    own = [chunk for number, chunk in enumerate(chunks(documents, CHUNK_TOKENS)) if job.part.holds(number)]

    def predicted() -> Iterator[Row]:
        done = 0
        for chunk in own:
            for result in score_documents(model, chunk, job.config, TOKENS_PER_PASS[model.device.type]):
                name = result.document.document_id
                for position in rows[name]["positions"]:
                    yield {"document_id": name, "position": position, "token": int(result.top_token[position])}
            done += len(chunk)
            reporter.progress(done, sum(map(len, own)), "documents")

    return {"positions": write_parquet(predicted(), job.out, LIKELIEST, sorted_by=("document_id", "position"))}


if __name__ == "__main__":
    offline()
    worker_main(DirectJob, run)
