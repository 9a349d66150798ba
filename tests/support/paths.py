"""Where the project and its embedded model lie."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY_MODEL = ROOT / "tasks" / "tiny" / "model"
