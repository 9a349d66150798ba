"""Generation through our worker over the bare engines, on the same prompts of one model, on this machine's CPU.

`ours` is all that the worker does with a running engine: reading the wanted rows, scanning the pool, generating,
writing batches. `generate` is that of transformers on batches of the worker's size, `vllm` is `LLM.generate` on all
prompts at once. Each engine runs in a process of its own, one after the other; all of it is done twice, on the cores as
they are and beside a process that keeps one of them busy. Speed is completion tokens per second by the wall clock.

The model is the small world's, or the folder that MIDTRAIN_BENCH_MODEL names. `plain` are 64 questions; `heuristics`
are 16 of them under 4 heuristics with worked examples, which prompts of one heuristic share. The same decode loop
writes the rollouts of RL: what they take of a GRPO step comes last.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tasks.generate.heuristics import heuristic_prompts, load_heuristics
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.schema import WANTED, SampleSetJob, SamplingJob
from tasks.shared.sampling.wanted import Prompt, wanted_rows
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tasks.tiny.problems import generate_problems
from tests.support.paths import ROOT

SMALL_WORLD = ROOT / "tasks" / "tiny" / "model"
MODEL = Path(os.environ.get("MIDTRAIN_BENCH_MODEL", SMALL_WORLD))
SAMPLING = Sampling(max_new_tokens=128)
PROMPTS, HEURISTICS = 64, 4
MOST_TOKENS = 1024
"""Context of vLLM: prompt and completion."""
TURNS = 3 if MODEL == SMALL_WORLD else 1
WARM_UP = 8
TARGET = 0.95
ENGINES = ("ours", "generate", "vllm")
BUSY = "while True: pass"


def main() -> None:
    """Every engine in both conditions, our speed over the faster one's, and the share of rollouts in a GRPO step."""
    for condition in ("on the cores as they are", "beside a busy process"):
        busy = subprocess.Popen([sys.executable, "-c", BUSY]) if "busy" in condition else None
        try:
            speeds = {name: json.loads(_printed("bench_generation", name)) for name in ENGINES}
        finally:
            if busy is not None:
                busy.kill()
        for kind in speeds["ours"]:
            faster = max(ENGINES[1:], key=lambda name, kind=kind: speeds[name][kind])
            ratio = speeds["ours"][kind] / speeds[faster][kind]
            listed = ", ".join(f"{name} {speeds[name][kind]:,.0f}" for name in ENGINES)
            print(f"{kind} prompts {condition}: tokens/s {listed}; ours over {faster} {ratio:.2f} (target {TARGET})")
    print(_printed("grpo_step"))


def _printed(module: str, engine: str = "") -> str:
    """What a module of this folder prints last, in a process of its own; without an engine it is our code."""
    command = [sys.executable, "-m", f"tests.bench.{module}", *filter(None, [engine])]
    # As workers are started (`run_worker`); the bare engines have what a shell would give them.
    environment = {**({"OMP_WAIT_POLICY": "PASSIVE"} if engine in ("", "ours") else {}), **os.environ}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return done.stdout.splitlines()[-1]


def measure(name: str) -> None:
    """Print the median speed of one engine over some turns."""
    from tasks.shared.engines.factory import make_engine

    runtime = Runtime(device="cpu", engine="vllm" if name == "vllm" else "transformers")
    engine = make_engine(MODEL, runtime, PromptForm())
    bare = {"generate": bare_transformers, "vllm": bare_vllm}.get(name)
    speeds = {}
    with tempfile.TemporaryDirectory() as path:
        for kind, prompts in _prompts().items():
            folder = Path(path) / kind
            wanted = _wanted(folder, prompts)
            texts = [row["prompt"] for row in read_rows(wanted, ["prompt"])]
            if bare:
                bare(engine, texts[:WARM_UP], runtime.batch_size)
            else:
                _ours(engine, _job(folder, _wanted(folder / "first", prompts[:WARM_UP]), runtime, 0))
            turns = []
            for turn in range(TURNS):
                started = time.monotonic()
                job = _job(folder, wanted, runtime, turn)
                tokens = bare(engine, texts, runtime.batch_size) if bare else _ours(engine, job)
                turns.append(tokens / (time.monotonic() - started))
            speeds[kind] = statistics.median(turns)
    print(json.dumps(speeds), flush=True)


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
                temperature=SAMPLING.temperature,
                top_p=SAMPLING.top_p,
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

    params = SamplingParams(temperature=SAMPLING.temperature, top_p=SAMPLING.top_p, max_tokens=SAMPLING.max_new_tokens)
    outputs = engine._started(MOST_TOKENS).generate(list(prompts), params, use_tqdm=False)
    return sum(len(output.outputs[0].token_ids) for output in outputs)


def _ours(engine: object, job: SamplingJob) -> int:
    from tasks.shared.sampling.worker import SamplingTally, fill

    tally = SamplingTally(total=0, reporter=Reporter(Path(job.sets[0].pool).parent))
    fill(job.sets[0], engine, tally, job)
    return tally.tokens


def prompt_config() -> PromptConfig:
    """Prompts as the model is used to them."""
    return load(Recipe, "tiny-cpu").prompt if MODEL == SMALL_WORLD else PromptConfig()


def _prompts() -> dict[str, list[Prompt]]:
    renderer = Renderer.for_model(prompt_config(), MODEL)
    questions = [(str(row), problem.question) for row, problem in enumerate(generate_problems("dev", PROMPTS, seed=0))]
    heuristics = load_heuristics("tiny" if MODEL == SMALL_WORLD else "polya16")[:HEURISTICS]
    few = questions[: PROMPTS // HEURISTICS]
    return {
        "plain": [Prompt(*question, "", renderer.plain(question[1])) for question in questions],
        "heuristics": [prompt for question in few for prompt in heuristic_prompts(question, heuristics, renderer)],
    }


def _wanted(folder: Path, prompts: Sequence[Prompt]) -> Path:
    folder.mkdir(parents=True)
    rows = wanted_rows(prompts, sampling=SAMPLING, model_digest="0" * 64, num_samples=1, seed=0)
    write_parquet(rows, folder / "wanted.parquet", WANTED)
    return folder / "wanted.parquet"


def _job(folder: Path, wanted: Path, runtime: Runtime, turn: int) -> SamplingJob:
    """A job with an empty pool, so that every turn generates everything."""
    samples = SampleSetJob(wanted=wanted, pool=str(folder / f"pool-{wanted.parent.name}-{turn}"), sampling=SAMPLING)
    return SamplingJob(model=MODEL, sets=(samples,), runtime=runtime, form=PromptForm())


if __name__ == "__main__":
    measure(sys.argv[1]) if sys.argv[1:] else main()
