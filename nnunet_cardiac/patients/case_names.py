"""The words of a case name: which of them name the patient, which the phase, the frame, the slice. No torch, no numpy.

One name alone may be read in several ways (`site1_03` or `A0S9V9_03`?). What is decided here needs no other name; what
the whole list decides is in `patients/cohort.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

_PHASE = re.compile(
    r"(?:phase|ph)?(?:(?P<short>ed|es)v?(?P<number>\d*)|(?:end|tele)?(?P<long>dia|sys|diast|syst)(?:ole|olic)?)", re.I
)
_KEYS = {
    "frame": r"frame|frm|fr|f|phase|ph|time|timeframe|timepoint|timestep|tp|tt|t|cine|volume|vol|image|img|im",
    "slice": r"slice|slc|sl|s|zz|z",
}
_KEYED = {kind: re.compile(rf"(?P<key>{keys})(?P<number>\d+)", re.I) for kind, keys in _KEYS.items()}
_KEY = {kind: re.compile(keys, re.I) for kind, keys in _KEYS.items()}
#: Keys that may as well begin the code of a patient.
_SHORT_KEY = re.compile(r"t|z|f|s|tp|tt|fr|ph|sl|zz|im|img|vol|cine", re.I)
_UNKNOWN_KEY = re.compile(r"[a-z]\d+", re.I)

#: Words in front of the number of a patient; those of the second kind only where nothing before them names a patient.
_PATIENT = re.compile(
    r"(?P<word>patients?|pat|pt|subjects?|subj|sbj|sub|participant|proband|person|volunteer)(?P<label>[a-z]?\d+[a-z]?)?",
    re.I,
)
_CASE = re.compile(r"(?P<word>cases?|heart|control|pid|id|p)(?P<label>\d+[a-z]?)?", re.I)
_LABEL = re.compile(r"[a-z]{0,3}\d+[a-z]?", re.I)

#: Words that say where a patient comes from; a number after them is not the patient's.
SITE = re.compile(
    r"(?P<place>site|cent(?:er|re)|hospital|hosp|clinic|scanner|vendor|cohort|group|batch|dataset|data|study|trial|fold"
    r"|part|set)\d*|(?:acdc|m&?ms?|mnms?|mms|emidec|lasc|sunnybrook|lvquan|ukb|year)\d*|(?:19|20)\d\d",
    re.I,
)
_VIEW = re.compile(
    r"sax?|lax?|[234]ch|ch[234]|gt|seg|mask|labels?|img|image|cine|b?ssfp|mr|mri|cmr|lge|bold|[234]d|roi|crop(?:ped)?",
    re.I,
)
_SESSION = re.compile(
    r"(?P<word>ses|session|visit|scan|exam|run|fu|followup|follow|bl|baseline|rest|stress|pre|post|retest|repeat)"
    r"(?P<number>\d*)",
    re.I,
)
_NUMBERED_SESSIONS = ("ses", "session", "visit", "scan", "exam", "run")
_PLACE = re.compile(r"(?:site|cent(?:er|re)|hospital|clinic|scanner|vendor)(?P<name>[a-z]?\d*)", re.I)
_BEFORE_PHASE = re.compile("phase|ph|end|tele", re.I)
_ATTACHED = re.compile(r"(?P<before>.*\d)(?P<after>(?:frame|phase|slice|time)\d+)", re.I)
_ATTACHED_BEFORE = re.compile(r"(?P<before>(?:frame|phase|slice|time)\d+)(?P<after>[a-z]{2,}\d.*)", re.I)
_ANY_PHASE = r"ed|es|(?:end|tele)?(?:dia|sys)(?:s?t(?:ole|olic)?)?"
_ATTACHED_PHASE = re.compile(rf"(?P<before>.*\d)(?P<after>{_ANY_PHASE})", re.I)
_ATTACHED_PHASE_BEFORE = re.compile(
    rf"(?P<before>{_ANY_PHASE})(?P<after>(?:[a-z]{{2,}})?\d.*|patient|pat|subject|sub|case)", re.I
)

Word = tuple[str, str]  # what separates it from the word before it, and the word


@dataclass(frozen=True)
class Reading:
    """One way to read a case name.

    Attributes:
        stem: What names the patient.
        extra: Words after it that need not be the patient's, such as a view, with their separators.
        phase: `ED`, `ES` or empty.
        frame: Number of the frame, if there is one.
        slice: Number of the slice, if there is one.
        session: Examination of the patient, or empty.
        designated: Whether a word such as `patient` says that what follows is the patient's number.
        bids: Whether the name is one of BIDS, where every word has its meaning.
        bare: Whether the frame is a number that nothing names.
        short_key: Whether a single letter or two say what the number of the frame or slice is.
        led: Whether the phase comes first.
        unknown: Whether `extra` holds words of unknown meaning.
    """

    stem: str
    extra: str = ""
    phase: str = ""
    frame: int | None = None
    slice: int | None = None
    session: str = ""
    designated: bool = False
    bids: bool = False
    bare: bool = False
    short_key: bool = False
    led: bool = False
    unknown: bool = False


def read_name(name: str, *, loose: bool = False, leading_phase: bool = True) -> Reading:
    """Read a case name.

    Args:
        name: Case name without file ending.
        loose: Also take for a phase or a frame what only other names can confirm: inside the name (`acdc_ED_001`),
            without a separator (`patient001ED`), or after a letter of unknown meaning (`A0S9V9_c03`).
        leading_phase: Whether `ED_001` is end-diastole of `001`; else `ES_001` may be a patient from Spain.
    """
    words = _words(name, loose)
    if not words:
        return Reading(name)
    span = _designator(words)
    reader = _Reader(words, loose, leading_phase)
    return reader.around(*span) if span else reader.from_the_ends()


def names_patient(words: Sequence[Word]) -> bool:
    """Whether some word holds a number that is neither a site's, a year, a frame's nor a view's."""
    counted = False  # whether a number here belongs to the word before it
    for _, word in words:
        site = SITE.fullmatch(word)
        own = re.search(r"\d", word) and not (site or _VIEW.fullmatch(word) or _attribute(word, code=True))
        if own and not (counted and word.isdecimal()):
            return True
        place = site and site["place"] and not re.search(r"\d", word)
        counted = bool(place) or any(len(word) > 1 and key.fullmatch(word) for key in _KEY.values())
    return False


