"""Text of a table whose encoding no one has noted: read with certainty, or refused.

UTF-8 and UTF-16 tell themselves. Excel also saves tables in the code page of its country, and short texts in some of
these pages are valid in others, too. A reading counts if its characters are such as people write: common ones of an
East Asian script, or words of a Western language. If two readings count, the table is refused, because a wrong name
looks like a right one.
"""

from __future__ import annotations

import codecs
import logging
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_cardiac.errors import UserError

logger = logging.getLogger(__name__)

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: First bytes of files that are no text -> what they are.
_OTHER_FILES = {
    b"\xd0\xcf\x11\xe0": "an Excel file of the old kind (.xls) or one with a password",
    b"PK\x03\x04": "a zip archive, damaged Excel file or other kind of workbook",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive",
}
_AS_UTF8 = "Save it as UTF-8 (in Excel: `CSV UTF-8`) or as .xlsx."


@dataclass(frozen=True)
class _CodePage:
    """An East Asian encoding.

    Attributes:
        codec: Of Python; the narrow one, without the rare characters that later versions added.
        wide: With them.
        common: First bytes of the common characters.
        characters: How many of these there are.
    """

    codec: str
    wide: str
    common: Sequence[tuple[int, int]]
    characters: int


@dataclass(frozen=True)
class _Reading:
    """A text in an encoding.

    Attributes:
        encoding: Its name.
        text: What the bytes then say.
        bits: How much the text surprises: the smaller, the likelier.
        comparable: Whether `bits` tells this reading from others.
    """

    encoding: str
    text: str
    bits: float = 0.0
    comparable: bool = True


_EAST_ASIAN = {
    "Shift-JIS": _CodePage("shift_jis", "cp932", ((0x82, 0x83), (0x88, 0x98)), 3134),
    "GBK": _CodePage("gb2312", "gb18030", ((0xB0, 0xD7),), 3755),
    "Big5": _CodePage("big5", "cp950", ((0xA4, 0xC6),), 5401),
    "EUC-KR": _CodePage("euc_kr", "cp949", ((0xB0, 0xC8),), 2350),
    "EUC-JP": _CodePage("euc_jp", "euc_jp", ((0xA4, 0xA5), (0xB0, 0xCF)), 3134),
}
#: Encodings that are never taken; a text that fits them, too, is refused.
_ONLY_RIVALS = ("cp1251", "koi8-r")
_CYRILLIC = re.compile("[А-ЯЁа-яё]{2,}")
#: Katakana of one byte, in words of their own.
_HALF_WIDTH = re.compile("[ｦ-ﾟ]")
_HALF_WIDTH_WORD = re.compile("[ｦ-ﾟ]{2,}")
#: Bits that a rare character costs beyond a common one, and by which a reading has to be better than all others.
_RARE_BITS, _CLEAR_BITS = 10.0, 7.0
#: Share of the characters of a text that have to be common.
_MOSTLY = 0.7

#: Letters beyond ASCII of languages that are written in the Western code page. Italian has them only at the end of a
#: word.
_WESTERN = ("àâæçéèêëîïôœùûüÿ", "äöüßé", "áéíñóúü", "áâãàçéêíóôõúü", "åäöæøéü")
_ITALIAN = "àèéìòù"
#: Where these letters do not occur in Western languages, but letters of the same bytes do in Polish, Czech, Hungarian
#: or Romanian, whose code page is another.
_EASTERN = re.compile(
    "ñ(?![aeiouáéíóú])|[aeiouyé]è|è[aeiouy]|ê$|[øå][aiou]|[aiou][øå]|[aeiouy]æ|æ[aiou]|õ(?!e)|ã(?![oe])|(?<!^o)ù$|ù."
)
_LETTERS = re.compile(r"[^\W\d_²³¹¼½¾ªº]+")
#: Signs of the Western code page; not between two letters, nor beside each other.
_SIGNS = frozenset("°²³±–—“”„‘€§©®·×½¼¾…«»¿¡ºª™•£")


def decode_table(path: Path, content: bytes) -> str:
    """Decode the text of a table.

    Args:
        path: For messages.
        content: The whole file.

    Raises:
        UserError: If it is no text, or its encoding is not certain.
    """
    other = next((what for head, what in _OTHER_FILES.items() if content.startswith(head)), None)
    if other is not None:
        raise UserError(f"{path}: {other}, expected a table as CSV or .xlsx. Open it and save it as one of these.")
    text = _declared(path, content)
    if text is None:
        text = _inferred(path, content)
    text = text.rstrip("\x1a")  # the end of a file of DOS
    if wrong := next((c for c in text if unicodedata.category(c) in ("Cc", "Cn", "Cs") and c not in "\t\r\n"), None):
        raise UserError(
            f"{path}: holds the character U+{ord(wrong):04X}, so it is no text; expected a table. {_AS_UTF8}"
        )
    return text


