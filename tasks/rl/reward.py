"""The reward: 1 for a right final answer, 0 for anything else."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.tokens import cut_at_stop, decode_completion
from tasks.shared.verification.pool import VerifierPool
from tasks.shared.verification.verdict import OUTCOMES, TRUNCATED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PROBE = "<answer>x_{7}</answer>\n#### x_{7}\nThe answer is x_{7}.\n" + r"\boxed{x_{7}}"
"""An answer in any form that algebra can read and that no gold has: what is left to fail is the gold."""


class CorrectnessReward:
    """Grades rollouts in killable child processes; the text graded is the completion alone, never the prompt.

    A rollout that was cut at the token limit gets 0 unseen: it has given no final answer, whatever it mentions on the
    way. Rollouts are decoded here, with their special tokens: without tags, a thought would read as an answer.
    `error` gets 0 too: questions whose gold answer cannot be read are left out before the start (`readable_golds`), so
    what is left is a rollout that ended its grader.
    """

    __name__ = "correct"

    def __init__(
        self,
        pool: VerifierPool,
        tokenizer: "PreTrainedTokenizerBase",
        end_ids: Sequence[int],
        form: PromptForm,
        stop: Sequence[str] = (),
    ) -> None:
        """`stop` are the texts that end a rollout besides the tokens `end_ids`."""
        self._pool, self._tokenizer, self._end_ids, self._form = pool, tokenizer, frozenset(end_ids), form
        self._stop = stop
        self.fates: list[str] = []
        """Verdict of each rollout of the last batch, or that it was cut."""

    def __call__(
        self,
        *,
        completion_ids: Sequence[Sequence[int]],
        answer: Sequence[str],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float]:
        """One reward for each rollout, in order."""
        whole = [self._ended(ids) for ids in completion_ids]
        rows = [row for row, finished in enumerate(whole) if finished]
        pairs = [(self.text(completion_ids[row]), answer[row]) for row in rows]
        names = [TRUNCATED] * len(completion_ids)
        for row, verdict in zip(rows, self._pool.verify(pairs), strict=True):
            names[row] = verdict.verdict
        counts = Counter(names)
        for name in OUTCOMES:
            log_metric(f"verdict/{name}", counts[name] / len(names))
        self.fates = names
        return [float(name == "correct") for name in names]

    def text(self, ids: Sequence[int]) -> str:
        """A rollout as text, with the thought that its prompt opened, up to a stop text."""
        return self._form.graded(self._read(ids)[0], whole=True)

    def _ended(self, ids: Sequence[int]) -> bool:
        return bool(ids) and (ids[-1] in self._end_ids or (bool(self._stop) and self._read(ids)[1]))

    def _read(self, ids: Sequence[int]) -> tuple[str, bool]:
        return cut_at_stop(decode_completion(self._tokenizer, ids, self._end_ids), self._stop)


def readable_golds(pool: VerifierPool, answers: Sequence[str]) -> list[bool]:
    """Whether each gold answer can be compared with anything: the grader says `error` where it cannot."""
    distinct = list(dict.fromkeys(answers))
    verdicts = pool.verify((_PROBE, answer) for answer in distinct)
    readable = {answer: verdict.verdict != "error" for answer, verdict in zip(distinct, verdicts, strict=True)}
    return [readable[answer] for answer in answers]
