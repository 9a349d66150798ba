"""Orchestration: the tiny run under Prefect and MLflow over the same stages called bare, and a rerun over both."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINE = [str(Path(sys.executable).with_name("midtrain")), "run", "polya", "--recipe", "tiny-cpu"]
BARE = [sys.executable, "-m", "tests.bench.bench_pipeline", "bare"]


def main() -> None:
    """Three processes in turn, each a whole run as a user starts it: bare, with everything, and that again."""
    with tempfile.TemporaryDirectory() as folder:
        bare_s = _timed(BARE, Path(folder) / "bare")
        cold_s = _timed(PIPELINE, Path(folder) / "full")
        cached_s = _timed(PIPELINE, Path(folder) / "full")
    print(f"tiny run, bare stages:           {bare_s:7.1f} s")
    print(f"tiny run, Prefect and MLflow:    {cold_s:7.1f} s")
    print(f"the same again, all from cache:  {cached_s:7.1f} s")
    print(f"overhead {cold_s / bare_s - 1:+.1%} (target: at most 10 %)")
    print(f"rerun 1/{cold_s / cached_s:.0f} of cold (target: at most 1/20)")
    print(json.dumps({"bare_s": bare_s, "cold_s": cold_s, "cached_s": cached_s}))


def run_bare() -> None:
    """The pipeline's own code with nobody watching."""
    from flows.polya import polya
    from tasks.spine.stage.context import run_context_with
    from tests.bench.bare import Bare

    with run_context_with(visitor=Bare()):
        polya.fn(recipe="tiny-cpu")


def _timed(command: list[str], home: Path) -> float:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    started = time.monotonic()
    subprocess.run(command, env={**environment, "MIDTRAIN_HOME": str(home)}, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


if __name__ == "__main__":
    run_bare() if sys.argv[1:] == ["bare"] else main()
