"""What kind of image a file holds, as the vendors and the standard write it."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from nnunet_cardiac.dicom.acquisition import read_acquisition


def classic(image_type: str, **elements: Any) -> Dataset:
    dataset = Dataset()
    dataset.ImageType = image_type.split("/")
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("dataset", "component", "purpose"),
    [
        (classic("ORIGINAL/PRIMARY/M/NORM/DIS2D", SequenceName="*tfi2d1_15"), "magnitude", ""),
        (classic("DERIVED/PRIMARY/M/ND", SequenceName="*tfi2d1"), "magnitude", ""),
        (classic("ORIGINAL/PRIMARY/OTHER"), "magnitude", ""),
        (classic("ORIGINAL/PRIMARY/M_FFE/M/FFE"), "magnitude", ""),
        (classic("ORIGINAL/PRIMARY/P_FFE/P/FFE"), "phase", ""),
        (classic("ORIGINAL/PRIMARY/PHASE CONTRAST M/M/PCA"), "magnitude", "flow"),
        (classic("ORIGINAL/PRIMARY/VELOCITY MAP/P/PCA"), "phase", "flow"),
        (classic("ORIGINAL/PRIMARY/P/ND", SequenceName="*fl2d1_v150in"), "phase", "flow"),
        (classic("ORIGINAL/PRIMARY/R/NORM"), "real", ""),
        (classic("ORIGINAL/PRIMARY/M", ComplexImageComponent="PHASE"), "phase", ""),
        (classic("ORIGINAL/PRIMARY/LOCALIZER"), "magnitude", "localiser"),
        (classic("ORIGINAL/PRIMARY/M/ND/MOSAIC"), "magnitude", "mosaic"),
        (classic("DERIVED/PRIMARY/M/T1 MAP"), "magnitude", "map or computed image"),
        (classic("DERIVED/PRIMARY/T2_STAR_MAP"), "magnitude", "map or computed image"),
        (classic("DERIVED/SECONDARY/MPR/CSA MPR"), "magnitude", "map or computed image"),
        (classic("DERIVED/PRIMARY/ADC"), "magnitude", "map or computed image"),
        (classic("ORIGINAL/PRIMARY/M", SequenceName="*fl2d5_tag"), "magnitude", "tagging"),
        (classic("ORIGINAL/PRIMARY/M", SequenceName="cine_stage2"), "magnitude", ""),
        (classic("ORIGINAL/PRIMARY/M/I/R_T"), "magnitude", ""),
        (classic("DERIVED/PRIMARY/T1/ND/MOCO"), "magnitude", "map or computed image"),
        (classic("DERIVED/PRIMARY/M/T2MAP"), "magnitude", "map or computed image"),
        (classic("ORIGINAL/PRIMARY/M", TagSpacingFirstDimension=8.0), "magnitude", "tagging"),
        (classic("ORIGINAL/PRIMARY/M", DiffusionBValue=350.0), "magnitude", "diffusion"),
        (classic("ORIGINAL/PRIMARY/M", DiffusionBValue=0.0), "magnitude", ""),  # Philips writes it everywhere
        (classic("ORIGINAL/PRIMARY/M", SequenceName="*ep_b50"), "magnitude", "diffusion"),
        (classic("ORIGINAL/PRIMARY/M", SeriesDescription="local shim, tagging, phase, localizer"), "magnitude", ""),
        (Dataset(), "magnitude", ""),
    ],
)
def test_classic_files(dataset: Dataset, component: str, purpose: str) -> None:
    found = read_acquisition(dataset, [])
    assert (found.component, found.purpose) == (component, purpose)


@pytest.mark.parametrize(("value", "component"), enumerate(("magnitude", "phase", "real", "imaginary")))
def test_ge_has_a_number_for_the_part_of_the_signal(value: int, component: str) -> None:
    # Vendors share a group, and each has a block of it.
    for block, creator in ((0x10, "GEMS_PARM_01"), (0x11, "GEMS_PARM_01"), (0x10, "ANOTHER VENDOR")):
        dataset = classic("ORIGINAL/PRIMARY/OTHER")
        dataset.add_new((0x0043, block), "LO", creator)
        dataset.add_new((0x0043, (block << 8) + 0x2F), "SS", value)
        expected = component if creator == "GEMS_PARM_01" else "magnitude"
        assert read_acquisition(dataset, []).component == expected


@pytest.mark.parametrize(
    ("group", "creator", "element", "vr", "value"),
    [
        (0x0043, "GEMS_PARM_01", 0x39, "IS", [1000000350, 8, 0, 0]),
        (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", 350),
        (0x2001, "Philips Imaging DD 001", 0x03, "FL", 350.0),
        (0x0065, "Image Private Header", 0x09, "FD", 350.0),
    ],
)
def test_b_values_of_vendors(group: int, creator: str, element: int, vr: str, value: Any) -> None:
    for name, purpose in ((creator, "diffusion"), ("ANOTHER VENDOR", "")):
        dataset = classic("ORIGINAL/PRIMARY/OTHER")
        dataset.add_new((group, 0x10), "LO", name)
        dataset.add_new((group, 0x1000 + element), vr, value)
        assert read_acquisition(dataset, []).purpose == purpose


def test_what_a_frame_says_counts_before_what_the_file_says() -> None:
    dataset = classic("ORIGINAL/PRIMARY/MIXED", ComplexImageComponent="MIXED")
    for words, component in ((["ORIGINAL", "PRIMARY", "M"], "magnitude"), (["ORIGINAL", "PRIMARY", "P"], "phase")):
        group, kind = Dataset(), Dataset()
        kind.FrameType = words
        group.MRImageFrameTypeSequence = [kind]
        assert read_acquisition(dataset, [group]).component == component


def test_functional_groups() -> None:
    group, modifier, timing, diffusion = Dataset(), Dataset(), Dataset(), Dataset()
    modifier.InversionTimes, modifier.Tagging, timing.FlipAngle = [290.0], "GRID", 50.0
    group.MRModifierSequence, group.MRTimingAndRelatedParametersSequence = [modifier], [timing]
    found = read_acquisition(classic("ORIGINAL/PRIMARY/M"), [group])
    assert (found.inversion_ms, found.flip_degrees, found.purpose) == (290.0, 50.0, "tagging")
    diffusion.DiffusionBValue = 50.0
    group.MRModifierSequence, group.MRDiffusionSequence = [], [diffusion]
    assert read_acquisition(classic("ORIGINAL/PRIMARY/M"), [group]).purpose == "diffusion"


def test_segments_of_a_sequence_do_not_tell_slices_apart() -> None:
    first, second = (
        read_acquisition(classic("ORIGINAL/PRIMARY/M", SequenceName=name), []) for name in ("*tfi2d1_12", "*tfi2d1_15")
    )
    assert first.sequence == second.sequence
    words = (
        read_acquisition(classic("ORIGINAL/PRIMARY/M", SequenceVariant=words), [])
        for words in (["SK", "SP"], ["SP", "SK"])
    )
    assert next(words) == next(words)
    assert read_acquisition(classic("ORIGINAL/PRIMARY/M", InversionTime=0), []).inversion_ms is None
