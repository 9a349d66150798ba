"""The embedded small world: word problems, solution styles, a tokenizer and a base model made from scratch.

It lets the whole pipeline run for real on a machine without a GPU or a network. The world was built so that
self-generated mid-training has something to show: a plain prompt is answered with one big arithmetic jump
that a tiny model computes badly, while each named method breaks the problem into steps that it does well.
"""

from pathlib import Path

MODEL_DIR = Path(__file__).parent / "model"
THINK_MODEL_DIR = Path(__file__).parent / "think_model"
OVERTHINK_MODEL_DIR = Path(__file__).parent / "overthink_model"
