"""A package with rewards of its own, installed as pip would install it."""

import importlib
import sys
from pathlib import Path

import pytest

CODE = '''
def short(*, prompts, completions, answers, correct):
    """Right answers count, and each character costs."""
    return [right - len(text) / 1000 for text, right in zip(completions, correct)]

def constant(**_):
    return [0.5] * len(_["completions"])

def fewer(**_):
    return [1.0]

def nothing(**_):
    return [float("nan")] * len(_["completions"])

number = 3
'''
NAMES = ("short", "constant", "fewer", "nothing", "number")


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str = CODE) -> None:
    """Put the package into `folder`, and that on the path of this process and of those that it starts."""
    info = folder / "my_rewards-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-rewards\nVersion: 1.2\n")
    offered = "".join(f"{name} = my_rewards:{name}\n" for name in NAMES)
    (info / "entry_points.txt").write_text(f"[midtrain.rewards]\n{offered}")
    (folder / "my_rewards.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "my_rewards", raising=False)
    importlib.invalidate_caches()
