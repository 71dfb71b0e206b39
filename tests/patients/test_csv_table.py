"""Tables as spreadsheets and countries write them: every cell as it was written, or a refusal that one can read."""

from __future__ import annotations

import datetime
import logging
import zipfile
from pathlib import Path

import openpyxl
import pytest

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.patients.csv_table import find_table, number, read_table, whole_number
from nnunet_cardiac.patients.tables import find_tables, read_patient_list

ROWS = [{"patient": f"p{n:02d}", "group": ""} for n in (1, 2, 3)]


def write(path: Path, group: str, encoding: str, separator: str = ",", first: str = "") -> Path:
    lines = [f"p{n:02d}{separator}{group}" for n in (1, 2, 3)]
    text = "\r\n".join([*filter(None, [first]), f"patient{separator}group", *lines, ""])
    path.write_bytes(text.encode(encoding))
    return path


def groups(path: Path) -> set[str]:
    return {row["group"] for row in read_table(path, ("patient", "group"))}


def workbook(path: Path, *sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030", "shift_jis"]
)
def test_encodings_that_can_hold_the_text(tmp_path: Path, encoding: str) -> None:
    group = "正常対照" if encoding == "shift_jis" else "正常对照"
    assert groups(write(tmp_path / "t.csv", group, encoding)) == {group}


@pytest.mark.parametrize(
    ("encoding", "group"),
    [
        ("shift_jis", "健常"), ("shift_jis", "肥大型心筋症"), ("cp932", "正常①"), ("gbk", "肥厚型心肌病"),
        ("gbk", "心肌梗死"), ("gbk", "A组"), ("big5", "肥厚性心肌病變"), ("euc_jp", "健常なひとの心臓の画像"),
        ("euc_kr", "비후성 심근병증과 확장성 심근병증 환자 그리고 정상 대조군의 좌심실"),
        ("cp1252", "sévère"), ("cp1252", "Größe"), ("cp1252", "GROSSE ÄRZTE"),
        ("cp1252", "Ärzte, Österreich, Élise"), ("cp1252", "Ærø ÅRHUS"),
        ("cp1252", "función sistólica"), ("cp1252", "FUNÇÃO"), ("cp1252", "normalità"), ("cp1252", "70 µm² ± 5°"),
        ("cp1252", "là où déjà"), ("cp1252", "cœur d’Ivoire"), ("cp1252", "Müller, José, Søren"),
    ],
)  # fmt: skip
def test_code_pages_that_are_certain(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, encoding: str, group: str
) -> None:
    path = write(tmp_path / "t.csv", group, encoding, separator=";")
    with caplog.at_level(logging.WARNING):
        assert groups(path) == {group}
    assert "not UTF-8, read as" in caplog.text


@pytest.mark.parametrize(
    ("encoding", "group"),
    [
        ("gbk", "健康"), ("big5", "對照組"), ("big5", "中心"), ("euc_kr", "정상"), ("euc_jp", "健常"),
        ("cp932", "ﾔﾏﾀﾞ"), ("cp1251", "здоровые"), ("cp1251", "НОРМА"), ("cp1251", "Здоровый контроль"),
        ("koi8-r", "здоровые"), ("cp1250", "zdravý člověk"), ("cp1250", "chorobę"), ("cp1250", "řada"),
        ("cp1250", "nő"),
        ("cp1250", "dzień"), ("cp1253", "υγιής"), ("cp1254", "sağlıklı"), ("cp1255", "בריא"), ("cp1256", "سليم"),
        ("cp874", "ปกติ"), ("cp850", "Müller gesund größe"), ("mac_roman", "Müller schön"), ("iso2022_jp", "健常"),
    ],
)  # fmt: skip
def test_text_that_could_be_two_things_is_refused(tmp_path: Path, encoding: str, group: str) -> None:
    with pytest.raises(UserError, match="Save it as UTF-8") as caught:
        groups(write(tmp_path / "t.csv", group, encoding))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; expected a header line"),
        (b"\xef\xbb\xbf\r\n", "empty; expected a header line"),
        (b"sep=;\r\n", "empty; expected a header line"),
        (bytes(range(256)), "so it is no text"),
        (b"patient,group\n\x01\x02", "holds the character U.0001, so it is no text"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "an Excel file of the old kind"),
        (b"PK\x03\x04patient,group", "a zip archive, damaged Excel file"),
        (b"%PDF-1.7 patient,group", "a PDF"),
        (b"\xff\xfep\0a", "begins as UTF-16 but is none from byte"),
        (b'patient,group\n"p01,A\np02,B\n', "is a quotation mark left open"),
        (b"patient,height\np01,12,5\n", "row 1 below the header has 3 cells, and the header 2: p01, 12, 5. Put text"),
        (b"Patient,patient,group\np01,p02,A\n", "2 columns are called patient, and a row has p01 and p02 in them"),
        (b"name,group\np01,A\n", "columns name, group; expected patient too"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_table(path, ("patient",))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"'])
def test_first_line_for_excel(tmp_path: Path, first: str) -> None:
    path = write(tmp_path / "t.csv", "a, b, c, d", "utf-8-sig", separator=";", first=first)
    assert groups(path) == {"a, b, c, d"}
    assert len(read_table(path, ("patient",))) == 3


def test_quotes_hold_separators_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'patient;"a, b, c"\r\np01;"two\r\nlines; ""quoted"""\r\n\r\np02;5" tube\r\n')
    rows = read_table(path, ("patient",))
    assert [row["a, b, c"] for row in rows] == ['two\r\nlines; "quoted"', '5" tube']
    path.write_bytes(b"patient\tgroup\rp01\tA\rp02\t\r")  # an old Mac
    assert [row["group"] for row in read_table(path, ("patient",))] == ["A", ""]


