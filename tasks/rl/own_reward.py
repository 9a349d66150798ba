"""A reward of one's own: a function that an installed package offers as an entry point of the group `midtrain.rewards`.

In that package's pyproject.toml: `[project.entry-points."midtrain.rewards"]` and `short = "my_package:short"`; in the
recipe: `rl.reward: short`. Only installed code can be named, so that a form or a recipe runs nothing else.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

from tasks.errors import Permanent, did_you_mean
from tasks.rl.reward import CorrectnessReward
from tasks.spine.store.fingerprint import digest_file

GROUP = "midtrain.rewards"


class RewardFunction(Protocol):
    """Rewards of rollouts, one for each, in order."""

    def __call__(
        self,
        *,
        prompts: Sequence[str],
        completions: Sequence[str],
        answers: Sequence[str],
        correct: Sequence[bool],
    ) -> Sequence[float]:
        """`answers` are the gold ones; `correct` is what the verifier found, False for what was cut."""
        ...


def reward_function(name: str) -> RewardFunction:
    """The function of an installed entry point. Raises ValueError where there is none, or two, or no function."""
    found = _entry_point(name).load()
    if not callable(found):
        raise ValueError(f"rl.reward={name!r}: the entry point leads to a {type(found).__name__}, not to a function")
    return found


def reward_identity(name: str) -> dict[str, str]:
    """What a reward is known by: its package with the version, and the content of the file that defines it."""
    point = _entry_point(name)
    source = inspect.getsourcefile(inspect.unwrap(reward_function(name)))
    package = f"{point.dist.name} {point.dist.version}" if point.dist else ""
    return {"reward": name, "package": package, "source": digest_file(Path(source)) if source else ""}


class OwnReward:
    """Rewards by a function of the user's; what is right is still graded and counted."""

    __name__ = "own"

    def __init__(self, name: str, graded: CorrectnessReward) -> None:
        self._name, self._function, self._graded = name, reward_function(name), graded

    @property
    def fates(self) -> list[str]:
        """Verdict of each rollout of the last batch, or that it was cut."""
        return self._graded.fates

    def __call__(
        self,
        *,
        prompts: Sequence[str],
        completion_ids: Sequence[Sequence[int]],
        answer: Sequence[str],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float]:
        """One reward for each rollout, in order. Raises `Permanent` where the function gives anything else."""
        right = self._graded(completion_ids=completion_ids, answer=answer, log_metric=log_metric)
        texts = [self._graded.text(ids) for ids in completion_ids]
        correct = [reward == 1 for reward in right]
        found = list(self._function(prompts=prompts, completions=texts, answers=answer, correct=correct))
        if len(found) != len(texts):
            raise Permanent(f"rl.reward={self._name!r} gave {len(found)} rewards for {len(texts)} rollouts")
        for place, reward in enumerate(found):
            if not isinstance(reward, int | float) or not math.isfinite(reward):
                raise Permanent(
                    f"rl.reward={self._name!r} gave {reward!r}, no finite number, for the completion "
                    f"{texts[place][:120]!r} of the prompt {prompts[place][-120:]!r}"
                )
        return [float(reward) for reward in found]


def _entry_point(name: str) -> EntryPoint:
    offered = entry_points(group=GROUP)
    found = [point for point in offered if point.name == name]
    if len(found) != 1:
        names = sorted({point.name for point in offered})
        near = did_you_mean(name, names) or "."
        have = f"{len(found)} packages offer it; uninstall all but one" if found else "no installed package offers it"
        raise ValueError(
            f"rl.reward={name!r}: {have}{near} Entry points of the group {GROUP}: {', '.join(names) or 'none'}"
        )
    return found[0]