def split_words(name: str) -> list[Word]:
    """Split a name at underscores, dashes and whatever else is no letter or digit."""
    return [(match[1], match[2]) for match in re.finditer(r"([\W_]*)([^\W_]+)", name)]


def join_words(words: Sequence[Word]) -> str:
    """Put words together again; what would separate the first from something before it is left out."""
    return "".join(word if i == 0 else separator + word for i, (separator, word) in enumerate(words))


def _words(name: str, loose: bool) -> list[Word]:
    patterns = [_ATTACHED, _ATTACHED_BEFORE]
    if loose:
        patterns += [_ATTACHED_PHASE, _ATTACHED_PHASE_BEFORE]
    words: list[Word] = []
    for separator, word in split_words(name):
        match = next((m for pattern in patterns if (m := pattern.fullmatch(word))), None)
        words += [(separator, word)] if match is None else [(separator, match["before"]), ("", match["after"])]
    return words


def _designator(words: Sequence[Word]) -> tuple[int, int] | None:
    """First and last word, exclusive, of something like `patient001` or `patient_001`."""
    for pattern in (_PATIENT, _CASE):
        for i, (_, word) in enumerate(words):
            match = pattern.fullmatch(word)
            if not match or (pattern is _CASE and names_patient(words[:i])):
                continue
            if match["label"]:
                return i, i + 1
            if i + 1 == len(words):
                continue
            separator, following = words[i + 1]
            if word.lower() == "sub" and separator == "-":
                return i, i + 2
            if _LABEL.fullmatch(following) and not _attribute(following):
                return i, i + 2
    return None


def _attribute(word: str, code: bool = False) -> bool:
    """Whether a word is a phase, a frame or a slice; with `code`, `T01` and `f01` are rather codes of patients."""
    keyed = next((m for pattern in _KEYED.values() if (m := pattern.fullmatch(word))), None)
    return bool(_PHASE.fullmatch(word) or (keyed and not (code and keyed["key"] in "TZFSfs")))