def _declared(path: Path, content: bytes) -> str | None:
    """The text of a file that shows its encoding: by a mark, by zeros, or as valid UTF-8; None for others."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:
        # Of an ASCII character in UTF-16 the higher byte is zero; headers of tables are ASCII for the most part.
        even, odd = content[::2].count(0), content[1::2].count(0)
        encoding = "utf-16-le" if odd > even else "utf-16-be"
        if min(even, odd) > max(even, odd) / 10 or max(even, odd) < len(content) / 40:
            raise UserError(f"{path}: holds zero bytes, so it is no text; expected a table. {_AS_UTF8}")
    try:
        return content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise UserError(
                f"{path}: begins as {encoding.upper()} but is none from byte {error.start} on; is the file whole? "
                f"{_AS_UTF8}"
            ) from error
        return None


def _inferred(path: Path, content: bytes) -> str:
    readings = sorted(_readings(content), key=lambda reading: reading.bits)
    clear = readings and all(reading.bits >= readings[0].bits + _CLEAR_BITS for reading in readings[1:])
    clear = clear and (len(readings) == 1 or all(reading.comparable for reading in readings))
    if not clear:
        shown = " or ".join(f"{reading.encoding} ({_sample(reading.text)})" for reading in readings[:3])
        found = f"it may be {shown}" if readings else "its text fits no other encoding that is read"
        raise UserError(f"{path}: not UTF-8, and {found}. {_AS_UTF8}")
    text = readings[0].text
    if readings[0].encoding in _ONLY_RIVALS:
        raise UserError(f"{path}: not UTF-8 but perhaps {readings[0].encoding}, which is not read. {_AS_UTF8}")
    encoding = readings[0].encoding
    logger.warning("%s: not UTF-8, read as %s: %s. If that is wrong: %s", path, encoding, _sample(text), _AS_UTF8)
    return text


def _readings(content: bytes) -> Iterator[_Reading]:
    """Encodings in which the text makes sense."""
    for name, page in _EAST_ASIAN.items():
        text = _decoded(content, page.wide)
        places = {c: place for place, c in enumerate(text) if _is_letter_of_east_asia(c)}
        common = sum(_is_common(text, place, page) for place in places.values())
        if places and common >= _MOSTLY * len(places):
            bits = len(places) * math.log2(page.characters) + (len(places) - common) * _RARE_BITS
            yield _Reading(name, text, bits)
    text = _decoded(content, "cp932")
    if _HALF_WIDTH.search(text) and all(map(_HALF_WIDTH_WORD.fullmatch, _half_width_words(text))):
        yield _Reading("Shift-JIS", text, comparable=False)
    for name in _ONLY_RIVALS:
        text = _decoded(content, name)
        if _is_cyrillic(text):
            yield _Reading(name, text, comparable=False)
    text = _decoded(content, "cp1252")
    if text and _is_western(text):
        yield _Reading("Windows-1252", text, comparable=False)


def _decoded(content: bytes, encoding: str) -> str:
    """The text, empty if the bytes are not of this encoding."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _is_letter_of_east_asia(character: str) -> bool:
    """Whether it is a letter, none of ASCII in its wide form, and no sign that lengthens a vowel."""
    wide = "\uff01" <= character <= "\uff5e"
    return (
        bool(character)
        and not character.isascii()
        and not wide
        and unicodedata.category(character) in ("Lo", "Ll", "Lu")
    )


def _is_common(text: str, place: int, page: _CodePage) -> bool:
    """Whether a letter is a common one, at a place where it can be: not within a word in ASCII, nor its first."""
    before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 3]
    of_word = [c.isascii() and c.isalpha() for c in (before, after[:1], after[1:])]
    if of_word[1] and (of_word[0] or (of_word[2] and not _is_letter_of_east_asia(before))):
        return False
    try:
        first, *rest = text[place].encode(page.codec)
    except UnicodeEncodeError:
        return False
    return len(rest) == 1 and any(low <= first <= high for low, high in page.common)


def _half_width_words(text: str) -> list[str]:
    return [word for word in _LETTERS.findall(text) if _HALF_WIDTH.search(word)]


def _beyond_ascii(text: str) -> list[str]:
    return [word for word in _LETTERS.findall(text) if not word.isascii()]


def _is_cyrillic(text: str) -> bool:
    words = _beyond_ascii(text)
    signs = (c for c in text if not c.isascii() and not c.isalpha())
    return bool(words) and all(c in "№«»–—\xa0" for c in signs) and all(map(_is_cyrillic_word, words))


def _is_cyrillic_word(word: str) -> bool:
    return _is_cased(word) and _CYRILLIC.fullmatch(word) is not None


def _is_western(text: str) -> bool:
    """Whether all letters beyond ASCII are in words of a Western language, and all signs at their places."""
    signs = [place for place, c in enumerate(text) if not c.isascii() and not c.isalpha() and c not in "\xa0’"]
    return all(map(_is_western_word, _beyond_ascii(text))) and all(_is_sign(text, place) for place in signs)


def _is_western_word(word: str) -> bool:
    if word in _SIGNS:
        return True
    lower = word.lower().removeprefix("µ")
    known = any(all(c.isascii() or c in letters for c in lower) for letters in _WESTERN)
    known = known or (lower[:-1].isascii() and lower[-1] in _ITALIAN)
    mixed = len(word) == 1 or any(c.isascii() for c in word)
    return known and mixed and _is_cased(word) and not _EASTERN.search(lower)


def _is_cased(word: str) -> bool:
    """Whether capitals are at the beginning or everywhere."""
    return word[1:].islower() or len(word) == 1 or word.replace("ß", "SS").isupper()


def _is_sign(text: str, place: int) -> bool:
    before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
    return text[place] in _SIGNS and before.isascii() and after.isascii() and not (before.isalpha() and after.isalpha())


def _sample(text: str) -> str:
    """The first words beyond ASCII."""
    return ", ".join(word[:20] for word in list(dict.fromkeys(_beyond_ascii(text)))[:3])
