"""Self-generated mid-training by hand, in one file: `python -m tests.walkthrough.polya_by_hand`.

A model solves questions under named heuristics; its correct solutions, each behind the plain prompt, fine-tune it
(mid-training); GRPO starts from there instead of from the base model (arXiv 2605.08472). Functions and settings are the
pipeline's own; its trainers, named below, take many such steps, and one is far too little to gain anything.
"""

from collections import Counter
from itertools import groupby, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from tasks.dataset import schema, select
from tasks.filter import endings
from tasks.filter.select import decide
from tasks.generate import heuristics
from tasks.midtrain import batching, collate, encoding
from tasks.questions import config, sources
from tasks.questions.rows import TINY_FIELDS, to_question
from tasks.recipe import loading, polya
from tasks.rl.reward import CorrectnessReward
from tasks.shared.engines import tokens, transformers_engine
from tasks.shared.engines.decoding import loop, token_choice
from tasks.shared.engines.protocol import Request, Sampling
from tasks.shared.models import causal_lm
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.wanted import Prompt, plain_prompt, wanted_rows
from tasks.shared.statistics import bootstrap, passk
from tasks.shared.tables.parquet import Row, write_parquet
from tasks.shared.verification import grading, pool
from tasks.tiny import MODEL_DIR

RECIPE = loading.load(polya.PolyaRecipe, "tiny-cpu")
RENDERER, SAMPLES, GROUP_SIZE = Renderer(RECIPE.prompt), 4, 8
SAMPLING, GREEDY = (RECIPE.generate.sampling.model_copy(update={"temperature": value}) for value in (1.0, 0.0))
HEURISTICS = [item for item in heuristics.load_heuristics("tiny") if item.name in ("decomposition", "working backward")]


def main() -> Row:
    """All steps in order; returns what they made, by name."""
    torch.set_num_threads(1)
    disable_progress_bar()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(MODEL_DIR), tokens.load_tokenizer(MODEL_DIR)
    questions, prompts = ask(RECIPE.questions, 28, named=True)
    samples = solve(MODEL_DIR, questions, prompts)
    kept, rows = choose(samples, questions)
    with TemporaryDirectory(prefix="trained-") as name:
        folder = Path(name)
        write_parquet(rows, folder / schema.TRAIN_FILE, schema.TRAIN)
        losses = take_sft_step(model, encoding.read_examples(folder / schema.TRAIN_FILE, tokenizer, max_length=256))
        rollouts = roll_out(model, tokenizer)
        log_probs = take_grpo_step(model, rollouts)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        scores = [evaluate(model_folder) for model_folder in (MODEL_DIR, folder)]
    return dict(samples=samples, kept=kept, rows=rows, losses=losses, log_probs=log_probs, scores=scores, **rollouts)


def ask(source: config.QuestionsConfig, count: int, named: bool = False) -> tuple[dict[str, Row], list[Prompt]]:
    """1. Questions with gold answers, by id, and 2. their prompts: one for each heuristic that is named, or plain."""
    rows = [to_question(record, source, TINY_FIELDS) for record in islice(sources.read_source(source), count)]
    texts = [(row["id"], row["question"]) for row in rows]
    prompts = [
        prompt
        for text in texts
        for prompt in (
            heuristics.heuristic_prompts(text, HEURISTICS, RENDERER) if named else [plain_prompt(text, RENDERER)]
        )
    ]
    print(f"\n1. {count} questions, 2. {len(prompts)} prompts, the first one:\n{prompts[0].text} ({rows[0]['answer']})")
    return {row["id"]: row for row in rows}, prompts


def solve(model: Path, questions: dict[str, Row], prompts: list[Prompt], sampling: Sampling = SAMPLING) -> list[Row]:
    """3. Samples of every prompt from an engine, and 4. a verdict on each; one that was cut has no answer."""
    rows = list(wanted_rows(prompts, sampling=sampling, model_digest="", num_samples=SAMPLES, seed=0))
    requests = [Request(row["key"], row["prompt"], row["seed"]) for row in rows]
    engine = transformers_engine.TransformersEngine(model, device="cpu", dtype="float32", batch_size=128)
    completions = {completion.key: completion for completion in engine.stream(requests, sampling)}
    for row in rows:
        text, cut = completions[row["key"]].text, completions[row["key"]].finish_reason == "length"
        verdict = grading.grade("" if cut else text, questions[row["question_id"]]["answer"], RECIPE.verification)
        ends = endings.ending(text, RECIPE.verification.extraction, endings.new_problem())
        row |= {"completion": text[: ends.chars], "truncated": cut, "verdict": verdict.verdict, "ending": ends.kind}
        row |= {"arithmetic": None, "adherence": None}
    print(f"3. {len(rows)} samples at temperature {sampling.temperature}, the first one:{rows[0]['completion']}")
    print(f"4. It is {rows[0]['verdict']}; all of them: {dict(Counter(row['verdict'] for row in rows))}")
    return rows


def choose(samples: list[Row], questions: dict[str, Row]) -> tuple[list[Row], list[Row]]:
    """5. A correct solution of each question and heuristic, unscored; of these unlike ones, behind the plain prompt."""
    groups = groupby(samples, key=lambda row: (row["question_id"], row["heuristic"]))
    kept = [row for _, group in groups for row in decide(list(group), RECIPE.filter).kept]
    rows = []
    for question_id, group in groupby(kept, key=lambda row: row["question_id"]):
        prompt = RENDERER.plain(questions[question_id]["question"])
        for rank, row in enumerate(select.select(list(group), RECIPE.dataset).chosen):
            source = {"question_id": question_id, "heuristic": row["heuristic"], "rank": rank}
            rows.append({"prompt": prompt, "completion": RENDERER.completion(row["completion"]), **source})
    print(f"5. {len(kept)} kept, {len(rows)} training rows, the first one:\n{rows[0]['prompt']}{rows[0]['completion']}")
    return kept, rows


