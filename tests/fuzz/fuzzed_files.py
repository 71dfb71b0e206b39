"""Small images and studies with one thing wrong each: flipped bits, a cut, or an extreme value in the header.

Every input follows from its number, so a failure comes back with it.
"""

from __future__ import annotations

import gzip
import re
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

SHAPE = (4, 48, 40)  # slices, rows, columns
SPACING = (1.5, 1.5, 8.0)  # columns, rows, slices
ENDINGS = {
    **{"nifti": ".nii", "compressed nifti": ".nii.gz", "cine nifti": ".nii"},
    **{"nrrd": ".nrrd", "zipped nrrd": ".nrrd", "meta": ".mha", "detached meta": ".mhd"},
}
KINDS = (*ENDINGS, "classic", "enhanced")

WHOLE = (0, 1, 2, 3, 7, 8, 9, 128, 255, 1000, 32767, -1, -2, -32768)
REAL = (0.0, -0.0, 1e-30, 1e-3, 1.0, -1.0, 1e3, 1e9, 1e30, 3e38, float("nan"), float("inf"), float("-inf"))
TEXT = (
    *("", " ", "0", "-1", "nan", "inf", "-inf", "1e400", "1,5", "abc", "9" * 20, "1\\2\\3\\4", "\xff\x00", "x" * 300),
    "0.0001",
)
VRS = ("SQ", "OB", "UN", "DS", "US", "FD", "PN", "ZZ", "UI", "AT")


@dataclass(frozen=True)
class Fuzzed:
    """One input: its name, and what was done to it."""

    name: str
    change: str


def heart() -> np.ndarray:
    """A bright disc in noise (Z, Y, X), in whole numbers."""
    rng = np.random.default_rng(8)
    z, y, x = np.indices(SHAPE)
    blood = ((y - 24) ** 2 + (x - 20) ** 2 < (14 - z) ** 2) * 300
    return (blood + 200 + rng.integers(0, 60, SHAPE)).astype(np.int16)


def write_input(folder: Path, number: int, changed: bool = True) -> Fuzzed:
    """Write input `number` into a folder: an image, or a folder with a DICOM study.

    Args:
        folder: Where it is written.
        number: Decides kind and change.
        changed: Whether anything is wrong with it.
    """
    kind = KINDS[number % len(KINDS)]
    rng = np.random.default_rng(number)
    name = f"{'f' if changed else 'w'}{number:03d}{''.join(word[0] for word in kind.split())}"
    files = _whole_files(kind)
    target = str(rng.choice(sorted(file for file in files if file != "pixels.raw")))
    change = "nothing"
    if changed:
        change, act = _changes(kind)[int(rng.integers(len(_changes(kind))))]
        files[target] = act(files[target], rng)
    for file, content in files.items():
        path = folder / (f"{name}/{file}" if file.endswith(".dcm") else file.replace("image", name + ENDINGS[kind]))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Fuzzed(name, f"{kind}: {change}")


def _changes(kind: str) -> list[tuple[str, Callable[[bytes, np.random.Generator], bytes]]]:
    header = {
        "nifti": lambda content: 352,
        "cine nifti": lambda content: 352,
        "nrrd": lambda content: content.index(b"\n\n") + 2,
        "zipped nrrd": lambda content: content.index(b"\n\n") + 2,
        "meta": lambda content: content.index(b"LOCAL") + 6,
        "detached meta": lambda content: len(content),
    }.get(kind, lambda content: content.index(b"\xe0\x7f\x10\x00"))
    extreme = {"classic": _extreme_element, "enhanced": _extreme_element}
    extreme |= dict.fromkeys(("nrrd", "zipped nrrd", "meta", "detached meta"), _extreme_line)
    flip = lambda content, rng: _flipped(content, rng, header(content))  # noqa: E731
    number = extreme.get(kind, _extreme_number)
    if kind == "compressed nifti":
        return [
            ("flipped in the header", _inside_gzip(lambda content, rng: _flipped(content, rng, 352))),
            ("flipped in the compressed bytes", lambda content, rng: _flipped(content, rng, len(content))),
            ("cut", _cut),
            ("cut before it was compressed", _inside_gzip(_cut)),
            ("extreme", _inside_gzip(_extreme_number)),
            ("extreme", _inside_gzip(_extreme_number)),
        ]
    structural = [("extreme", _broken_element)] if kind in ("classic", "enhanced") else []
    return [("flipped in the header", flip), ("cut", _cut), ("extreme", number), ("extreme", number), *structural]


