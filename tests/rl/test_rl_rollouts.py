"""Rollouts: a prompt is read once for its whole group, and each rollout is a continuation of its own prompt."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from tasks.shared.engines.decoding.loop import decode
from tasks.shared.engines.decoding.token_choice import StopRule
from tasks.shared.engines.protocol import Sampling
from tasks.shared.engines.tokens import encode_prompts, load_tokenizer


def test_copies_continue_their_own_prompt(guesser: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(guesser), load_tokenizer(guesser)
    prompts = encode_prompts(tokenizer, ["Q: 1\nA:", "Q: 123456\nA: #### ", "x"])
    rule = StopRule([tokenizer.eos_token_id], tokenizer.pad_token_id)
    greedy = Sampling(temperature=0, max_new_tokens=10)
    alone = [next(iter(decode(model, [prompt], greedy, rule, draws=None))).tokens for prompt in prompts]
    together = {done.row: done.tokens for done in decode(model, prompts, greedy, rule, draws=None, copies=3)}
    assert [together[row] for row in range(9)] == [alone[row // 3] for row in range(9)]


def test_copies_draw_what_repeated_prompts_draw(guesser: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(guesser), load_tokenizer(guesser)
    prompts = encode_prompts(tokenizer, ["Q: 1\nA:", "Q: 7\nA:"])
    draws = torch.rand(16, 10, generator=torch.Generator().manual_seed(0))
    drawn = []
    for given, copies in ((prompts, 8), ([prompts[row // 8] for row in range(16)], 1)):
        rule = StopRule([tokenizer.eos_token_id], tokenizer.pad_token_id)
        done = decode(model, given, Sampling(top_p=1, max_new_tokens=10), rule, draws=draws, copies=copies)
        drawn.append({each.row: each.tokens for each in done})
    assert drawn[0] == drawn[1]
    assert len({tuple(tokens) for tokens in drawn[0].values()}) > 1
