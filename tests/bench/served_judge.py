"""A judge behind an OpenAI-compatible server as a scorer of the bench, asked as the stage asks it."""

from collections.abc import Sequence

from tasks.filter.adherence.config import JudgeScorer
from tasks.filter.adherence.judge import RESPONSE_FORMAT, judge_prompt, read_score
from tasks.filter.adherence.protocol import AdherenceScore, ScoreRequest
from tasks.generate.heuristics import load_heuristics
from tasks.shared.engines.openai_engine import OpenAIEngine
from tasks.shared.engines.protocol import Request, Sampling

UNREAD = 0.5
"""Score of an answer that holds none: neither for nor against."""


class ServedJudge:
    """Asks the only model of a server, greedily, with structured output; what was asked once is not asked again."""

    def __init__(self, base_url: str, *, max_new_tokens: int) -> None:
        self._scorer = JudgeScorer(judge="served", max_new_tokens=max_new_tokens).following(load_heuristics("tiny"))
        self._engine = OpenAIEngine(base_url=base_url, endpoint="chat", response_format=RESPONSE_FORMAT)
        self._answers: dict[str, str] = {}
        self.unread = 0
        """Answers without a score, of those that were asked for so far."""

    @property
    def asked(self) -> int:
        """Solutions that were judged so far."""
        return len(self._answers)

    def score(self, requests: Sequence[ScoreRequest]) -> list[AdherenceScore]:
        """One score for each solution, 0 to 1."""
        prompts = [judge_prompt(self._scorer, row.question, row.heuristic, row.completion) for row in requests]
        missing = [Request(prompt, prompt, 0) for prompt in dict.fromkeys(prompts) if prompt not in self._answers]
        sampling = Sampling(temperature=0, top_p=1, max_new_tokens=self._scorer.max_new_tokens)
        for answer in self._engine.stream(missing, sampling):
            self._answers[answer.key] = answer.text
            self.unread += read_score(answer.text) is None
        scores = [read_score(self._answers[prompt]) for prompt in prompts]
        return [
            AdherenceScore(row.key, UNREAD if score is None else score, 0)
            for row, score in zip(requests, scores, strict=True)
        ]
