"""Measure a small model on all held-out sets and write its model card.

`python -m tasks.tiny.make.card MODEL` measures dev, test and the out-of-domain families, for a model that thinks also
its predictions, and writes `measured.json` and `README.md` into the model's folder.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from tasks.tiny.make.base import TRAINING_NAME, BaseConfig
from tasks.tiny.make.measure import (
    MEASURED_NAME,
    PER_FAMILY,
    SAMPLES,
    best_named,
    measure,
    named_table,
    plain_table,
    show,
)
from tasks.tiny.make.measure_thinking import CARD_DOCUMENTS, CARD_PER_TIER, THINKING, measure_thinking, thinks
from tasks.tiny.make.sampling import load
from tasks.tiny.make.think_card import think_card
from tasks.tiny.problems import OOD_SPLIT
from tasks.tiny.styles import METHODS, OPENING_WORDS, named_prompt, plain_prompt

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---
# The base model of the embedded small world

A Llama of {parameters:,} parameters in float32, made from nothing on a CPU. It answers arithmetic word
problems of seven families and exists so that the whole pipeline can run for real on a machine without a GPU
or a network. It is of no other use: it knows about {vocabulary} tokens and nothing of the world.

**The world was built so that self-generated mid-training has something to show.** A plain prompt is
answered, in {habit:.0%} of the training texts, with one big jump that so small a model computes badly. A
named method breaks the problem into small jumps that it does well; which method does so depends on the
family. Nothing measured here says how much the method helps a real model.

## Prompts

Plain, and with a method named (the completion starts with a space and ends with `#### ANSWER` and
`<|endoftext|>`):

```
{plain}
```
```
{named}
```

The style of a solution shows in its first word: {openings}.

## How it was made

`python -m tasks.tiny.make.base --out DIR --seed {seed} --steps {steps}`: {sequences:,} texts ({drills:.0%}
drills of small facts, the rest worked problems of the `base` split), Muon for the matrices of the layers
and AdamW for the rest, learning rate {learning_rate}, bfloat16 autocast, {minutes:.0f} minutes on a shared
machine (CPU threads: {threads}). Final training loss {loss:.3f} nats per trained token.

Splits are decided by a hash of a problem's family and numbers: `base` 50 %, `seed` 15 % (mid-training),
`rl` 15 %, `dev` 10 %, `test` 10 %. No problem of another split was ever trained on. Three families are in no
training text at all: `swap` (`start` with its two events swapped), `loose` (`near` with numbers that are near
nothing round) and `wide` (`think` with larger answers). Drills are facts like `84/4=21`, not problems, and
belong to no split. Choices were made on `dev`; `test` was measured once, for this card. The three families
were picked, with an earlier model, as ones that a trained method can reach: they show transfer, not its limits.

## Measured accuracy

Percent, with the standard error over questions. Greedy is one completion; pass@k is the unbiased estimate
from the samples drawn at temperature 1 (top-p 1, no top-k), at most 96 new tokens; seed 0. An answer is
right when the integer after `####` at the end of the completion is. `python -m tasks.tiny.make.card DIR`
repeats all of it.
"""

SECTION = """
### {title}

Plain prompts ({unfinished} of {drawn} samples without a final answer; styles of the samples: {styles}):

{plain}

Greedy accuracy with a method named ({questions} questions a cell; the method is followed in {followed:.1f}
% of samples or more). Best method of each family, mean over families: {best_greedy} % greedy,
{best_sampled} % sampled.

{named}
"""
TITLES = {"dev": "dev", "test": "test", "ood": "Out of domain: families in no training text"}


def section(split: str, result: dict[str, Any]) -> str:
    """The tables of one split."""
    plain, named = result["plain"], result["named"]
    total = plain["all"]
    return SECTION.format(
        title=TITLES[split],
        unfinished=plain["unfinished"],
        drawn=total["questions"] * total["samples"],
        styles=", ".join(f"{style} {count}" for style, count in plain["styles"].items()),
        plain=plain_table(plain),
        questions=total["questions"] // len(plain["families"]),
        followed=min(cell["followed"] for cell in named.values()),
        best_greedy=best_named(named, "greedy"),
        best_sampled=best_named(named, "sampled"),
        named=named_table(named, "greedy"),
    )


def base_card(made: dict[str, Any], measured: dict[str, Any]) -> str:
    """The text of the first base's card from the contents of `training.json` and `measured.json`."""
    config = BaseConfig.model_validate(made["config"])
    question = "3 boxes hold 47 pens each. How many pens?"
    text = CARD.format(
        plain=plain_prompt(question),
        named=named_prompt(question, "decomposition"),
        openings=", ".join(f"`{word}` {METHODS[style]}" for style, word in OPENING_WORDS.items()),
        parameters=made["parameters"],
        vocabulary=made["vocabulary"],
        minutes=made["minutes"],
        threads=made["threads"],
        loss=made["loss"],
        seed=config.seed,
        steps=config.training.steps,
        sequences=config.training.steps * config.training.batch_size,
        drills=config.corpus.drill_share,
        habit=config.corpus.habit_share,
        learning_rate=config.training.learning_rate,
    )
    return text + "".join(section(split, result) for split, result in measured.items())


def write_card(folder: Path) -> None:
    """Write `README.md` from the folder's `training.json` and `measured.json`, whole or not at all."""
    made = json.loads((folder / TRAINING_NAME).read_text())
    measured = json.loads((folder / MEASURED_NAME).read_text())
    partial = folder / "README.md.partial"
    partial.write_text((think_card if THINKING in measured else base_card)(made, measured))
    os.replace(partial, folder / "README.md")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a small model on all held-out sets and write its card.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--per-family", type=int, default=PER_FAMILY)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--documents", type=int, default=CARD_DOCUMENTS, help="documents to find places in")
    parser.add_argument("--per-tier", type=int, default=CARD_PER_TIER, help="places of each tier to think at")
    options = parser.parse_args()
    measured: dict[str, Any] = {}
    for split in ("dev", "test", OOD_SPLIT):
        measured[split] = measure(options.model, split, options.per_family, options.samples)
        show(split, measured[split])
    model, tokenizer = load(options.model)
    if thinks(tokenizer):
        measured[THINKING] = measure_thinking(model, tokenizer, "evaluation", options.documents, options.per_tier)
    (options.model / MEASURED_NAME).write_text(json.dumps(measured, indent=1) + "\n")
    write_card(options.model)


if __name__ == "__main__":
    main()
