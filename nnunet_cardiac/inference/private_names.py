"""Whether a name holds something that identifies the patient: a part of the name, a number, a date."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import permutations

#: A word of an alphabet counts anywhere in a name from this length on, a shorter one only if it stands alone.
_LONG_WORD = 3
#: A word this long counts even where a separator was put into it, or between it and the next.
_SURE_WORD = 5
#: A number this long counts anywhere in a row of digits, a shorter one if it is the whole row.
_SURE_NUMBER = 6
#: A shorter number is so common that it must stand alone between separators.
_LONG_NUMBER = 3
#: So many digits in common with a UID are no coincidence.
_SURE_UID = 12
#: Of more words not all orders are tried; their single words count in any case.
_JOINED_WORDS = 4

_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae", "œ": "oe"})
_PLAIN = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h"})
#: Scripts whose words have one or two characters: kana, Chinese characters, Hangul, Bopomofo.
_SHORT_WORDS = re.compile(
    "[\u3041-\u30ff\u3105-\u312f\u3131-\u318e\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
_WORD = re.compile(r"[^\W_]+")
_PART = re.compile(r"[^\W\d_]+|\d+")
_MONTHS = (
    "jan|january|januar|janvier", "feb|february|februar|fevrier", "mar|march|maerz|marz|mrz|mars",
    "apr|april|avr|avril", "may|mai", "jun|june|juni|juin", "jul|july|juli|juillet", "aug|august|aout",
    "sep|sept|september|septembre", "oct|october|okt|oktober|octobre", "nov|november|novembre",
    "dec|december|dez|dezember|decembre",
)  # fmt: skip
_UID = re.compile(r"\d+(\.\d+){3,}")
_DATE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")


def holds_identifier(name: str, private: Iterable[str]) -> bool:
    """Whether a name holds one of the private values, or a part of it that says who it is.

    Case, accents, width and kana do not matter, and `Müller`, `Mueller` and `Muller` are one name. Every word of a
    value counts, in any order, with any separators or none. Dates count in the usual spellings. The shorter a number
    is, the more it has to stand alone: `1` counts in `visit_1` and not in `p17`.

    Args:
        name: Of a file or folder.
        private: Values as DICOM has them: names with `^` and `=`, dates `YYYYMMDD`, UIDs, numbers, addresses.
    """
    shown = _Name(name)
    return any(_holds(shown, value) for value in private)


class _Name:
    """A name in the forms in which it is searched."""

    def __init__(self, name: str) -> None:
        self.forms = _forms(name)
        self.tokens = {token for form in self.forms for token in _WORD.findall(form)}
        self.parts = {part for form in self.forms for part in _PART.findall(form)}
        self.compact = {"".join(_WORD.findall(form)) for form in self.forms}
        self.numbers = {part for part in self.parts if part.isdigit()}


def _forms(text: str) -> set[str]:
    """A text in lower case: without accents, with German and Nordic letters spelled out, and with these cut down."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())
    # Katakana to hiragana: a phonetic name comes in either.
    folded = "".join(chr(ord(c) - 0x60) if "\u30a1" <= c <= "\u30f6" else c for c in folded)
    plain = _without_accents(folded).translate(_PLAIN)
    spelled = _without_accents(folded.translate(_SPELLED_OUT)).translate(_PLAIN)
    return {plain, spelled, re.sub("([aou])e", r"\1", spelled)}


def _without_accents(text: str) -> str:
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", "".join(letters))


def _holds(name: _Name, value: str) -> bool:
    value = value.strip(" \0")
    if not _WORD.search(value):
        return False
    if _UID.fullmatch(value):
        return _holds_uid(name, value)
    if any(_holds_date(name, day) for day in _dates(value)):
        return True
    return any(_holds_words(name, _WORD.findall(form)) for form in _forms(value))


def _holds_words(name: _Name, words: list[str]) -> bool:
    if any(_holds_word(name, word) for word in words):
        return True
    parts = [part for word in words for part in _PART.findall(word)]
    if any(part.isdigit() and len(part) >= _LONG_NUMBER and _holds_number(name, part) for part in parts):
        return True
    return any(_holds_joined(name, joined) for joined in _joined(words))


