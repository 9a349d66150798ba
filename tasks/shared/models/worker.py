"""The child process that looks at a base model before any stage takes it: at its architecture and its tokenizer."""

from typing import Any

from tasks.errors import Permanent
from tasks.shared.models.config import ModelCheckJob
from tasks.spine.stage.imports import UNUSED_BY_TRANSFORMERS, lean_imports, offline
from tasks.spine.stage.worker import Reporter, worker_main

PROBE = "2 + 3 = 5"
"""Text that every model can read that is asked to calculate."""


def run(job: ModelCheckJob, reporter: Reporter) -> dict[str, str]:
    """Returns what is wrong with the model, in words; empty where nothing is."""
    with lean_imports(*UNUSED_BY_TRANSFORMERS):
        from tasks.shared.models.causal_lm import check_architecture

    try:
        check_architecture(job.folder, classifies=job.classifies, trust_remote_code=job.trust_remote_code)
    except Permanent as error:
        return {"problem": str(error)}
    return {"problem": _tokenizer_problem(job)}


def _tokenizer_problem(job: ModelCheckJob) -> str:
    from transformers import AutoTokenizer

    options: dict[str, Any] = {"trust_remote_code": job.trust_remote_code, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(job.folder, **options)
        ids = tokenizer(PROBE, add_special_tokens=False)["input_ids"]
    except Exception as error:  # tokenizers raises bare exceptions for files that it cannot read
        said = str(error).strip().partition("\n")[0]
        return f"{job.folder}: the tokenizer cannot be read ({type(error).__name__}: {said}); fetch its files again"
    if not {*ids} - {tokenizer.unk_token_id}:
        return f"{job.folder}: the tokenizer knows nothing of {PROBE!r}; fetch its files again"
    return ""


if __name__ == "__main__":
    offline()
    worker_main(ModelCheckJob, run)
