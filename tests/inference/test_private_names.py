"""Names that say who the patient is are found in any spelling, and others are left alone."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_cardiac.inference.private_names import holds_identifier

PRIVATE = (
    "MÜLLER^Anna Maria=测^试=やまだ^はな",
    "MRN-774411",
    "ACC7788123",
    "S-7788",
    "19700131",
    "20200102",
    "+49 (0)30 901820",
    "12 Elm Road, Springfield",
    "1.2.826.0.1.3680043.8.498.45787841905188114249328049303",
)


@pytest.mark.parametrize(
    "name",
    [
        *("MUELLER", "muller_2", "Müller", "x-MU\u0308LLER", "AnnaMüller", "mulleranna", "p_anna", "MariaAnna"),
        *("测试", "x测", "试_01", "やまだ", "ヤマダ", "ﾔﾏﾀﾞ", "はなやまだ"),
        *("774411", "MRN774411", "mrn_774411_a", "00774411", "p774411x", "ACC7788123", "acc-7788123", "7788123"),
        *("visit_S-7788", "s7788", "S_7788", "case 7788", "07788"),
        *("19700131_rest", "1970-01-31", "31.01.1970", "310170", "700131", "31-1-70", "1.31.1970", "01311970"),
        *("31Jan1970", "31_januar_1970", "Jan 31, 1970", "study20200102101112", "2020_01_02"),
        *("4930901820", "030-901820", "Springfield_7", "elm road"),
        *("1.2.826.0.1.3680043.8.498.45787841905188114249328049303", "45787841905188114249328049303"),
        *("1_2_826_0_1_3680043_8_498_45787841905188", "uid_36800438498457"),
    ],
)
def test_found(name: str) -> None:
    assert holds_identifier(name, PRIVATE)


@pytest.mark.parametrize(
    "name",
    [
        *("p001", "study42", "case_17", "sax_5", "control-3", "baseline", "2020", "0102", "1970", "77881"),
        *("rest_scan", "patient007_frame01", "MR_2021_follow-up", "12345", "检查", "", "_", "..."),
    ],
)
def test_left_alone(name: str) -> None:
    assert not holds_identifier(name, PRIVATE)


@pytest.mark.parametrize(
    ("name", "private", "found"),
    [
        ("visit_1", "1", True),
        ("1", "1", True),
        ("p1", "1", False),
        ("sub-01", "1", False),
        ("p_0", "0", False),  # of an anonymised file
        ("case_000", "000", False),
        ("study42", "42", False),
        ("study_42", "42", True),
        ("p417", "417", True),
        ("p4170", "417", False),
        ("p1234", "01234", True),
        ("li_wei", "LI^WEI", True),
        ("LIWU", "LI^WU", True),
        ("wuli", "LI^WU", True),
        ("polis", "LI^WU", False),
        ("Ng7", "NG^T", True),
        ("t_x", "NG^T", False),  # one letter says nothing
        ("redo_exam", "DOE^JANE", False),  # "doe" runs over a separator
        ("DOE_JANE", "DOE^JANE", True),
        ("J.A.N.E", "DOE^JANE", False),
        ("김", "Kim=金^희", False),
        ("金희", "Kim=金^희", True),
        ("Straße", "STRASSE^X", True),
        ("ＤＯＥ", "Doe", True),
        ("19700230", "19700230", True),  # no date, but a number
        ("x", "", False),
        ("x", " ^ = ", False),
    ],
)
def test_rules_of_length(name: str, private: str, found: bool) -> None:
    assert holds_identifier(name, [private]) is found


WORDS = st.text(st.characters(categories=["Lu", "Ll"], max_codepoint=0x24F), min_size=4, max_size=9)
SEPARATORS = st.sampled_from(["", "_", "-", " ", ".", "^", ", "])


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=3), st.data())
def test_parts_of_a_name_in_any_order(words: list[str], data: st.DataObject) -> None:
    shown = data.draw(st.permutations(words))[: data.draw(st.integers(1, len(words)))]
    name = data.draw(SEPARATORS).join(shown)
    name = data.draw(st.sampled_from([str, str.lower, str.upper, str.title]))(name)
    name = unicodedata.normalize(data.draw(st.sampled_from(["NFC", "NFD", "NFKC"])), name)
    name = f"{data.draw(st.sampled_from(['', '01', 'p_']))}{name}{data.draw(st.sampled_from(['', '7', '_x']))}"
    assert holds_identifier(name, ["^".join(words)])


SPELLINGS = [
    "%Y%m%d",
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d%m%Y",
    "%d%m%y",
    "%y%m%d",
    "%m-%d-%Y",
    "%Y_%m_%d",
    "%d-%b-%Y",
    "%b_%d_%Y",
]


@settings(max_examples=60, deadline=None)
@given(st.dates(date(1900, 1, 1), date(2030, 12, 31)), st.sampled_from(SPELLINGS))
def test_dates_in_any_spelling(day: date, spelling: str) -> None:
    assert holds_identifier(f"p_{day.strftime(spelling)}", [day.strftime("%Y%m%d")])


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_has_an_answer(name: str, private: list[str]) -> None:
    assert holds_identifier(name, private) in (True, False)
    assert not holds_identifier("", private)


@settings(max_examples=60, deadline=None)
@given(st.integers(100, 10**10))
def test_a_number_is_found_whole_and_in_a_longer_one_only_if_it_is_long(number: int) -> None:
    assert holds_identifier(f"p{number}_a", [str(number)])
    longer = f"9{number}9"
    assert holds_identifier(longer, [str(number)]) is (len(str(number)) >= 6)