def token_log_probs(model: PreTrainedModel, batch: Row) -> torch.Tensor:
    """Log-probability of each completion token, 0 elsewhere; restarting positions keep a row's examples apart."""
    logits = model(batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits[:, :-1]
    return -cross_entropy(logits.mT, batch["labels"][:, 1:], ignore_index=collate.IGNORED, reduction="none")


def take_sft_step(model: PreTrainedModel, examples: list[encoding.TrainingExample]) -> tuple[float, float]:
    """6. Mid-training: cross-entropy of completion tokens, packed in rows (tasks.midtrain.trainer.StepTrainer)."""
    batch = collate.lay_out(examples, batching.pack([len(example) for example in examples], 256), filler=0)
    count = (batch["labels"] != collate.IGNORED).sum()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RECIPE.midtrain.learning_rate)
    loss = -token_log_probs(model, batch).sum() / count
    loss.backward()
    optimizer.step()
    losses = loss.item(), -token_log_probs(model, batch).sum().item() / count.item()
    print(f"6. SFT on {count} tokens in {len(batch['labels'])} rows: loss {losses[0]:.4f}, then {losses[1]:.4f}")
    return losses


def roll_out(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Row:
    """7. RL: a group of rollouts for each question, and by how much the reward of each exceeds its group's mean."""
    questions, prompts = ask(RECIPE.rl_questions, 14)
    prompt_ids = tokens.encode_prompts(tokenizer, [prompt.text for prompt in prompts])
    ends = causal_lm.end_token_ids(model.generation_config, tokenizer.eos_token_id)
    draws = torch.rand(len(prompts) * GROUP_SIZE, SAMPLING.max_new_tokens, generator=torch.Generator().manual_seed(0))
    rule = token_choice.StopRule(ends, tokenizer.pad_token_id)
    decoded = loop.decode(model, prompt_ids, SAMPLING, rule, draws=draws, copies=GROUP_SIZE)
    ids = [rollout.tokens for rollout in sorted(decoded, key=lambda rollout: rollout.row)]
    golds = [question["answer"] for question in questions.values() for _ in range(GROUP_SIZE)]
    with pool.VerifierPool(config=RECIPE.verification) as graders:  # processes that can be killed: algebra may hang
        reward = CorrectnessReward(graders, tokenizer, ends, RENDERER.form)
        values = reward(completion_ids=ids, answer=golds, log_metric=print)
    rewards = torch.tensor(values).view(-1, GROUP_SIZE)
    advantages = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    print(f"7. Rewards and advantages of the first group:\n{rewards[0]}\n{advantages[0]}")
    examples = [encoding.TrainingExample(prompt_ids[row // GROUP_SIZE], rollout) for row, rollout in enumerate(ids)]
    return {"examples": examples, "rewards": rewards, "advantages": advantages}


def take_grpo_step(model: PreTrainedModel, rollouts: Row) -> list[torch.Tensor]:
    """8. RL: what beat its group becomes likelier, the rest less likely (tasks.rl.trainer.GroupTrainer)."""
    examples, advantages = rollouts["examples"], rollouts["advantages"].view(-1, 1)
    batch = collate.lay_out(examples, [[row] for row in range(len(examples))], filler=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RECIPE.rl.learning_rate)
    optimizer.zero_grad()
    before = token_log_probs(model, batch)
    ratio = (before - before.detach()).exp()  # 1 as long as the policy is the one that wrote the rollouts
    clipped = ratio.clamp(1 - RECIPE.rl.trl.epsilon, 1 + RECIPE.rl.trl.epsilon_high)
    gain = torch.minimum(ratio * advantages, clipped * advantages)
    loss = -gain[batch["labels"][:, 1:] != collate.IGNORED].mean()
    loss.backward()
    optimizer.step()
    log_probs = [values.detach().sum(1).view(-1, GROUP_SIZE) for values in (before, token_log_probs(model, batch))]
    first, then = (values[rollouts["advantages"] > 0].mean() for values in log_probs)
    print(f"8. GRPO: mean log-probability of rollouts that beat their group {first:.3f}, then {then:.3f}")
    return log_probs


def evaluate(model: Path) -> Row:
    """9. Greedy accuracy and unbiased pass@k on questions of no training, with 95% intervals over questions."""
    questions, prompts = ask(RECIPE.evaluate.questions("tiny-test"), 42)
    values = {"greedy": [row["verdict"] == "correct" for row in solve(model, questions, prompts, GREEDY)]}
    right = Counter(row["question_id"] for row in solve(model, questions, prompts) if row["verdict"] == "correct")
    counts = [right[question_id] for question_id in questions]
    values |= {f"pass@{k}": passk.pass_at_k(SAMPLES, counts, k) for k in (1, SAMPLES)}
    options = {"confidence": 0.95, "resamples": 2000, "seed": 0}
    scores = {name: bootstrap.bootstrap_mean(value, **options) for name, value in values.items()}
    for name, score in scores.items():
        print(f"9. {model.name}: {name} {score.mean:.1%} (95% interval {score.low:.1%} to {score.high:.1%})")
    return {**scores, "counts": counts}


if __name__ == "__main__":
    main()
