"""Names of units: a closed table, in which names that are spelled out and their abbreviations are one unit."""

import re
from functools import cache

_NAMES = """
nm nanometer|microm um micrometer micron|mm millimeter|cm centimeter|dm decimeter|m meter|km kilometer
inch in inche|foot ft feet|yard yd|mile mi|acre|ha hectare
microg ug mcg microgram|mg milligram|g gram gm gramme|kg kilogram kilo kilogramme|tonne t|ton|lb|pound|ounce oz
microl microliter|ml milliliter|cl centiliter|dl deciliter|l liter|kl kiloliter
gallon gal|quart qt|pint pt|tablespoon tbsp tbs|teaspoon tsp|fluid fl
ns nanosecond|micros microsecond|ms millisecond|second sec s|minute min|hour hr h|day d|week wk|month mo|year yr|am|pm
deg degree|rad radian|k kelvin|celsius centigrade c|fahrenheit f|revolution rev
dollar usd buck|cent|euro eur|gbp|yensign|rupee rs inr|yen jpy|yuan cny rmb renminbi
hz hertz|khz kilohertz|mhz megahertz|ghz gigahertz|n newton|kn kilonewton|erg
j joule|kj kilojoule|cal calorie calory|kcal kilocalorie kilocalory|ev electronvolt|w watt|kw kilowatt
v volt|kv kilovolt|amp ampere|milliamp milliampere|ohm|pa pascal|kpa kilopascal|mpa megapascal|atm atmosphere|mol mole
bit|byte|kb kilobyte|mb megabyte|gb gigabyte|tb terabyte|mph|kmh kph|kwh|rpm
person people|child children|man men|woman women
"""
_CASED = {
    **{"MW": "megawatt", "MJ": "megajoule", "MV": "megavolt", "MeV": "megaelectronvolt", "Mg": "megagram"},
    **{"mW": "milliwatt", "mJ": "millijoule", "mV": "millivolt", "mA": "milliamp", "mHz": "millihertz"},
    **{"mPa": "millipascal", "Mm": "megameter", "Kb": "kilobit", "Mb": "megabit", "Gb": "gigabit", "Tb": "terabit"},
}
"""Symbols in which the case of a letter decides."""
_CANONICAL = {name: names.split()[0] for names in _NAMES.replace("\n", "|").split("|") for name in names.split()}
COUNTED = {"person", "child", "man", "woman"}
MEASURES = {*_CANONICAL.values(), *_CASED.values()} - COUNTED
COMPOUND = {
    "mph": (("mile", 1), ("hour", -1)),
    "kmh": (("km", 1), ("hour", -1)),
    "kwh": (("kw", 1), ("hour", 1)),
    "rpm": (("revolution", 1), ("minute", -1)),
}
EITHER = {"pound": ("lb", "gbp"), "yensign": ("yen", "yuan")}
"""Names of two units each, which agree with both."""
TEMPERATURES = {"celsius", "fahrenheit", "k"}
_PLAIN = set("mm cm km in ft yd mi mg gm kg lb oz ml hr wk yr am pm hz pa ev ms rs kw kj nm kb mb gb sq cu".split())
"""Abbreviations of two letters that nobody takes for a product."""
_SYMBOLS = {*"mghdLlNWVKJCFst", *_CASED}
"""Symbols that may be variables, as are all of two letters, and so are units only opposite the same unit."""
_PLURALS = (("ies", "y"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("s", ""))


@cache
def unit_name(word: str) -> str:
    """The one name of a unit; other words in the singular."""
    if word in _CASED:
        return _CASED[word]
    word = re.sub("metre(?=s?$)", "meter", re.sub("litre(?=s?$)", "liter", word.lower()))
    if word in _CANONICAL:
        return _CANONICAL[word]
    for end, replacement in _PLURALS:
        if word.endswith(end) and not (end == "s" and (word.endswith("ss") or len(word) < 3)):
            stem = word[: len(word) - len(end)] + replacement
            return _CANONICAL.get(stem, stem)
    return word


def is_symbol(word: str) -> bool:
    """Whether a word may be the symbol of a unit as well as variables."""
    return word in _SYMBOLS or (len(word) == 2 and word.lower() in _CANONICAL)


def is_listed(word: str) -> bool:
    """Whether a word in lower case is in the table, in the plural too, and can be nothing else."""
    return word in _PLAIN or (len(word) > 2 and unit_name(word) in _CANONICAL)
