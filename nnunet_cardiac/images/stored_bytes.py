"""The bytes of the voxels: all of them, or an error. No memory is taken that the file cannot fill."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.layout import COPY_AGAIN, Stored

_CHUNK_BYTES = 2**20
#: Small, as its content is up to a thousand times larger.
_ZLIB_CHUNK = 2**16
_GZIP_MAGIC = b"\x1f\x8b"
#: Largest number of bytes that one byte of a file can stand for: limits of the formats.
_EXPANSION = {"raw": 1, "gzip": 1032, "zlib": 1032, "bzip2": 50_000}
#: Some programs fill the last block of a file with zeros.
_PADDING = 512


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed by gzip, by its content: names are wrong at times."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def first_bytes(path: Path, count: int) -> bytes:
    """Return up to `count` bytes of a file, decompressed if it is compressed by gzip."""
    if not is_gzip(path):
        with path.open("rb") as file:
            return file.read(count)
    try:
        with gzip.open(path) as packed:
            return packed.read(count)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: truncated or damaged ({error}). {COPY_AGAIN}") from error


def check_bytes(stored: Stored) -> None:
    """Read all voxels and keep none.

    Raises:
        UserError: If there are fewer bytes, or more, than the header says, or a compressed stream is damaged.
    """
    if stored.encoding in ("text", "hex"):
        read_numbers(stored)
        return
    for file in stored.files:
        for _ in _voxel_bytes(stored, file):
            pass


def read_numbers(stored: Stored) -> npt.NDArray[np.generic]:
    """Return the stored numbers in one row, the fastest axis first, in the byte order of this machine.

    Raises:
        UserError: As :func:`check_bytes`.
    """
    if stored.encoding == "text":
        return _from_text(stored)
    content = bytearray()
    for file in stored.files:
        for chunk in _voxel_bytes(stored, file):
            content += chunk
    numbers = np.frombuffer(content, stored.dtype)
    return numbers.astype(stored.dtype.newbyteorder("="), copy=False)


def _voxel_bytes(stored: Stored, file: Path) -> Iterator[bytes]:
    """Yield the bytes of the voxels in one file; raise if they are not as many as the header says."""
    expected = stored.nbytes // len(stored.files)
    if stored.encoding == "hex":
        yield _from_hex(stored, file, expected)
        return
    if not file.is_file():
        raise UserError(f"{stored.path}: its voxels are in {file.name}, which is not there. Put both into one folder.")
    where = f"{file}" if file == stored.path else f"{stored.path} (voxels in {file.name})"
    size = file.stat().st_size
    start = size - expected if stored.start is None else stored.start
    if start < 0 or (size - start) * _EXPANSION[stored.encoding] < stored.skip + expected:
        needed = max(start, 0) + stored.skip + expected
        at_least = "" if stored.encoding == "raw" else " after decompression"
        raise UserError(f"{where}: truncated, {size} bytes; expected {needed}{at_least}. {COPY_AGAIN}")
    skip, left = stored.skip, expected
    extra, filled = 0, False
    try:
        with file.open("rb") as opened:
            opened.seek(start)
            for chunk in _chunks(opened, stored.encoding):
                skipped = min(skip, len(chunk))
                taken = min(left, len(chunk) - skipped)
                if taken:
                    yield chunk[skipped : skipped + taken]
                skip, left = skip - skipped, left - taken
                tail = chunk[skipped + taken :]
                extra, filled = extra + len(tail), filled or any(tail)
                if extra > _PADDING or filled:
                    break
    except (EOFError, gzip.BadGzipFile, zlib.error, OSError) as error:
        raise UserError(f"{where}: truncated or damaged ({error}). {COPY_AGAIN}") from error
    if left or skip:
        found = expected - left
        raise UserError(f"{where}: truncated or damaged, {found} bytes of voxels; expected {expected}. {COPY_AGAIN}")
    if extra > _PADDING or filled:
        raise UserError(
            f"{where}: there are more bytes than the {expected} of its voxels; the header gives the wrong size, or the "
            f"file is damaged. {COPY_AGAIN}"
        )


def _chunks(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    if encoding == "zlib":
        yield from _inflated(file)
        return
    source: BinaryIO | gzip.GzipFile | bz2.BZ2File = file
    if encoding == "gzip":
        source = gzip.GzipFile(fileobj=file)
    elif encoding == "bzip2":
        source = bz2.BZ2File(file)
    while chunk := source.read(_CHUNK_BYTES):
        yield chunk


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    stream = zlib.decompressobj(zlib.MAX_WBITS | 32)  # the header of zlib or of gzip, as MetaImage takes both
    while not stream.eof:
        packed = file.read(_ZLIB_CHUNK)
        if not packed:
            raise EOFError("the compressed stream has no end")
        yield stream.decompress(packed)


def _from_text(stored: Stored) -> npt.NDArray[np.generic]:
    count = stored.nbytes // stored.dtype.itemsize
    words: list[bytes] = []
    for file in stored.files:
        with file.open("rb") as opened:
            opened.seek(stored.start or 0)
            words += opened.read().replace(b",", b" ").split()
    if len(words) != count:
        raise UserError(f"{stored.path}: truncated or damaged, {len(words)} numbers; expected {count}. {COPY_AGAIN}")
    wide = np.float64 if stored.dtype.kind == "f" else int
    try:
        return np.array([wide(word) for word in words]).astype(stored.dtype.newbyteorder("="))
    except (ValueError, OverflowError) as error:
        raise UserError(f"{stored.path}: holds words that are no numbers ({error}). {COPY_AGAIN}") from error


def _from_hex(stored: Stored, file: Path, expected: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(stored.start or 0)
        text = opened.read()
    try:
        content = bytes.fromhex(text.decode("ascii"))
    except ValueError as error:
        raise UserError(f"{stored.path}: its voxels are no hexadecimal numbers ({error}). {COPY_AGAIN}") from error
    if len(content) != expected:
        raise UserError(
            f"{stored.path}: truncated or damaged, {len(content)} bytes of voxels; expected {expected}. {COPY_AGAIN}"
        )
    return content
