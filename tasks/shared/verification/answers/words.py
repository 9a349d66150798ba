r"""Answers that are no mathematics: words, choices, names of angles, "no solution".

Letters that form a word are compared as a word: ``act`` is not ``cat``, though both multiply the same letters.
"""

import re
from functools import lru_cache

from tasks.shared.verification.answers.spelling import FUNCTIONS, compact_spaces, spell

_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_SUBSCRIPT = re.compile(r"_\s*\{[^{}]*\}|_[A-Za-z]+|\\begin\s*\{[a-z]+\*?\}(?:\{[^{}]*\})?|\\end\s*\{[a-z]+\*?\}")
_RUN = re.compile(r"(?<![A-Za-z\\])[A-Za-z]+(?:['-][A-Za-z]+)*")
_ANY_LETTER = re.compile(r"[A-Za-z]")
_PAIRS = frozenset("no on up in to do go so or of if is it us we he me".split())
"""Words of two letters; any other two small letters are a product."""
_ARTICLE = re.compile(r"(?<![\w'-])(?:the|an?)\s+(?=[\"'${]*\w)")
"""An article stands before a word: the ``a`` of ``abc-a`` is none."""
_CHOICE = re.compile(r"\(?([A-J])\)?")
_BETWEEN = r"\s*(?:[,;&]|,?\s*and(?![A-Za-z]))\s*"
_CHOICES = re.compile(rf"[A-J]{{2,}}|[A-J](?:{_BETWEEN}[A-J])+|\([A-J]\)(?:(?:{_BETWEEN}|\s*)\([A-J]\))+")
"""Letters with brackets each or with none: one bracket around all of them makes a point."""
_CHOICE_AND_VALUE = re.compile(
    r"(?:\(([A-J])\)\s*[.:]?|([A-J])\s*[.:)])(?:(?<=\))\s*|\s+|(?=\\))(?=\S)(?![=+*/^<>,&)]|and\b|or\b)(.+)", re.DOTALL
)
_SMALL_CHOICE_AND_VALUE = re.compile(r"\(([a-j])\)\s+(?![=+*/^<>,&)]|and\b|or\b)(?!.*\([a-j]\))\S", re.DOTALL)
_OPTION = re.compile(r"^(?:\\text\s*\{\s*)?(?:options?|choices?)\s*(?:\}\s*)?(?=\(?[A-J](?![A-Za-z]))", re.IGNORECASE)
_OPERATORS = frozenset(r"+-*/=^_<>|\{}")
_LETTER = re.compile(r"\(?([A-Ja-j])\)?")
_NO_SOLUTION = re.compile(
    r"(?:there (?:is|are) )?(?:no|zero) (?:such |real |valid )?(?:solutions?|roots?)(?: exists?)?"
    r"|(?:the )?(?:empty|null) set|\\emptyset|\\\{\s*\\\}|\(\)|(?:the )?(?:solution|equation) does not exist",
    re.IGNORECASE,
)
_GEOMETRY = (
    r"\\(?:angle|measuredangle|triangle|square|overline|overrightarrow|overleftrightarrow|overleftarrow|widehat|vec|"
    r"overarc|mathrm|parallelogram|odot)(?![A-Za-z])"
)
_NAME = re.compile(rf"m?\s*(?P<sign>{_GEOMETRY})\s*\{{?\s*(?P<letters>[A-Z](?:[A-Z' ])*)\s*\}}?")


@lru_cache(maxsize=16_384)
def words(text: str) -> tuple[str, ...]:
    r"""Words in an answer: texts in ``\text``, and runs of letters that are neither product, function nor subscript."""
    spelled = spell(text)
    if not _ANY_LETTER.search(spelled):
        return ()
    plain = _SUBSCRIPT.sub(" ", spelled)
    found = [run for group in _TEXT.findall(plain) for run in re.findall(r"[A-Za-z]+", group)]
    return (*found, *(match.group() for match in _RUN.finditer(_TEXT.sub("  ", plain)) if _stands_alone(match)))


