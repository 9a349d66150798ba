"""The program that adds the tags: to the tokenizer as special tokens, and to the model as rows of its embedding."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.shared.engines.tokens import load_tokenizer
from tasks.spine.stage.imports import UNUSED_BY_TRAINERS, lean_imports, offline
from tasks.spine.stage.worker import Reporter, worker_main
from tasks.think_tags.config import TagJob

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

GENERATION_CONFIG = "generation_config.json"


def run(job: TagJob, reporter: Reporter) -> dict[str, Any]:
    """Write the model with the tags, in the precision that it is stored in; returns what was added."""
    with lean_imports(*UNUSED_BY_TRAINERS):
        from tasks.shared.models.causal_lm import load_causal_lm
    tokenizer = load_tokenizer(job.model, trust_remote_code=job.trust_remote_code)
    model = load_causal_lm(job.model, dtype="auto", trust_remote_code=job.trust_remote_code)
    before = embedding_rows(model)
    added = add_tags(model, tokenizer, job.tags)
    write(model, tokenizer, job)
    return {"added": added, "rows_before": before, "rows_after": embedding_rows(model)}


def embedding_rows(model: "PreTrainedModel") -> int:
    """Tokens that the model has an embedding for."""
    return int(model.get_input_embeddings().weight.shape[0])


def add_tags(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", tags: Sequence[str]) -> list[str]:
    """Make each tag one token of tokenizer and model; returns those that were none.

    A new token's rows, in the embedding and in an output layer of its own, are the mean of the rows of the tokens that
    spelled it before: the tags differ, and neither outbids every other token, as rows drawn at random may. Rows that
    stand ready behind the last token are used first.
    """
    import torch
    from tokenizers import AddedToken

    spelled = {tag: tokenizer.encode(tag, add_special_tokens=False) for tag in tags}
    missing = [tag for tag, pieces in spelled.items() if len(pieces) != 1]
    known = len(tokenizer)
    tokenizer.add_tokens([AddedToken(tag, special=True, normalized=False) for tag in missing], special_tokens=True)
    if len(tokenizer) > embedding_rows(model):
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    with torch.no_grad():
        for weight in {id(layer.weight): layer.weight for layer in layers if layer is not None}.values():
            for row, tag in enumerate(missing, start=known):
                weight[row] = weight[spelled[tag]].float().mean(0).to(weight.dtype)
    return missing


def write(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", job: TagJob) -> None:
    """A model folder in safetensors; chat template and generation config are the model's own, as they were."""
    shutil.rmtree(job.out, ignore_errors=True)
    # The model's own may hold settings with which transformers writes nothing; it is copied as it is.
    model.generation_config = type(model.generation_config)()
    model.save_pretrained(job.out)
    tokenizer.save_pretrained(job.out)
    target = Path(job.out) / GENERATION_CONFIG
    target.unlink(missing_ok=True)
    if (job.model / GENERATION_CONFIG).exists():
        shutil.copyfile(job.model / GENERATION_CONFIG, target)


if __name__ == "__main__":
    offline()
    worker_main(TagJob, run)
