"""What goes to the JSON file holds neither a path nor a description nor an identifier."""

from __future__ import annotations

import pytest

from nnunet_cardiac.inference.notes import Note, for_record

PRIVATE = ("DOE^JANE", "MRN-774411", "1", "19700131")


def test_a_note_keeps_its_detail_from_the_file() -> None:
    note = Note("Series 8 was left out: slice 3 is missing.", "/data/DOE_JANE, again JANE")
    assert for_record([note], PRIVATE) == ["Series 8 was left out: slice 3 is missing."]
    assert str(note) == "Series 8 was left out: slice 3 is missing. (/data/DOE_JANE, again JANE)"
    assert str(Note("All is well.")) == "All is well."


@pytest.mark.parametrize(
    "text",
    [
        "slice 4 was acquired 2 times; the last is used",
        "Series 1 (2 images) is a localiser and was left out.",
        "No left ventricle was found in frame 1, 2.",
        "1 DICOM files are copies of others and were left out.",
    ],
)
def test_plain_sentences_are_kept(text: str) -> None:
    assert for_record([text], PRIVATE) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "not segmented: /data/p001, series 8 (sax): slice 3 has 3 frames",
        r"C:\data\p001: damaged",
        "IM0001.dcm: damaged or truncated",
        "Series 8 (again, of the patient) was left out.",
        "the outputs of Doe are called p001",
        "taken on 31.01.1970",
        "MRN774411 is the number",
    ],
)
def test_others_are_hidden(text: str) -> None:
    (kept,) = for_record([text, text], PRIVATE)
    assert kept == "A message names files or series and is not repeated here; the log of the run has it."


def test_a_note_that_holds_an_identifier_is_hidden_all_the_same() -> None:
    assert "JANE" not in for_record([Note("Series of JANE was left out.")], PRIVATE)[0]