def _stands_alone(match: re.Match[str]) -> bool:
    """Whether a bare run of letters is a word: three letters or a common word of two, and no factor of a term.

    With hyphens, one part is: ``x-axis`` is a word, ``a-b`` a difference.
    """
    run, text = match.group(), match.string
    if not any(map(_is_word, re.split("['-]", run))):
        return False
    before, after = text[: match.start()].rstrip(), text[match.end() :].lstrip()
    glued = text[match.start() - 1 : match.start()].isdigit() or text[match.end() : match.end() + 1].isdigit()
    return not (glued or before[-1:] in _OPERATORS or after[:1] in _OPERATORS)


def _is_word(run: str) -> bool:
    return run not in FUNCTIONS and not set(run) <= set("xyz") and (len(run) > 2 or run.lower() in _PAIRS)


def is_name(text: str) -> bool:
    r"""Whether all of the text names something by capitals, such as ``ABC``, ``NE`` or ``\angle BAC``."""
    spelled = spell(text)
    return bool(_NAME.fullmatch(spelled) or re.fullmatch(r"(?:[A-Z]\s*){2,}", spelled))


@lru_cache(maxsize=16_384)
def same_words(text: str) -> str:
    """One form for words that read the same: no articles, no case, no punctuation, no braces."""
    plain = _TEXT.sub(r" \1 ", spell(text)).replace("\\", " ").casefold()
    plain = re.sub(r"(?<=[a-z])\.(?=[a-z]\b|\s|$)", "", plain)
    plain = _ARTICLE.sub(" ", plain)
    return " ".join(re.findall(r"[^\W_]+|[^\w\s,;.!?\"'{}$-]|[-.](?=\d)", plain))


def choice_letter(text: str) -> str | None:
    r"""The letter of a multiple-choice answer written ``C``, ``(C)`` or ``\text{(C)}``."""
    match = _CHOICE.fullmatch(_unwrapped(text))
    return match.group(1) if match else None


def any_choice_letter(text: str) -> str | None:
    """The letter of an answer to a multiple-choice question, small letters and a value behind it included."""
    plain = _unwrapped(text)
    match = _LETTER.fullmatch(plain)
    match = match or _SMALL_CHOICE_AND_VALUE.match(plain)
    return match.group(1).upper() if match else split_choice(text)[0]


@lru_cache(maxsize=16_384)
def choice_letters(text: str) -> tuple[tuple[str, ...], bool]:
    """Letters of a question with several right choices, such as ``BD``, ``B, D`` or ``(B) and (D)``, and whether they
    stand apart; none for anything else, ``DB`` among it, which is a name or an order, and ``(B, D)``, a point.
    """
    plain = _OPTION.sub("", _TEXT.sub(r" \1 ", spell(text)).strip())
    letters = re.findall("[A-J]", plain) if _CHOICES.fullmatch(plain.strip()) else []
    apart = re.search(r"[^A-J]", plain.strip()) is not None
    if len(letters) < 2 or len(set(letters)) < len(letters) or not (apart or letters == sorted(letters)):
        return (), False
    return tuple(letters), apart


def split_choice(text: str) -> tuple[str | None, str]:
    r"""Letter and value of ``\textbf{(C)}\ 12`` or ``C. 12``; no letter where the text does not begin with one."""
    plain = _unwrapped(text)
    match = _CHOICE_AND_VALUE.fullmatch(plain)
    return (match.group(1) or match.group(2), match.group(3).strip()) if match else (None, text)


def _unwrapped(text: str) -> str:
    """The text without "option" before it, the words in front taken out of their braces."""
    spelled = _OPTION.sub("", spell(text))
    lead = re.match(r"\\text\s*\{(\s*\(?[A-J]\)?\s*[.:)]?\s*)\}", spelled)
    return f"{lead.group(1)} {spelled[lead.end() :]}".strip() if lead else spelled


def is_no_solution(text: str) -> bool:
    r"""Whether the answer says that nothing solves the question: "no solution", ``\emptyset``, ``\{\}``."""
    return bool(_NO_SOLUTION.fullmatch(_TEXT.sub(r"\1", spell(text)).strip()))


def same_name(text: str) -> str:
    """One form of a name of an angle, a triangle or a line: its sign and its letters in order."""
    match = _NAME.fullmatch(spell(text))
    body = match.group("sign") + match.group("letters") if match else spell(text)
    return compact_spaces(body).replace(" ", "")
