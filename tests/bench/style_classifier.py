"""A reward model of the small world: its base, trained to tell solutions in a heuristic's style from others."""

import random
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from tasks.filter.adherence.config import RewardModelScorer
from tasks.filter.adherence.reward_model import RewardModel
from tasks.generate.heuristics import load_heuristics
from tasks.tiny import MODEL_DIR
from tasks.tiny.problems import Problem, generate_problems
from tasks.tiny.styles import METHODS, completion

STEPS, PAIRS, PROBLEMS, LEARNING_RATE = 120, 48, 2_000, 1e-3
TEMPLATE = "Q: {{ messages[0].content }}\nA: {{ messages[1].content }}"


def trained_classifier(folder: Path) -> RewardModel:
    """Train a classifier on pairs of one problem's solutions, save it, and read it as a stage does.

    Of a pair, one solution is in the style of the heuristic that is named and one in another style; the loss is that
    of Bradley and Terry, -log sigmoid(score of the first - score of the second).
    """
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.chat_template, tokenizer.padding_side = TEMPLATE, "right"
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        MODEL_DIR, num_labels=1, pad_token_id=tokenizer.pad_token_id
    )
    optimizer, draw = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE), random.Random(0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 2 * (STEPS - step) / STEPS))
    problems = generate_problems("base", PROBLEMS, seed=7)
    for _ in range(STEPS):
        loss = _loss(model, tokenizer, draw.sample(problems, PAIRS), draw)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
    print(f"reward model: {STEPS} steps of {PAIRS} pairs, loss at the end {loss.item():.4f}")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = {"model": {"source": str(folder)}, "message_template": "{question}\nMethod: {name}"}
    scorer = RewardModelScorer.model_validate(config).following(load_heuristics("tiny"))
    return RewardModel(scorer, folder, device="cpu", dtype="float32", tokens_per_batch=16_384)


def _loss(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, problems: list[Problem], draw: random.Random
) -> torch.Tensor:
    """Loss of one pair of each problem; the first half of the rows are in the style that is named."""
    texts: tuple[list[str], list[str]] = ([], [])
    for problem in problems:
        styles = draw.sample(list(METHODS), 2)
        asked = {"role": "user", "content": f"{problem.question}\nMethod: {METHODS[styles[0]]}"}
        for side, style in zip(texts, styles, strict=True):
            said = {"role": "assistant", "content": completion(problem, style).strip()}
            side.append(tokenizer.apply_chat_template([asked, said], tokenize=False))
    rows = tokenizer([*texts[0], *texts[1]], return_tensors="pt", padding=True, add_special_tokens=False)
    scores = model(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"]).logits[:, 0]
    return -F.logsigmoid(scores[: len(problems)] - scores[len(problems) :]).mean()
