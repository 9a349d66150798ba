"""Run all measurements, or those named: `python -m tests.bench parquet sft`."""

import importlib
import sys
from pathlib import Path

ORDER = (
    "parquet",
    "report",
    "verifier",
    "entropy",
    "sft",
    "rmt",
    "generation",
    "adherence",
    "pipeline",
    "world",
    "agreement",
    "theory",
)


def main() -> None:
    """Each measurement prints its own lines."""
    known = {path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py")}
    for name in sys.argv[1:] or ORDER:
        if name not in known:
            sys.exit(f"no measurement {name!r}; there are: {', '.join(sorted(known))}")
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"tests.bench.bench_{name}").main()


if __name__ == "__main__":
    main()
