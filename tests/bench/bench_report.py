"""Time and peak memory of a report, at 10,000 and at 100,000 samples of evaluations."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tasks.report.write import write_report
from tests.support.report_worlds import RATES, build_world

SAMPLES = (10_000, 100_000)
DRAWS = 64
TARGET_S = 30.0


def main() -> None:
    """One process per size, so that each has a peak of its own."""
    peaks = []
    for samples in SAMPLES:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.bench_report", str(samples)], capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        peaks.append(found["peak_mib"])
        print(
            f"{samples:7,d} samples: a report in {found['wall_s']:.1f} s, {found['cpu_s']:.1f} CPU s (target "
            f"{TARGET_S:g} s), peak memory {found['peak_mib']:.0f} MiB, making the samples included"
        )
    print(f"memory ratio {peaks[1] / peaks[0]:.2f} (target: flat)")


def measure(samples: int) -> None:
    """Make evaluations of four models with `samples` completions in all, then their report; print what that took."""
    with tempfile.TemporaryDirectory() as folder:
        world = build_world(Path(folder), benchmarks={"tiny-test": samples // len(RATES) // DRAWS}, samples=DRAWS)
        out = Path(folder) / "report"
        out.mkdir()
        wall, cpu = time.monotonic(), time.process_time()
        write_report(world.store, world.config(), world.parents, out)
        spent = {"wall_s": time.monotonic() - wall, "cpu_s": time.process_time() - cpu}
    print(json.dumps({**spent, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    measure(int(sys.argv[1])) if sys.argv[1:] else main()