def _joined(words: list[str]) -> Iterator[str]:
    """The words without anything between them: all of them as they stand, and some in any order."""
    yield "".join(words)
    few = words[:_JOINED_WORDS]
    for number in range(2, len(few) + 1):
        yield from ("".join(some) for some in permutations(few, number))


def _holds_joined(name: _Name, joined: str) -> bool:
    if joined.isdigit():  # of a telephone number or a number with separators
        return len(joined) >= _SURE_NUMBER and any(joined in digits for digits in _rows_of_digits(name))
    if len(joined) >= _SURE_WORD:
        return any(joined in compact for compact in name.compact)
    return joined in name.tokens or (len(joined) > 1 and joined in name.parts)


def _rows_of_digits(name: _Name) -> set[str]:
    return {"".join(re.findall(r"\d", form)) for form in name.forms}


def _holds_word(name: _Name, word: str) -> bool:
    if word.isdigit():
        return _holds_number(name, word)
    if _SHORT_WORDS.search(word):
        return any(word in compact for compact in name.compact)
    if len(word) >= _LONG_WORD:
        places = name.compact if len(word) >= _SURE_WORD else name.tokens
        return any(word in place for place in places)
    return len(word) > 1 and (word in name.tokens or word in name.parts)


def _holds_number(name: _Name, number: str) -> bool:
    """Whether a number is in a name; one of zeros only is nobody's."""
    if not number.strip("0"):
        return False
    if len(number) >= _SURE_NUMBER:
        return any(number in row for row in name.numbers)
    if len(number) >= _LONG_NUMBER:
        bare = number.lstrip("0")
        return any(row == number or (len(bare) >= _LONG_NUMBER and row.lstrip("0") == bare) for row in name.numbers)
    return number in name.tokens


def _holds_uid(name: _Name, uid: str) -> bool:
    """Whether a name holds a UID, its last number, or a long piece of it; dots may be anything or missing."""
    last = uid.rsplit(".", 1)[1]
    if len(last) >= _SURE_NUMBER and any(last in row for row in name.numbers):
        return True
    digits = uid.replace(".", "")
    for form in name.forms:
        for row in re.findall(r"\d[\d._\- ]*", form):
            piece = re.sub(r"\D", "", row)
            if (len(piece) >= _SURE_UID and piece in digits) or digits in piece:
                return True
    return False


def _dates(value: str) -> Iterator[date]:
    """The date that a value is, or begins with if it goes on with a time."""
    match = _DATE.match(value)
    rest = value[match.end() :] if match else ""
    if match and (not rest or re.fullmatch(r"[ T]?[\d:.+\-]*", rest)) and len(re.sub(r"\D", "", value)) != 9:
        try:
            day = date(*map(int, match.groups()))
        except ValueError:
            return
        if 1850 <= day.year <= 2150:
            yield day


def _holds_date(name: _Name, day: date) -> bool:
    """Whether a name holds a date in a usual spelling, with the year in four digits or in two."""
    year, month, dd = f"{day:%Y}", f"{day:%m}", f"{day:%d}"
    long_ones = [(year, month, dd), (dd, month, year), (month, dd, year)]
    short_ones = [tuple(part[-2:] for part in parts) for parts in long_ones]
    apart = r"[-./_ ]*"
    patterns = [rf"{apart}".join(parts) for parts in long_ones]
    patterns += [rf"(?<!\d){apart.join(parts)}(?!\d)" for parts in short_ones]
    d, m, between = rf"0?{day.day}", rf"0?{day.month}", r"[-./_ ]+"
    years = rf"(?:{year}|{year[2:]})"
    loose = [(years, m, d), (d, m, years), (m, d, years)]
    patterns += [rf"(?<!\d){between.join(parts)}(?!\d)" for parts in loose]
    named = rf"(?:{_MONTHS[day.month - 1]})"
    patterns += [rf"(?<!\d){d}[\W_]*{named}[\W_]*{years}(?!\d)", rf"{named}[\W_]*{d}[\W_]+{years}(?!\d)"]
    patterns += [rf"{years}[\W_]*{named}[\W_]*{d}(?!\d)"]
    return any(re.search(pattern, form) for pattern in patterns for form in name.forms)
