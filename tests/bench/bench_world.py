"""What self-generated mid-training does on the embedded world, at five seeds, and what could explain it away."""

import subprocess
import sys
from pathlib import Path

SEEDS = "0,1,2,3,4"


def main() -> None:
    """`midtrain run compare`: every arm at every seed, then the report over all of them."""
    command = [str(Path(sys.executable).with_name("midtrain")), "run", "compare", "--recipe", "tiny-cpu-controls"]
    subprocess.run([*command, "--seeds", SEEDS], check=True)


if __name__ == "__main__":
    main()
