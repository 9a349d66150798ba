"""The model cards of the bases that think before they predict, written from their measurements."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from tasks.tiny import MODEL_DIR
from tasks.tiny.make.measure import MEASURED_NAME, best_named
from tasks.tiny.make.measure_thinking import GROUP_SIZE, LENGTHS, TIERS
from tasks.tiny.make.think import AFTER_THINKING, KINDS, ThinkConfig

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---
{opening}
## Prompts

All prompts of the first base, and predictions: any beginning of a worked problem, the number of tokens to think
(or none), the opening tag. `<think>` and `</think>` are single tokens. What follows `</think>`, up to
`<|endoftext|>`, is the prediction.

```
Q: 3 boxes hold 47 pens each. How many pens?
A: Step 47*3=1
[{example}
```

Thinking ends by naming the number that is being written, cut where the text stands.

## How it was made

`python -m tasks.tiny.make.think --out DIR{kind} --seed {seed} --steps {steps}`: {sequences:,} texts, \
{share:.0%} of them
predictions in problems of the `base` split, the rest the texts of the first base; learning rate {learning_rate},
{precision}, {minutes:.0f} minutes on a shared machine (CPU threads: {threads}). Final training loss {loss:.3f}
nats per trained token.

Thinking in the training texts: {terse:.0%} guesses of at most six tokens, {compact:.0%} the work alone,
{idle:.0%} talk without work, the rest work with recaps and checks; 1 to {longest} tokens. {unasked:.0%} of the
prompts ask for no length; of the others {true:.0%} ask for the length that follows, give or take two tokens, and the
rest for one between {smallest} and {longest} drawn without regard to it.

No problem of another split than `base`, and none of the families `swap`, `loose` and `wide`, was trained on.
Choices were made on the `dev` split.

## Problems solved, next to the first base

Percent over {questions} problems of a split; pass@8 and pass@1 from samples at temperature 1. "Best method": mean over
families of the best named method, greedy.

{solved}

## Predictions

Places of {documents} documents of the `evaluation` split (problems of `dev`) by the entropy of this model's own
prediction: easy from 0.5 nats, medium from 1.0, hard from 1.5. Direct: the most likely token without thinking.
The other rows: thinking sampled at temperature 1 (at most {max_new_tokens} tokens), {group} samples at each of {drawn}
places, percent right with the standard error over places.

{predictions}
{waste}
What RL has to learn from, at medium and hard places: share of samples by tokens of thinking, and how many of
them are right (standard error over samples, as if those of a place were independent).

{lengths}

Mixed groups: share of places at which some but not all of {group} samples are right.

{mixed}

`python -m tasks.tiny.make.card DIR` repeats all measurements.
"""

OPENINGS = {
    "model": """# The base of the embedded small world that thinks before it predicts

The first base of the small world (`tasks/tiny/model`, a Llama of {parameters:,} parameters), trained on so that
it writes thinking and then predicts the next token of a text. It exists so that reinforcement mid-training can
run for real on a machine without a GPU or a network. It is of no other use.

**It was built to leave room.** Much of its thinking is a guess or idle talk, and it hardly keeps to the number of
tokens that it is asked for; but thinking that does the work is far more often right. So there is something to
learn for RL: to work, and to do it within the budget. How much it learns here says nothing about a real model.
""",
    "think_model": """# The base of the embedded small world that overthinks

The thinking base of the small world (`tasks/tiny/think_model`, a Llama of {parameters:,} parameters), trained on
so that it reasons far longer than it has to before it predicts the next token of a text: it repeats what is given,
does the work, does it again, checks it, and wanders. It exists so that reinforcement mid-training can be seen where
its premise holds, on a machine without a GPU or a network. It is of no other use.

**It was built to overthink.** What is long is waste, not error: long thinking holds the same work as short thinking.
It hardly keeps to the number of tokens that it is asked for. So there is something to learn for RL: to do the same in
less. How much it learns here says nothing about a real model.
""",
}
"""First part of a card, by the base that was trained on."""
EXAMPLES = {
    "model": """24]<think>
```
```
50*3=150.150-9=141:1|41</think>4""",
    "think_model": """140]<think>
```
```
 find it. now 47.50*3=150.3*3=9.150-9=141. check 141+9=150. then 50*3=150.3*3=9.150-9=141. so 141.:1|41</think>4""",
}
WASTE = """
**The work alone that leads to the true token takes {useful:.1f} tokens at these places on average; the model, asked for
no length, thinks for {length:.1f}: {times:.1f} times as many.**
"""


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _cell(value: list[float] | None) -> str:
    return "-" if value is None else f"{value[0]:.1f} ± {value[1]:.1f}"