# ---------------------------------------------------------------------------------------------- changes


def _flipped(content: bytes, rng: np.random.Generator, end: int) -> bytes:
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        changed[int(rng.integers(end))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content)))]


def _inside_gzip(
    change: Callable[[bytes, np.random.Generator], bytes],
) -> Callable[[bytes, np.random.Generator], bytes]:
    return lambda content, rng: gzip.compress(change(gzip.decompress(content), rng), mtime=0)


def _extreme_number(content: bytes, rng: np.random.Generator) -> bytes:
    """Another number in one or two fields of a NIfTI header."""
    fields = [(40 + 2 * i, "h") for i in range(8)] + [(76 + 4 * i, "f") for i in range(8)]
    fields += [(offset, "h") for offset in (70, 72, 252, 254)]
    fields += [(offset, "f") for offset in (108, 112, 116, *range(256, 328, 4))] + [(0, "i"), (344, "i"), (123, "b")]
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 3))):
        offset, kind = fields[int(rng.integers(len(fields)))]
        value = rng.choice(REAL) if kind == "f" else int(rng.choice(WHOLE))
        limits = {"h": 2**16, "i": 2**32, "b": 2**8}
        if kind == "f":
            struct.pack_into("<f", changed, offset, value)
        else:
            struct.pack_into(f"<{kind.upper()}", changed, offset, value % limits[kind])
    return bytes(changed)


def _extreme_line(content: bytes, rng: np.random.Generator) -> bytes:
    """Another value in one line of the header of an NRRD file or MetaImage; or the line is gone, or there twice."""
    if content.startswith(b"NRRD"):
        end = content.index(b"\n\n")
    else:
        end = content.index(b"LOCAL") + 5 if b"LOCAL" in content else len(content) - 1
    lines = content[:end].split(b"\n")
    at = int(rng.integers(len(lines)))
    match = re.match(rb"(.*?(?::=?| =) ?)(.*)", lines[at])
    what = int(rng.integers(5))
    if match is None or what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(at, lines[at])
    else:
        values = match[2].split(b" ")
        pool = [*TEXT, *map(str, WHOLE), *map(str, REAL), "double", "MET_LONG", "none", "2147483647", "99999999999"]
        values[int(rng.integers(len(values)))] = str(rng.choice(pool)).encode("latin-1")
        lines[at] = match[1] + b" ".join(values)
    return b"\n".join(lines) + content[end:]


def _elements(content: bytes) -> list[tuple[int, int]]:
    """(Place of the value, its length) of each element of a DICOM file but the pixels."""
    found = []
    stack = [dcmread(BytesIO(content), stop_before_pixels=True)]
    while stack:
        dataset = stack.pop()
        for tag in dataset.keys():  # noqa: SIM118 (iteration converts elements)
            raw = dataset.get_item(tag)
            if hasattr(raw, "value_tell") and raw.length and raw.length < len(content):
                found.append((raw.value_tell, raw.length))
            if dataset[tag].VR == "SQ":
                stack += list(dataset[tag].value)
    return sorted(set(found))


