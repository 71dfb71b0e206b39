"""Names that any file system takes, and an order in which ten comes after nine."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_cardiac.inference.safe_names import folded, is_safe, natural, own_name, safe_name


def test_what_is_replaced() -> None:
    assert safe_name(os.fsdecode(b"caf\xe9")) == "caf_xE9"
    assert safe_name("a\nb\x1b[31m") == "a_b_[31m"
    for name in ("Müller", "测试", "p 01", "a.b-c_d", "😀"):
        assert safe_name(name) == name
    assert not is_safe(Path(os.fsdecode(b"\xff"), "a.nii"))
    assert is_safe(Path("ü", "a.nii"))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=20))
def test_any_bytes_become_text(raw: bytes) -> None:
    safe_name(os.fsdecode(raw)).encode()


def test_natural_order() -> None:
    assert sorted(["sax_10b", "scout", "sax_10", "sax_1", "sax_2"], key=natural) == [
        *("sax_1", "sax_2", "sax_10", "sax_10b", "scout")
    ]
    assert len({natural(name) for name in ("1", "01", "001")}) == 3  # an order without ties


def test_folded() -> None:
    assert folded("CAFE\u0301") == folded("caf\u00e9")
    assert folded("cafe") != folded("caf\u00e9")


def test_own_name(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "p001").symlink_to(tmp_path / "secret")
    assert own_name(tmp_path / "p001") == "p001"
    assert own_name(tmp_path / "p001" / "..") == tmp_path.name