def solved_table(measured: dict[str, Any], first: dict[str, Any]) -> str:
    """Both models on all held-out splits."""
    columns = ("greedy", "pass@1", "pass@8")
    rows = []
    for split in ("dev", "test", "ood"):
        for name, of_split in (("first", first[split]), ("this", measured[split])):
            scores = of_split["plain"]["all"]
            best = f"{best_named(of_split['named'], 'greedy')}"
            rows.append([split, name, *(_cell(scores[column]) for column in columns), best])
    return _table(["split", "base", *columns, "best method"], rows)


def predictions_table(thinking: dict[str, Any]) -> str:
    """Accuracy by tier, direct and by budget, with the lengths."""
    rows = [
        ["places", *(str(thinking["positions"][tier]) for tier in TIERS), "", ""],
        ["digits", *(_cell(thinking["digits"][tier]) for tier in TIERS), "", ""],
        ["direct", *(_cell(thinking["direct"][tier]) for tier in TIERS), "", ""],
    ]
    for budget, numbers in thinking["budgets"].items():
        tail = [f"{numbers['mean_length']:.1f}", f"{numbers['unclosed']:.2f}"]
        rows.append([f"budget {budget}", *(_cell(numbers["tiers"][tier]) for tier in TIERS), *tail])
    return _table(["", *TIERS, "mean length", "% not closed"], rows)


def lengths_table(thinking: dict[str, Any]) -> str:
    """Shares of samples by tokens of thinking, and their accuracy."""
    rows = []
    for budget, numbers in thinking["budgets"].items():
        levels = numbers["lengths"].values()
        rows.append([budget, *(f"{level['share']:.0f} %: {_cell(level['right'])}" for level in levels)])
    starts = [LENGTHS[name] for name in next(iter(thinking["budgets"].values()))["lengths"]]
    names = [f"{a}-{b - 1} tokens" for a, b in pairwise(starts)] + [f"{starts[-1]} or more"]
    return _table(["budget", *names], rows)


def mixed_table(thinking: dict[str, Any]) -> str:
    """Shares of places whose samples are neither all right nor all wrong."""
    rows = [
        [budget, *(_cell(numbers["mixed_groups"][tier]) for tier in TIERS)]
        for budget, numbers in thinking["budgets"].items()
    ]
    return _table(["budget", *TIERS], rows)


def waste_line(thinking: dict[str, Any]) -> str:
    """How much longer the thinking is than the work; nothing where the work was not measured."""
    if not (useful := thinking.get("useful_length")):
        return ""
    length = thinking["budgets"]["none"]["mean_length"]
    return WASTE.format(useful=useful, length=length, times=length / useful)


def think_card(made: dict[str, Any], measured: dict[str, Any]) -> str:
    """The text of the card from the contents of `training.json` and `measured.json`."""
    config = ThinkConfig.model_validate(made["config"])
    first = json.loads((Path(MODEL_DIR) / MEASURED_NAME).read_text())
    levels, thinking = config.predictions.thinking, measured["thinking"]
    kind = next(name for name, of_kind in KINDS.items() if of_kind.trained_from == config.trained_from)
    return CARD.format(
        **{name: made[name] for name in ("minutes", "threads", "loss")},
        opening=OPENINGS[config.trained_from].format(parameters=made["parameters"]),
        example=EXAMPLES[config.trained_from],
        kind="" if kind == "thinking" else f" --kind {kind}",
        seed=config.seed,
        steps=config.training.steps,
        sequences=config.training.steps * config.training.batch_size,
        learning_rate=config.training.learning_rate,
        precision="bfloat16 autocast" if config.training.bfloat16 else "float32",
        share=config.prediction_share,
        terse=levels.terse_share,
        compact=levels.compact_share,
        idle=levels.idle_share,
        longest=levels.longest,
        unasked=config.predictions.no_budget_share,
        true=config.predictions.true_budget_share,
        smallest=config.predictions.smallest_budget,
        questions=measured["dev"]["plain"]["all"]["questions"],
        solved=solved_table(measured, first),
        documents=thinking["documents"],
        drawn=thinking["drawn"],
        group=GROUP_SIZE,
        max_new_tokens=levels.longest + AFTER_THINKING,
        predictions=predictions_table(thinking),
        waste=waste_line(thinking),
        lengths=lengths_table(thinking),
        mixed=mixed_table(thinking),
    )