def _extreme_element(content: bytes, rng: np.random.Generator) -> bytes:
    """Another value in one element of a DICOM file, of the length that it had."""
    found = _elements(content)
    # Half of them among those that decide the image, which come last.
    at, length = found[int(rng.integers(len(found) // 2, len(found)) if rng.integers(2) else rng.integers(len(found)))]
    if length in (2, 4, 8) and rng.integers(2):
        value = struct.pack("<q", int(rng.choice(WHOLE)))[:length]
    else:
        value = str(rng.choice(TEXT)).encode("latin-1")[:length].ljust(length, b" ")
    return content[:at] + value + content[at + length :]


def _broken_element(content: bytes, rng: np.random.Generator) -> bytes:
    """Another kind of value, another length, or another tag of one element."""
    at, _ = _elements(content)[int(rng.integers(len(_elements(content))))]
    changed = bytearray(content)
    what = int(rng.integers(3))
    if what == 0:
        changed[at - 4 : at - 2] = str(
            rng.choice(["SQ", "OB", "UN", "DS", "US", "FD", "PN", "ZZ", "UI", "AT"])
        ).encode()
    elif what == 1:
        changed[at - 2 : at] = struct.pack("<H", int(rng.choice(WHOLE)) % 2**16)
    else:
        changed[at - 8 : at - 4] = rng.bytes(4)
    return bytes(changed)


# ---------------------------------------------------------------------------------------------- whole files


def _whole_files(kind: str) -> dict[str, bytes]:
    """Name -> content of the files of an input without a fault."""
    image = heart()
    if kind == "classic":
        return {f"{z}.dcm": _dicom(image[z], z) for z in range(len(image))}
    if kind == "enhanced":
        return {"0.dcm": _enhanced(image)}
    if kind in ("nrrd", "zipped nrrd", "meta"):
        return {"image": _itk(image, ENDINGS[kind], kind == "zipped nrrd")}
    if kind == "detached meta":
        local = _itk(image, ".mha", False)
        pixels = image.tobytes()
        assert local.endswith(pixels)
        return {"image": local[: -len(pixels)].replace(b"LOCAL", b"pixels.raw"), "pixels.raw": pixels}
    array = image.T
    if kind == "cine nifti":
        array = np.stack([array, array // 2], axis=-1)
    header = nibabel.Nifti1Image(array, np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1]))
    header.header.set_xyzt_units("mm", "msec")
    header.set_qform(header.affine, 1)
    content = header.to_bytes()
    return {"image": gzip.compress(content, mtime=0) if kind == "compressed nifti" else content}


def _itk(image: np.ndarray, ending: str, compressed: bool) -> bytes:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / f"image{ending}"
        written = sitk.GetImageFromArray(image)
        written.SetSpacing(SPACING)
        sitk.WriteImage(written, path, useCompression=compressed)
        return path.read_bytes()


def _header(sop_class: str, instance: int) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"1.2.3.4.{instance}"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "TEST^CASE", "TEST-0001", "", ""
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3.1", "1.2.3.2", "1.2.3.3"
    ds.SeriesNumber, ds.InstanceNumber, ds.Modality, ds.SeriesDescription = 5, instance, "MR", "SAX"
    ds.ImageType, ds.Manufacturer = ["ORIGINAL", "PRIMARY", "M"], "Placeholder"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.Rows, ds.Columns = SHAPE[1:]
    ds.RescaleSlope, ds.RescaleIntercept = 2, -10
    return ds


def _bytes(ds: Dataset) -> bytes:
    stream = BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _dicom(plane: np.ndarray, z: int) -> bytes:
    ds = _header("1.2.840.10008.5.1.4.1.1.4", z + 1)
    ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, SPACING[2] * z]
    ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = [SPACING[1], SPACING[0]], 6, SPACING[2]
    ds.TriggerTime, ds.EchoNumbers, ds.AcquisitionNumber = 0, 1, 1
    ds.PixelData = plane.astype("<u2").tobytes()
    return _bytes(ds)


def _enhanced(image: np.ndarray) -> bytes:
    ds = _header("1.2.840.10008.5.1.4.1.1.4.1", 1)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [SPACING[1], SPACING[0]], 6
    measures.SpacingBetweenSlices = SPACING[2]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    groups = []
    for z in range(len(image)):
        group, plane, content = Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient = [0, 0, SPACING[2] * z]
        content.StackID, content.InStackPositionNumber = "1", z + 1
        group.PlanePositionSequence, group.FrameContentSequence = [plane], [content]
        groups.append(group)
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], groups
    ds.NumberOfFrames = len(groups)
    ds.PixelData = image.astype("<u2").tobytes()
    return _bytes(ds)
