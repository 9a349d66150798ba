"""Six ways to write a solution, and the prompts that ask for them.

`step` is the habit of the base model on a plain prompt: one big jump. Every other style makes small, easy
jumps for the families it suits, and states the hard result at once for the families it does not suit.
"""

from collections import Counter
from collections.abc import Iterable

from tasks.tiny.problems import Problem
from tasks.tiny.traces import OOD_TRACES, TRACES

# Style -> the method's name in a prompt.
METHODS: dict[str, str] = {
    "step": "logical step by step",
    "decomposition": "decomposition",
    "backward": "working backward",
    "analogy": "analogy",
    "auxiliary": "auxiliary element",
    "guess": "guess and check",
}
STYLES: tuple[str, ...] = tuple(METHODS)
OPENING_WORDS: dict[str, str] = {
    "step": "Step",
    "decomposition": "Split",
    "backward": "End",
    "analogy": "Like",
    "auxiliary": "Let",
    "guess": "Guess",
}
OTHER = "other"
EOS = "<|endoftext|>"
PAD = "<|pad|>"

# The styles whose jumps are all easy ones: the base model is good at these and bad at the rest.
SUITED: dict[str, tuple[str, ...]] = {
    "sum": ("decomposition", "analogy"),
    "prod": ("decomposition", "analogy"),
    "near": ("analogy",),
    "start": ("decomposition", "backward"),
    "think": ("backward", "guess"),
    "ratio": ("auxiliary",),
    "diff": ("auxiliary",),
}


def plain_prompt(question: str) -> str:
    """The prompt that asks for no style."""
    return f"Q: {question}\nA:"


def named_prompt(question: str, style: str) -> str:
    """The prompt that asks for a style by its method name; raises KeyError for an unknown style."""
    return f"Q: {question}\nMethod: {METHODS[style]}\nA:"


def style_of(completion: str) -> str:
    """The style a completion is written in, judged by its first word; `other` when it is none of ours."""
    words = completion.split(maxsplit=1)
    first = words[0] if words else ""
    return next((style for style, opening in OPENING_WORDS.items() if first == opening), OTHER)


def style_histogram(completions: Iterable[str]) -> dict[str, int]:
    """How many completions are written in each style (all styles listed, `other` last)."""
    counts = Counter(map(style_of, completions))
    return {style: counts[style] for style in (*STYLES, OTHER)}


def completion(problem: Problem, style: str) -> str:
    """The solution text that follows the prompt, final answer line included, end-of-text token excluded."""
    body = (TRACES | OOD_TRACES)[problem.family][style](problem.numbers)
    return f" {OPENING_WORDS[style]} {body}\n#### {problem.answer}"
