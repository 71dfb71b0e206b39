"""What in a list of case names may mean other patients than were read: ambiguity that a user should settle."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from nnunet_cardiac.patients.case_names import SITE, Reading, join_words, names_patient, split_words

Readings = Mapping[str, Reading]

#: Short, but common for time and place in a series; single capitals are rather codes.
_USUAL_KEY = re.compile(r"[_\-. ](?:tt?|zz?|fr|ph|tp|sl)[_\-]?\d+")


def doubts_of(readings: Readings) -> Iterator[str]:
    """Yield a sentence for each kind of doubt, with an example.

    Args:
        readings: Case -> how its name was read, for all cases that no table lists.
    """
    for check in (
        _bare_numbers,
        _short_keys,
        _unknown_words,
        _phases_or_places,
        _numbers_kept_apart,
        _endings_kept_apart,
        _beginnings_kept_apart,
        _spelled_otherwise,
    ):
        if (doubt := check(readings)) is not None:
            yield doubt


def _joined(readings: Readings, chosen: Callable[[Reading], object]) -> dict[str, list[str]]:
    """Stem -> its cases, of stems with several cases of which some are chosen."""
    groups: dict[str, list[str]] = {}
    for case, reading in readings.items():
        groups.setdefault(reading.stem.lower(), []).append(case)
    return {
        stem: own
        for stem, own in groups.items()
        if len(own) > 1 and any(chosen(readings[case]) for case in own)
    }  # fmt: skip


def _bare_numbers(readings: Readings) -> str | None:
    """`A0S9V9_03`, `A0S9V9_12`: frames of a patient, or patients of a site?"""
    groups = _joined(readings, lambda reading: reading.bare and not reading.designated)
    if not groups or _is_regular(groups, readings):
        return None
    return f"{_shown(groups)} are taken for one patient, their last number for that of a frame."


def _short_keys(readings: Readings) -> str | None:
    """`A0S9V9_f03`, `Smith_t01`: a frame, or a patient's code?"""
    groups = _joined(readings, lambda reading: reading.short_key)
    if not groups or _is_regular(groups, readings):
        return None
    usual = all(_USUAL_KEY.search(case) for own in groups.values() for case in own)
    if usual and all(re.search(r"\d", stem) for stem in groups):
        return None
    return f"{_shown(groups)} are taken for one patient, the letter with a number for a frame or slice."


def _is_regular(groups: Mapping[str, Sequence[str]], readings: Readings) -> bool:
    """Whether many patients have two frames each, or the same ones: sites do not have as many patients as others."""
    numbers = [frozenset((readings[case].frame, readings[case].slice) for case in own) for own in groups.values()]
    regular = all(len(found) == 2 for found in numbers) or len(set(numbers)) == 1
    return regular and len(groups) >= 2 * len(numbers[0])


def _unknown_words(readings: Readings) -> str | None:
    groups = {
        stem: own
        for stem, own in _joined(readings, lambda reading: reading.unknown).items()
        if len({readings[case].extra.lower() for case in own}) > 1 or not all(readings[c].designated for c in own)
    }
    if not groups:
        return None
    return f"{_shown(groups)} are taken for one patient, though it is unknown what their last words mean."


def _phases_or_places(readings: Readings) -> str | None:
    """`ES_001` beside `FR_001`: end-systole, or Spain?"""
    cases = [case for case in readings if re.match(r"(?:ed|es)[_\-. ]", case, re.I) and not readings[case].led]
    cases = [case for case in cases if readings[case].stem.lower().startswith(case[:2].lower())]
    if not cases or len(cases) == len(readings):
        return None
    other = next(case for case in readings if case not in cases)
    return f"{cases[0][:2]} in {cases[0]} is taken for a part of the patient's name, as there is {other}, too."


def _numbers_kept_apart(readings: Readings) -> str | None:
    """`AB_1`, `AB_2`, `CD_1`, `CD_2`, or `A0S9V9_01_slice3`, `A0S9V9_12_slice3`: frames, or patients?"""
    families: dict[str, set[str]] = {}
    volumes: dict[str, set[tuple[str, int | None]]] = {}
    for reading in readings.values():
        match = re.fullmatch(r"(.*?[a-z0-9])[_\-. ]\d+", reading.stem, re.I)
        if match and not reading.designated:
            families.setdefault(match[1].lower(), set()).add(reading.stem)
            volumes.setdefault(reading.stem, set()).add((reading.phase, reading.frame))
    several = {family: stems for family, stems in families.items() if len(stems) > 1 and not _is_sited(family)}
    complete = all(len(volumes[stem]) > 1 for stems in several.values() for stem in stems)
    numbered = all(names_patient(split_words(family)) for family in several)
    in_few = len(several) > 1 and len(several) == len(families) and all(len(stems) <= 3 for stems in several.values())
    if not several or complete or not (numbered or in_few):
        return None
    first, second = sorted(next(iter(several.values())))[:2]
    return f"{first} and {second} are taken for two patients."


def _is_sited(family: str) -> bool:
    """Whether all numbers are those of sites and years."""
    return re.search(r"\d", family) is not None and not names_patient(split_words(family))


def _is_place(word: str) -> bool:
    return SITE.match(word) is not None


def _endings_kept_apart(readings: Readings) -> str | None:
    """`patient001a` and `patient001b`: two of one patient, or two patients?"""

    def family(reading: Reading) -> str | None:
        words = split_words(reading.stem)
        if len(words) > 1 and re.fullmatch(r"\d*[a-z]+|\d+[a-z]+\d+", words[-1][1], re.I):
            return join_words(words[:-1]) if names_patient(words[:-1]) and not _is_place(words[-1][1]) else None
        match = re.fullmatch(r"(.*\d)[a-z]+", reading.stem, re.I)
        return match[1] if match and names_patient(split_words(match[1])) else None

    return _apart(readings, family, "their endings differ alone")


def _beginnings_kept_apart(readings: Readings) -> str | None:
    """`12_patient001` and `13_patient001`: frames, or hospitals?"""

    def family(reading: Reading) -> str | None:
        words = split_words(reading.stem)
        coded = len(words) == 2 and re.search(r"[a-z]", words[1][1], re.I) and re.search(r"\d", words[1][1])
        if len(words) < 2 or not (coded or reading.designated) or _is_place(words[0][1]):
            return None
        return join_words(words[1:]) if names_patient(words[1:]) else None

    return _apart(readings, family, "their beginnings differ alone")


def _spelled_otherwise(readings: Readings) -> str | None:
    """`patient1` and `patient001`."""
    return _apart(
        readings, lambda reading: re.sub(r"0*(\d+)", r"\1", reading.stem), "zeros in front of a number differ alone"
    )


def _apart(readings: Readings, family: Callable[[Reading], str | None], why: str) -> str | None:
    families: dict[str, set[str]] = {}
    for reading in readings.values():
        if (name := family(reading)) is not None:
            families.setdefault(name.lower(), set()).add(reading.stem)
    several = [sorted(stems) for stems in families.values() if len({stem.lower() for stem in stems}) > 1]
    if not several:
        return None
    return f"{several[0][0]} and {several[0][1]} are taken for two patients, though {why}."


def _shown(groups: Mapping[str, Sequence[str]]) -> str:
    own = next(iter(groups.values()))
    return ", ".join(own[:3]) + (", ..." if len(own) > 3 else "")
