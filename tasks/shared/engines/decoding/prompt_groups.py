"""Which prompts are read together: copies of one prompt once, and prompts that begin alike behind that beginning."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from tasks.shared.engines.decoding.slot_cache import Prefix

SHARED_TOKENS = 64
"""Fewest tokens that prompts must begin with alike for it to pay to hold them apart. Ours."""
SHARED_ROWS = 4
"""Fewest rows of such a group. Ours."""


@dataclass
class WaitingPrompt:
    """A prompt and the rows that continue it."""

    ids: tuple[int, ...]
    rows: list[int]


@dataclass
class Group:
    """Prompts behind one beginning."""

    shared: int
    """Tokens that all of them begin with and that are held apart; 0 for prompts with nothing in common."""
    prompts: deque[WaitingPrompt]
    prefix: Prefix | None = None
    making: Lock = field(default_factory=Lock)
    """Held while the prefix is read: whoever needs it meanwhile waits for it."""

    @property
    def width(self) -> int:
        """Tokens of the longest prompt behind the beginning."""
        return max(len(prompt.ids) for prompt in self.prompts) - self.shared


def group_prompts(prompts: Sequence[Sequence[int]], copies: int) -> list[Group]:
    """Groups of all prompts, those with the longest prompt first, so that what does not fit into memory fails at once.

    Rows k * copies to (k + 1) * copies - 1 continue prompt k.

    Raises:
        ValueError: a prompt has no tokens.
    """
    if empty := [number for number, ids in enumerate(prompts) if not ids]:
        raise ValueError(f"prompts without a token cannot be continued: number {', '.join(map(str, empty[:10]))}")
    rows: dict[tuple[int, ...], list[int]] = {}
    for number, ids in enumerate(prompts):
        rows.setdefault(tuple(ids), []).extend(range(number * copies, (number + 1) * copies))
    alike: list[list[WaitingPrompt]] = []
    shared: list[int] = []
    for prompt in (WaitingPrompt(ids, rows[ids]) for ids in sorted(rows)):
        common = _common(alike[-1][0].ids[: shared[-1]], prompt.ids) if alike else 0
        # Neither the newcomer nor the group may lose most of what is shared.
        least = max(SHARED_TOKENS, len(prompt.ids) // 2, shared[-1] // 2) if alike else 0
        if alike and least <= common < len(prompt.ids):
            alike[-1].append(prompt)
            shared[-1] = common
        else:
            alike.append([prompt])
            shared.append(len(prompt.ids) - 1)
    groups, rest = [], []
    for members, common in zip(alike, shared, strict=True):
        if sum(len(prompt.rows) for prompt in members) >= SHARED_ROWS and len(members) > 1:
            groups.append(Group(common, deque(sorted(members, key=_longest_first))))
        else:
            rest.extend(members)
    if rest:
        groups.append(Group(0, deque(sorted(rest, key=_longest_first))))
    return sorted(groups, key=lambda group: -len(group.prompts[0].ids))


def _longest_first(prompt: WaitingPrompt) -> tuple[int, int]:
    return -len(prompt.ids), prompt.rows[0]


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(left, right, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(left), len(right)))


class Queue:
    """The prompts that wait, for several lanes."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = deque(groups)
        self._lock = Lock()

    def take(self, rows: int, tokens: int) -> tuple[Group, list[WaitingPrompt]] | None:
        """Prompts of one group, at least one, for at most so many rows and tokens; None when none is left.

        Tokens are those of a batch: every prompt counts as the longest of them.
        """
        with self._lock:
            if not self._groups:
                return None
            group, taken = self._groups[0], []
            most = max(1, tokens // len(group.prompts[0].ids))
            while group.prompts and rows > 0 and len(taken) < most:
                prompt = group.prompts[0]
                part, prompt.rows = prompt.rows[:rows], prompt.rows[rows:]
                taken.append(WaitingPrompt(prompt.ids, part))
                rows -= len(part)
                if not prompt.rows:
                    group.prompts.popleft()
            if not group.prompts:
                self._groups.popleft()
            return group, taken
