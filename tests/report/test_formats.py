import pytest

from nnunet_cardiac.report.formats import duration, number


@pytest.mark.parametrize(
    ("value", "digits", "signed", "expected"),
    [
        (0.91249, 3, False, "0.912"),
        (-3.25, 1, True, "−3.2"),
        (3.25, 2, True, "+3.25"),
        (-0.04, 1, True, "0.0"),
        (float("nan"), 1, True, "–"),
    ],
)
def test_number(value: float, digits: int, signed: bool, expected: str) -> None:
    assert number(value, digits, signed) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.9, "1 h 00 min"),
        (7830, "2 h 10 min"),
    ],
)
def test_duration(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
