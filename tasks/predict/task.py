"""Prediction as a Prefect task: positions from the entropy, the likeliest tokens, reasoning from the pool, scores."""

from collections.abc import Iterator
from itertools import chain, islice

from tasks.entropy.config import CHUNK_TOKENS, EntropyConfig
from tasks.errors import Permanent
from tasks.predict.answers import Answers
from tasks.predict.config import DirectJob, PredictConfig
from tasks.predict.examples import examples
from tasks.predict.positions import Drawn, Position, draw_positions
from tasks.predict.schema import DRAWN, PREDICTIONS, PREDICTIONS_FILE, SCORES_FILE
from tasks.predict.score import headline, ledger, score
from tasks.predict.tally import read_tally
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.shared.sampling.sampler import fill
from tasks.shared.sampling.schema import asked
from tasks.shared.sampling.wanted import Prompt, Wanted
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.spine.stage.call import Stage
from tasks.spine.stage.gpus import parts_here
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.stage.worker import write_json

PREDICT = Stage("predict", version=3, kind="prediction", pool="gpu")
WORKER = "tasks.predict.worker"
ORDER = ("document_id", "position", "mode", "sample_index")
POSITIONS = "positions"
"""Name of the one set of samples."""


def wanted_samples(build: Build, config: PredictConfig) -> Wanted[Position]:
    """Completions of the prediction prompt at every position."""
    return _reasoning(config, *_drawn(build, config))


@stage_task(PREDICT)
def predict(build: Build, config: PredictConfig) -> None:
    """Next-token accuracy of the parent `model` at held-out positions of the parent `entropy`, by tier.

    `entropy` is that of the base model, whatever checkpoint `model` is: it decides the positions and their tiers.
    """
    renderer, drawn = _drawn(build, config)
    answers = Answers(renderer)
    table = build.out / PREDICTIONS_FILE
    likeliest = _likeliest(build, drawn)
    reasoned = fill(build, _reasoning(config, renderer, drawn)).rows(POSITIONS)
    found = _predictions(drawn, answers, likeliest, reasoned, config)
    count = write_parquet(found, table, PREDICTIONS, sorted_by=ORDER)
    tally = read_tally(build.out)
    summary = score(tally, config)
    scores = headline(summary)
    write_json(build.out / SCORES_FILE, summary)
    build.record(
        rows={"predictions": count},
        ledger=ledger(tally),
        measured_on=dict.fromkeys(scores, "entropy"),
        summary={
            **summary,
            "asked": asked(renderer.form, config.sampling),
            "scores": scores,
            "written_otherwise": answers.written_otherwise,
            "documents_read": drawn.documents_read,
            "offered": drawn.offered,
            "unusable": drawn.unusable,
            "examples": examples(drawn.positions, read_rows(table)),
        },
    )


def _drawn(build: Build, config: PredictConfig) -> tuple[PredictionRenderer, Drawn]:
    """The positions, and what asks about them.

    Refuses a checkpoint that reads text as other tokens than the model whose entropy decides the positions.
    """
    wanted, found = build.parent("entropy").summary["tokenizer_digest"], tokenizer_digest(build.path("model"))
    if wanted != found:
        raise Permanent(
            f"{build.parents['model']} has another tokenizer (digest {found}) than the model of "
            f"{build.parents['entropy']} (digest {wanted}), so that their next tokens are not the same; compute the "
            "entropy under a model with this checkpoint's tokenizer"
        )
    renderer = PredictionRenderer.for_model(
        config.prediction_prompt, build.path("model"), trust_remote_code=build.runtime.trust_remote_code
    )
    return renderer, draw_positions(build.path("entropy"), config, renderer)


def _likeliest(build: Build, drawn: Drawn) -> dict[tuple[str, int], int]:
    """The checkpoint's own next token at every position, by a worker on each GPU."""
    places: dict[str, list[int]] = {}
    for position in drawn.positions:
        places.setdefault(position.document_id, []).append(position.position)
    drawn_file = build.work / "drawn.parquet"
    documents = ({"document_id": name, "tokens": drawn.tokens[name], "positions": places[name]} for name in places)
    write_parquet(documents, drawn_file, DRAWN, sorted_by=("document_id",))
    windows = build.parent("entropy").summary
    config = EntropyConfig(**{name: windows[name] for name in ("context_tokens", "overlap_tokens", "dtype")})
    parts = parts_here(build.runtime, sum(map(len, drawn.tokens.values())) // CHUNK_TOKENS + 1)
    place = {"config": config, "model": build.path("model"), "drawn": drawn_file, "runtime": build.runtime}
    jobs = [DirectJob(out=build.work / f"likeliest_{part.index}.parquet", part=part, **place) for part in parts]
    build.workers(WORKER, jobs, name="direct")
    rows = chain.from_iterable(read_rows(job.out) for job in jobs)
    return {(row["document_id"], row["position"]): row["token"] for row in rows}


def _reasoning(config: PredictConfig, renderer: PredictionRenderer, drawn: Drawn) -> Wanted[Position]:
    def prompts(position: Position) -> list[Prompt]:
        text = renderer.prompt(position.context, config.budget_tokens)
        return [Prompt(f"{position.document_id}:{position.position}", "", "", text)]

    return Wanted(
        sources={POSITIONS: drawn.positions},
        render=prompts,
        samplings=(config.sampling,),
        num_samples=config.num_samples,
        seed=config.seed,
        form=renderer.form,
    )


def _predictions(
    drawn: Drawn,
    answers: Answers,
    likeliest: dict[tuple[str, int], int],
    reasoned: Iterator[Row],
    config: PredictConfig,
) -> Iterator[Row]:
    """Position by position: the direct prediction, then the reasoned ones."""
    for position in drawn.positions:
        yield answers.direct(position, likeliest[position.key])
        for sample in islice(reasoned, config.num_samples):
            yield answers.reasoned(position, sample)