def _phase_of(match: re.Match[str]) -> str:
    return "ED" if (match["short"] or "").lower() == "ed" or (match["long"] or "").lower()[:1] == "d" else "ES"


class _Reader:
    """Takes words away from both ends until the patient is left."""

    def __init__(self, words: Sequence[Word], loose: bool, leading_phase: bool) -> None:
        self.words, self.loose, self.leading_phase = list(words), loose, leading_phase
        self.found = Reading("")
        self.extra: list[Word] = []

    # ------------------------------------------------------------------------------------------- with a designator

    def around(self, first: int, last: int) -> Reading:
        """Everything after `patient001` says more of it; sites and data sets before it belong to the name."""
        designator = self.words[first:last]
        before = self.words[self._lead(0, first, first) : first]
        stem = [*(self._without_one(before) if self.loose else before), *designator]
        bids = designator[0][1].lower() == "sub" and designator[-1][0] == "-"
        rest = list(self.words[last:])
        while rest:
            taken = self._take_from_front(rest)
            if not taken and (taken := _site(rest)):  # patients of several sites may have the same numbers
                stem, self.extra = [*stem, *self.extra, *rest[:taken]], []
            elif not taken:
                taken = 2 if bids and rest[1:] and rest[1][0] == "-" else 1  # `task-rest`
                self.extra += rest[:taken]
                known = bids or _VIEW.fullmatch(rest[0][1])
                self.found = replace(self.found, unknown=self.found.unknown or not known)
            rest = rest[taken:]
        return replace(self.found, stem=join_words(stem), extra=self._extra(), designated=True, bids=bids)

    def _take_from_front(self, rest: Sequence[Word]) -> int:
        """Number of words at the front that are a phase, a frame, a slice, a number or an examination."""
        word, following = rest[0][1], rest[1][1] if len(rest) > 1 else ""
        if taken := self._take_phase(word, following) or self._take_keyed(word, following):
            return taken
        if not word.isdecimal():
            return self._take_session(rest) or self._take_unknown(word)
        frame_is_known = self.found.frame is not None or self.found.phase
        if frame_is_known and self.found.slice is None:
            self.found = replace(self.found, slice=int(word))
        elif not frame_is_known:
            self.found = replace(self.found, frame=int(word), bare=True)
        return 1

    # ---------------------------------------------------------------------------------------- without a designator

    def from_the_ends(self) -> Reading:
        """Phases, frames and slices at the end, then in front, then what only a patient's number may precede."""
        high = self._trail(0, len(self.words))
        low = self._lead(0, high, high - 1)
        high = self._trail(low, high)
        stem = self.words[low:high]
        if self.loose and len(stem) > 1:
            stem = self._without_one(stem)
        return replace(self.found, stem=join_words(stem), extra=self._extra())

    def _trail(self, low: int, high: int) -> int:
        """Take words away from the end; returns where the rest ends."""
        while high - low > 1 and (taken := self._take_from_end(low, high)):
            high -= taken
        return high

    def _take_from_end(self, low: int, high: int) -> int:
        words = self.words
        word, before = words[high - 1][1], words[high - 2][1]
        certain = self.loose or names_patient(words[low : high - 1])
        if self._take_phase(word):
            return 2 if high - low > 2 and _BEFORE_PHASE.fullmatch(before) else 1
        if (certain or not _is_short(word)) and self._take_keyed(word):
            return 1
        if high - low > 2:
            if word.isdecimal() and (certain or not _SHORT_KEY.fullmatch(before)) and self._take_keyed(before, word):
                return 2
            examination = names_patient(words[low : high - 2]) and _SESSION.fullmatch(before)
            if examination and not _SESSION.fullmatch(word) and self._take_session(words[high - 2 : high]) == 2:
                return 2
        return self._take_after_patient(low, high) if names_patient(words[low : high - 1]) else 0

    def _take_after_patient(self, low: int, high: int) -> int:
        """Number of words at the end that mean something only if those before them name a patient."""
        word, before = self.words[high - 1][1], self.words[high - 2][1]
        if self._take_session(self.words[high - 1 : high]):
            return 1
        if _VIEW.fullmatch(word):
            self.extra.insert(0, self.words[high - 1])
            return 1
        if word.isdecimal() and high == len(self.words):
            follows = high - low > 2 and _attribute(before)
            if follows:
                self.found = replace(self.found, slice=int(word))
            else:
                self.found = replace(self.found, frame=int(word), bare=True)
            return 1
        return self._take_unknown(word) if self.loose else 0

    def _lead(self, low: int, high: int, end: int) -> int:
        """Take phases, frames and slices away from the front, up to `end`; returns where the rest begins.

        Before a designator the words up to `high` may all go; else the rest has to name a patient.
        """
        while low < end:
            word, following = self.words[low][1], self.words[low + 1][1]
            earlier = self.found
            if self.leading_phase and self._take_phase(word):
                self.found = replace(self.found, led=True)
                low += 1
                continue
            taken = self._take_keyed(word, following)
            if not taken or low + taken > end or not (end == high or names_patient(self.words[low + taken : high])):
                self.found = earlier
                break
            low += taken
        return low

    def _without_one(self, words: list[Word]) -> list[Word]:
        """The words without a phase or, if there is none, without a frame or slice among them."""
        for take in (self._take_phase, self._take_long_key):
            for i, (_, word) in enumerate(words):
                if take(word):
                    return [*words[:i], *words[i + 1 :]]
        return words

    # --------------------------------------------------------------------------------------------------- one word

    def _take_phase(self, word: str, following: str = "") -> int:
        """Number of words taken for a phase: `ED`, `phase-ED` or `end_diastole`."""
        if self.found.phase:
            return 0
        match, words = _PHASE.fullmatch(word), 1
        if match is None and _BEFORE_PHASE.fullmatch(word):
            match, words = _PHASE.fullmatch(following), 2
        if match is None:
            return 0
        self.found = replace(self.found, phase=_phase_of(match))
        if match["number"] and self.found.frame is None:
            self.found = replace(self.found, frame=int(match["number"]))
        return words

    def _take_keyed(self, word: str, following: str = "") -> int:
        """Number of words taken for a frame or a slice: `frame03` or `frame_03`."""
        for kind in ("frame", "slice"):
            match = _KEYED[kind].fullmatch(word)
            if match is not None:
                key, number, words = match["key"], match["number"], 1
            elif _KEY[kind].fullmatch(word) and following.isdecimal():
                key, number, words = word, following, 2
            else:
                continue
            if getattr(self.found, kind) is not None:
                return 0
            short = self.found.short_key or bool(_SHORT_KEY.fullmatch(key))
            counted: dict[str, Any] = {kind: int(number)}
            self.found = replace(self.found, **counted, short_key=short)
            return words
        return 0

    def _take_long_key(self, word: str) -> int:
        return 0 if _is_short(word) else self._take_keyed(word)

    def _take_unknown(self, word: str) -> int:
        """Take `c03` for a frame, as a letter of unknown meaning."""
        if self.found.frame is not None or not _UNKNOWN_KEY.fullmatch(word):
            return 0
        self.found = replace(self.found, frame=int(word[1:]), short_key=True)
        return 1

    def _take_session(self, rest: Sequence[Word]) -> int:
        """Number of words taken for an examination: `ses-1`, `visit2`, `baseline`."""
        match = _SESSION.fullmatch(rest[0][1])
        if match is None:
            return 0
        alone = match["number"] or match["word"].lower() not in _NUMBERED_SESSIONS
        taken = 1 if alone or len(rest) == 1 else 2
        text = "-".join(word.lower() for _, word in rest[:taken])
        self.found = replace(self.found, session=f"{self.found.session} {text}".strip())
        return taken

    def _extra(self) -> str:
        return "".join(separator + word for separator, word in self.extra)


def _is_short(word: str) -> bool:
    """Whether the key of a frame or slice is so short that the word may be a patient's code."""
    return any((m := pattern.fullmatch(word)) and _SHORT_KEY.fullmatch(m["key"]) for pattern in _KEYED.values())


def _site(rest: Sequence[Word]) -> int:
    """Number of words that name a site: `site2`, `site_2`, `siteA`."""
    match = _PLACE.fullmatch(rest[0][1])
    if match is None:
        return 0
    return 1 if match["name"] or len(rest) == 1 or _attribute(rest[1][1]) else 2