def test_short_rows_have_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("PATIENT ,Group,note\n001\n002,B,,,\n")
    assert read_table(path, ("patient",)) == [
        {"patient": "001", "Group": "", "note": ""},
        {"patient": "002", "Group": "B", "note": ""},
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), ("12.0", 12), ("12,0", 12), (" 12,5 ", 12.5), ("-3e1", -30), (",5", 0.5), ("1_2", None), ("nan", None),
     ("inf", None), ("", None), ("1.234,5", None), ("12 mm", None)],
)  # fmt: skip
def test_numbers_have_a_point_or_a_comma(text: str, value: float | None) -> None:
    assert number(text) == value


def test_whole_numbers(tmp_path: Path) -> None:
    assert whole_number(tmp_path, {"ed": "12,0"}, "ed") == 12
    for text in ("12,5", "x", "", "1,234"):
        with pytest.raises(UserError, match="expected a whole number"):
            whole_number(tmp_path, {"ed": text}, "ed")


def test_a_workbook_reads_as_it_looks(tmp_path: Path) -> None:
    day = datetime.datetime(2020, 1, 31)
    path = workbook(
        tmp_path / "t.xlsx",
        [["remark"], ["the table is on the next sheet"]],
        [],
        [
            ["Patient", "n", "x", "born", "ok", "group"],
            ["001", 12, 0.1 + 0.2, day, True, "健常"],
            [None] * 6,
            ["2", 3.0],
        ],
    )
    book = openpyxl.load_workbook(path)
    book.worksheets[2].append([7])
    book.worksheets[2]["A5"].number_format = "000"
    book.save(path)
    rows = read_table(path, ("patient",))
    assert rows[0] == {"patient": "001", "n": "12", "x": "0.3", "born": "2020-01-31", "ok": "TRUE", "group": "健常"}
    assert [(row["patient"], row["n"]) for row in rows[1:]] == [("2", "3"), ("007", "")]
    renamed = path.rename(tmp_path / "saved as.csv")
    assert read_table(renamed, ("patient",)) == rows


def test_workbooks_that_cannot_be_read(tmp_path: Path) -> None:
    path = workbook(tmp_path / "formula.xlsx", [["patient", "n"], ["p01", "=1+1"]])
    with pytest.raises(UserError, match=r"cell B2 of sheet Sheet.* holds a formula without a stored value"):
        read_table(path, ("patient",))
    path = workbook(tmp_path / "empty.xlsx", [])
    with pytest.raises(UserError, match="empty; expected a header line with patient"):
        read_table(path, ("patient",))
    path = workbook(tmp_path / "cut.xlsx", [["patient"], ["p01"]])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match="damaged Excel file"):
        read_table(path, ("patient",))
    with zipfile.ZipFile(tmp_path / "odd.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<no workbook")
    with pytest.raises(UserError, match="cannot be read as an Excel workbook"):
        read_table(tmp_path / "odd.xlsx", ("patient",))
    with pytest.raises(UserError, match="columns patient, n; expected image too"):
        read_table(workbook(tmp_path / "t.xlsx", [["patient", "n"], ["p01", 1]]), ("image",))


def test_tables_beside_the_data_are_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    workbook(
        tmp_path / "cases.xlsx", [["About"], ["this study"]], [["case", "patient", "phase"], ["x1", "Smith", "ED"]]
    )
    (found,) = find_tables(tmp_path)
    assert read_patient_list(found).cases["x1"].patient == "Smith"
    (tmp_path / "cases.csv").write_text("case,patient\nx1,Jones\n")
    with caplog.at_level(logging.WARNING):
        assert find_tables(tmp_path) == [tmp_path / "cases.csv"]
    assert "cases.csv is read, cases.xlsx is not; keep one" in caplog.text
    (tmp_path / "cases.csv").write_text("method;case;structure\nm;x1;LV\n")  # what `evaluate` wrote counts for nothing
    assert find_tables(tmp_path) == [tmp_path / "cases.xlsx"]


def test_a_table_is_found_by_its_header(tmp_path: Path) -> None:
    inner = tmp_path / "a"
    inner.mkdir()
    (tmp_path / "information.csv").write_text("other\n1\n")
    (inner / "the_information.csv").write_bytes("External code;ED\nA;1\n".encode("utf-16"))
    assert find_table(tmp_path, "*nformation*.csv", "External code") == inner / "the_information.csv"
    (inner / "the_information.csv").unlink()
    workbook(inner / "Information 2.xlsx", [["external CODE", "ED"], ["A", 1]])
    assert find_table(tmp_path, "*nformation*.csv", "External code") == inner / "Information 2.xlsx"
    assert find_table(tmp_path, "*nformation*.csv", "Vendor") is None
