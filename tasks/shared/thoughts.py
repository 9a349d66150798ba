"""Marks that models put around their reasoning, and the part of a text that answers.

What stands between marks is a thought and no answer. A thought that is never closed has no answer behind it, whatever
it mentions on the way.
"""

import re

MARKS = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3, Phi-4-reasoning
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # EXAONE Deep
    ("<Thought>", "</Thought>"),  # Marco-o1
    ("<reasoning>", "</reasoning>"),
    ("<longcat_think>", "</longcat_think>"),  # LongCat-Flash-Thinking
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A Reasoning
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThinker
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),  # gpt-oss
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<unused94>thought", "<unused95>"),  # MedGemma
)
"""Pairs of an opening and a closing mark. The closing one alone closes a thought that the prompt has opened."""

_CLOSES = dict(MARKS)
_MARK = re.compile("|".join(re.escape(mark) for pair in MARKS for mark in pair))
_BEGINNINGS = {mark[0] for pair in MARKS for mark in pair}


def answer_part(text: str) -> str | None:
    """What follows the last thought; the whole text where there is none, None where the last is never closed."""
    opened, start = _read(text)
    return None if opened else text[start:]


def unclosed(text: str) -> str:
    """The mark that opened the thought in which a text ends; empty where it ends outside of thoughts."""
    return _read(text)[0]


def _read(text: str) -> tuple[str, int]:
    """The opening mark of the thought that a text ends in, and the end of the last closing mark."""
    opened, start = "", 0
    for match in _MARK.finditer(text) if any(sign in text for sign in _BEGINNINGS) else ():
        mark = match.group()
        if opened and mark != _CLOSES[opened]:
            continue  # A mark that a thought merely mentions.
        opened = mark if mark in _CLOSES else ""
        if not opened:
            start = match.end()
    return opened, start
