"""Generation through our worker over the bare engine on the same prompts: transformers and vLLM on this machine's CPU.

The model of the small world answers dev questions under all its heuristics. `bare` is `model.generate` on batches of
the worker's size in the given order, or `LLM.generate` on all prompts at once. `ours` is all that the worker does with
a running engine: reading the wanted rows, scanning the pool, generating, writing batches. Turns are interleaved; speed
is completion tokens per CPU second of the process, so that other work on the machine shows less.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from tasks.generate.heuristics import heuristic_prompts, load_heuristics
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.schema import WANTED, SampleSetJob, SamplingJob
from tasks.shared.sampling.wanted import wanted_rows
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tasks.tiny.problems import generate_problems
from tests.support.paths import ROOT

MODEL = ROOT / "tasks" / "tiny" / "model"
SAMPLING = Sampling(top_p=1.0, max_new_tokens=96)
QUESTIONS = {"transformers": 128, "vllm": 256}
TURNS = 5
TARGET = 0.95


def main() -> None:
    """One process for each engine, with one thread, so that they do not disturb each other."""
    for name in QUESTIONS:
        subprocess.run([sys.executable, "-m", "tests.bench.bench_generation", name], check=True)


def compare(name: str) -> None:
    """Print tokens per CPU second, bare and ours, and the ratio of each pair of turns."""
    from tasks.shared.engines.factory import make_engine

    runtime = Runtime(device="cpu", engine=name, num_threads=1, batch_size=256)
    engine = make_engine(MODEL, runtime, PromptForm())
    bare = {"transformers": bare_transformers, "vllm": bare_vllm}[name]
    with tempfile.TemporaryDirectory() as folder:
        wanted = _wanted(Path(folder), QUESTIONS[name])
        prompts = [row["prompt"] for row in read_rows(wanted, ["prompt"])]
        pairs = []
        for turn in range(TURNS + 1):
            job = _job(Path(folder), wanted, runtime, turn)
            ours = _speed(lambda job=job: _ours(engine, job, Path(folder)))
            pairs.append((_speed(lambda: bare(engine, prompts, runtime.batch_size)), ours))
    # The first turn warms up.
    bare_speed, our_speed = (statistics.median(speeds) for speeds in zip(*pairs[1:], strict=True))
    ratio = statistics.median(ours / theirs for theirs, ours in pairs[1:])
    print(f"{name}, {len(prompts)} prompts: bare {bare_speed:,.0f} tokens per CPU second, our worker {our_speed:,.0f}")
    print(f"ratio {ratio:.2f} (target: at least {TARGET})")
    print(json.dumps({"engine": name, "bare": bare_speed, "ours": our_speed, "ratio": ratio}), flush=True)


def bare_transformers(engine: object, prompts: Sequence[str], batch_size: int) -> int:
    """`generate` of transformers, batch by batch; returns the number of completion tokens."""
    import torch

    model, tokenizer = engine._model, engine._tokenizer
    tokenizer.padding_side = "left"
    tokens = 0
    for start in range(0, len(prompts), batch_size):
        batch = tokenizer(list(prompts[start : start + batch_size]), return_tensors="pt", padding=True)
        with torch.inference_mode():
            output = model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                do_sample=True,
                temperature=1.0,
                top_p=1.0,
                top_k=0,
                max_new_tokens=SAMPLING.max_new_tokens,
                pad_token_id=tokenizer.pad_token_id,
            )
        written = output[:, batch["input_ids"].shape[1] :]
        tokenizer.batch_decode(written, skip_special_tokens=True)
        tokens += int((written != tokenizer.pad_token_id).sum())
    return tokens


def bare_vllm(engine: object, prompts: Sequence[str], batch_size: int) -> int:
    """`LLM.generate` of vLLM on all prompts at once; returns the number of completion tokens."""
    from vllm import SamplingParams

    params = SamplingParams(temperature=1.0, top_p=1.0, max_tokens=SAMPLING.max_new_tokens)
    outputs = engine._llm.generate(list(prompts), params, use_tqdm=False)
    return sum(len(output.outputs[0].token_ids) for output in outputs)


def _ours(engine: object, job: SamplingJob, folder: Path) -> int:
    from tasks.shared.sampling.worker import SamplingTally, fill

    tally = SamplingTally(total=0, reporter=Reporter(folder))
    fill(job.sets[0], engine, tally, job)
    return tally.tokens


def _speed(work: Callable[[], int]) -> float:
    started = time.process_time()
    return work() / (time.process_time() - started)


def _wanted(folder: Path, questions: int) -> Path:
    problems = generate_problems("dev", questions, seed=0)
    renderer = Renderer(load(Recipe, "tiny-cpu").prompt)
    heuristics = load_heuristics("tiny")
    prompts = chain.from_iterable(
        heuristic_prompts((str(index), problem.question), heuristics, renderer)
        for index, problem in enumerate(problems)
    )
    rows = wanted_rows(prompts, sampling=SAMPLING, model_digest="0" * 64, num_samples=1, seed=0)
    write_parquet(rows, folder / "wanted.parquet", WANTED)
    return folder / "wanted.parquet"


def _job(folder: Path, wanted: Path, runtime: Runtime, turn: int) -> SamplingJob:
    """A job with an empty pool, so that every turn generates everything."""
    samples = SampleSetJob(wanted=wanted, pool=str(folder / f"pool-{turn}"), sampling=SAMPLING)
    return SamplingJob(model=MODEL, sets=(samples,), runtime=runtime, form=PromptForm())


if __name__ == "__main__":
    compare(sys.argv[1]) if sys.argv[1:] else main()
