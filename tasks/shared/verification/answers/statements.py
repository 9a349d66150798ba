"""Sentences that state an answer: the value without adverbs before it, the clause behind it and Markdown around it."""

import re

_ADVERBS = (
    "thus|therefore|hence|just|then|indeed|now|also|always|in fact|of course|given by|equal to|found to be|as follows|"
    "option|choice"
)
_HEDGES = "nearly|roughly|hardly|barely|only|likely|possibly|probably|approximately"
_ADVERB = re.compile(rf"(?:(?!{_HEDGES})[a-z]+ly|{_ADVERBS})\b[,:]?\s*", re.IGNORECASE)
_APPROXIMATELY = re.compile(r"(?:approximately|roughly equal to)\s+", re.IGNORECASE)
_PARTICIPLES = (
    "shown|required|desired|claimed|stated|calculated|computed|found|expected|needed|wanted|given|seen|derived|"
    "determined|we|above|before|can|it|the|there"
)
_OPENERS = (
    "since|because|which|so that|thus|therefore|hence|meaning|making|not|rather than|instead of|this|that is|i\\.e\\.|"
    "after|calculated|obtained|according|in total|altogether|in all|overall|see|in simplest|in lowest|in its simplest|"
    rf"as (?:{_PARTICIPLES})|so (?:the|we|I|it|she|he|they)|and (?:we|I|this|that|it|so|thus|hence)|"
    "from (?:the|our|above|step)|by (?:the|our|symmetry|(?:us|add|multiply|subtract|divid|substitut|solv)ing)|"
    "on [A-Z]\\w*|(?:I )?hope|I(?:['’]m| (?:believe|think|trust|guess|am))"
)
"""Words that open a clause which explains the value. "if", "when" and "or" are none: they change it."""
_CLAUSE = re.compile(rf"\s*(?:[,;–—-]\s+|\s|(?=\())\(?(?:{_OPENERS})\b.*", re.IGNORECASE | re.DOTALL)
_HEDGED = r"(?![^()]*\b(?:or|possibly|maybe|perhaps|probably|if|when|unless|mod|but|about)\b)"
_PARENTHESIS = re.compile(rf"\s\({_HEDGED}(?=[^()]*(?:=|[A-Za-z]{{3,}}))[^()]*\)\s*$")
_SENTENCE_END = re.compile(
    r"(?<![\\.])[.!](?=\s|$)(?<!\b[ap]\.m\.)"
    r"|(?<=[\d$)}])[.!](?=I\b|[A-Z][a-z])"
    r"|(?:(?<=[^.\\]\.\$)|(?<=[^.\\]\.\\\)))(?=\s+[A-Z]|\s*$)"
)
"""Also a full stop without a space behind it, or inside the delimiters of mathematics."""
_DISPLAY = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]", re.DOTALL)
_CLOSERS = re.compile(r"(?:\s*(?:\\\]|\\\)|\\end\{[A-Za-z]+\*?\}|</answer>)[.*]*)+")
_DELIMITED = re.compile(r"\\\((.+?)\\\)|\\\[(.+?)\\\]|\$\$?(.+?)(?<!\\)\$\$?", re.DOTALL)
_HEADING = re.compile(r"\d+[.)]\s+\S|(?:step|part|case|question|problem|section|method|example)\b", re.IGNORECASE)
_VALUE = re.compile(r"[-+±√\d.$£€¥\\({\[|<∅½¼¾]|[A-Za-z](?![A-Za-z])|pi\b|sqrt\b|USD\b|no solution", re.IGNORECASE)
_NAMED = re.compile(r"[\w\\{}()' ]{1,40}(?:=|≈|\\approx|\\in\b|<|>|\\le|\\ge)")
_COMMENT = re.compile(
    r"(?:not|correct|incorrect|right|wrong|in|as|given|shown|above|below|therefore|that|this|it|its|what|simplified|verified|"
    r"consistent|reasonable|valid|clear|found|obtained|indeed|based|to|for|from|by|if|when|we|you|i|there|they|he|she|"
    r"because|since|unique|an?(?=\s+[a-z]{2,})|the following|expected|required|already|still|also|too|now|boxed|"
    r"our|your|my|so|then)\b",
    re.IGNORECASE,
)
_PROVEN = re.compile(r"(?<=\S)[ \t]+\(?(?:\$?\\(?:black)?(?:square|qed|Box)\$?|[□■∎]|Q\.?E\.?D\.?)\)?\Z")
"""The mark at a proof's end."""
_QUOTED = re.compile(r"(?:'([^']+)'|\"([^\"]+)\"|“([^”]+)”|‘([^’]+)’)\.?")
_BOLD = re.compile(r"\*\*(?=\S)(.+?)\*\*")
_MOST_WORDS = 8


def without_adverbs(text: str) -> str:
    """The text from its first word that is no adverb: ``clearly 5`` is 5."""
    while (adverb := _ADVERB.match(text)) is not None:
        text = text[adverb.end() :]
    return text


def value_of(rest: str) -> str:
    """The value at the start of a text: without adverbs before it, the clause behind it and the next sentence."""
    display = _DISPLAY.match(rest)
    if display:
        return clean(display.group())
    line = without_adverbs(_SENTENCE_END.split(rest.split("\n", 1)[0], maxsplit=1)[0])
    line = _PARENTHESIS.sub("", " ".join(line.split()))
    return clean(_CLAUSE.sub("", _APPROXIMATELY.sub(r"\\approx ", line) if _APPROXIMATELY.match(line) else line))


def value_end(rest: str) -> int:
    """Where the value of `value_of` may end at the soonest: behind the display that `rest` begins with, or at once."""
    display = _DISPLAY.match(rest)
    return display.end() if display else 0


def sentence_end(text: str, start: int) -> int:
    """End of the sentence, or of the line, that goes on at `start`, with the delimiters of mathematics behind it; a tag
    ends with itself."""
    if text.endswith("</answer>", 0, start):
        return start
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    match = _SENTENCE_END.search(text, start, line_end)
    end = match.end() if match else line_end
    closers = _CLOSERS.match(text, end)
    end = closers.end() if closers else end
    if text.count("$$", 0, end) % 2:
        closing = text.find("$$", end)
        end = closing + 2 if closing >= 0 and not text[end:closing].strip() else end
    return end


def is_heading(text: str) -> bool:
    """Whether a line behind ``####`` is a heading of Markdown, such as "Step 2: add" or "1. Setup"."""
    return bool(_HEADING.match(text))


def is_statement(answer: str, *, alone: bool) -> bool:
    """Whether a text states an answer: a value, or, where it stands alone, a few words that are no comment."""
    if _COMMENT.match(answer):
        return False
    if _VALUE.match(answer) or _NAMED.match(answer):
        return alone or len(answer.split()) <= 3
    return alone and len(answer.split()) <= _MOST_WORDS


def clean(answer: str) -> str:
    r"""Strip Markdown emphasis, one pair of maths delimiters and closing punctuation from an answer."""
    text = _PROVEN.sub("", answer.strip().strip("*`").strip()).rstrip("_,;:").strip()
    text = _BOLD.sub(r"\1", text) if "**" in text else text
    if text.endswith(".") and not text.endswith("..."):
        text = text[:-1].rstrip()
    if quoted := _QUOTED.fullmatch(text):
        text = next(group for group in quoted.groups() if group).strip()
    whole = _DELIMITED.fullmatch(text)
    if whole and "$" not in (inner := next(group for group in whole.groups() if group)):
        text = inner.strip()
        text = text if text.endswith(("...", "\\,", "\\;", "\\:")) else text.rstrip(".,;:").rstrip()
    return text
