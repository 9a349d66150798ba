"""Cross-entropy on plain rows in passes of their own, and the trainer that has it beside the loss of rollouts.

L = L_RL + weight * L_text, each normalised by its own tokens. Sums over micro-batches and devices must be those of the
whole step at once, so each part is divided by the step's count and never by its own.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from transformers import PreTrainedModel

from tasks.rl.beside.rows import TextRow
from tasks.rl.scoring import length_sorted_passes
from tasks.rl.trainer import GroupTrainer
from tasks.shared.training.batch_balancing import balance_by_length
from tasks.shared.training.config import IGNORED, SFT_TOKENS


def text_passes(rows: Sequence[TextRow], num_processes: int, tokens_per_pass: int) -> list[list[list[TextRow]]]:
    """The rows of a step by process and forward pass, in as few passes as fit; all processes have equally many.

    Rows of like length share a pass. A process that has fewer passes than another ends with passes without rows.

    Args:
        tokens_per_pass: bound on rows times width of one forward pass.
    """
    lengths = torch.tensor([len(row.tokens) for row in rows])
    shares = []
    for share in balance_by_length(lengths.tolist(), num_processes):
        passes = length_sorted_passes(torch.tensor(share, dtype=torch.long), lengths, tokens_per_pass)
        shares.append([[rows[row] for row in part.tolist()] for part in passes])
    most = max(map(len, shares))
    return [[*passes, *[[] for _ in range(most - len(passes))]] for passes in shares]


def next_token_loss(
    model: PreTrainedModel, rows: Sequence[TextRow], device: torch.device, *, filler: int
) -> torch.Tensor:
    """Cross-entropy of the counted tokens of one pass, summed; nats.

    Rows are filled up on the right, where causal attention keeps the filler out of sight. Only counted positions reach
    the vocabulary. Without rows, two tokens of filler make the pass.

    Args:
        model: one with `tasks.shared.training.lm_head.add_text_head`.
        filler: any token.
    """
    ids = torch.full((max(len(rows), 1), max([len(row.tokens) for row in rows], default=2)), filler)
    labels = torch.full_like(ids, IGNORED)
    for line, row in enumerate(rows):
        ids[line, : len(row.tokens)] = torch.from_numpy(row.tokens)
        labels[line, : len(row.tokens)] = torch.from_numpy(row.labels)
    output = model(input_ids=ids.to(device), labels=labels.to(device), text_head=True)
    return -output.log_probs.sum()


class TextTrainer(GroupTrainer):
    """GRPO with cross-entropy on other rows in the same optimiser step.

    The rows are shared out over the processes and come first, each pass with a backward pass of its own. A step is a
    function of its number, so that a restart reads on where the checkpoint ends.
    """

    text_name: ClassVar[str]
    """Name of the rows' loss in metrics."""

    def __init__(self, *args: Any, text_weight: float, text_tokens: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.text_weight = text_weight
        self._text_tokens_per_pass = text_tokens or SFT_TOKENS[self.accelerator.device.type]
        self._terms = torch.zeros(2, device=self.accelerator.device)
        self._text_tokens = 0
        self._rl_tokens: torch.Tensor | None = None

    def text_rows(self, step: int) -> list[TextRow]:
        """The rows of one step, by its number."""
        raise NotImplementedError

    def _joined(self, rl: torch.Tensor, text: torch.Tensor, rl_tokens: torch.Tensor) -> torch.Tensor:
        """The loss of the step; the gradients of `text` are there already."""
        self._rl_tokens = rl_tokens
        self._terms[0] += rl.detach()
        return rl + self.text_weight * text

    def _learn_texts(self, model: Any, *, leaves_last: bool = False) -> torch.Tensor:
        """Gradients of the step's texts; returns their loss, without its weight.

        Each pass has a backward pass of its own, so that the gradients of one graph alone wait to be summed. The last
        is left to the caller where `leaves_last`. Gradients are averaged over processes, so each counts its share.
        """
        total = torch.zeros((), device=self.accelerator.device)
        if not self.text_weight:
            return total
        rows = self.text_rows(self.state.global_step // self.num_iterations)
        passes = text_passes(rows, self.accelerator.num_processes, self._text_tokens_per_pass)
        own = passes[self.accelerator.process_index] or [[]]
        share = self.accelerator.num_processes / max(sum(row.counted for row in rows), 1)
        self._text_tokens += sum(row.counted for part in own for row in part)
        kept = own.pop() if leaves_last else None
        for part in own:
            with self._part_of_step(model, last=False):
                loss = share * self._text_loss(model, part)
                self._backward(self.text_weight * loss)
            total += loss.detach()
        if kept is not None:
            total = total + share * self._text_loss(model, kept)
        self._terms[1] += total.detach()
        return total

    def _text_loss(self, model: Any, rows: list[TextRow]) -> torch.Tensor:
        filler = self.processing_class.pad_token_id
        with self.accelerator.autocast():
            return next_token_loss(model, rows, self.accelerator.device, filler=filler)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add both terms and their tokens, then report and judge the step."""
        if "loss" in logs:
            self._add_terms()
        super().log(logs, start_time)

    def _add_terms(self) -> None:
        values = self._metrics["train"]
        rl, text = self.accelerator.gather(self._terms).view(-1, 2).mean(0).tolist()
        counted = torch.tensor([self._text_tokens], device=self.accelerator.device)
        text_tokens = int(self.accelerator.gather(counted).sum())
        self._terms, self._text_tokens = torch.zeros_like(self._terms), 0
        rl_tokens = 0 if self._rl_tokens is None else int(self._rl_tokens)
        if self._rl_tokens is not None:
            values["loss_rl"].append(rl)
        if self.text_weight:
            values[f"loss_{self.text_name}"].append(text)
        values["rl_tokens"].append(rl_tokens)
        values[f"{self.text_name}_tokens"].append(text_tokens)
        values["rl_token_share"].append(rl_tokens / max(rl_tokens + text_tokens, 1))
