"""Which sources can be converted. Plain facts without numpy, so that `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A source of data.

    Attributes:
        title: Name as its authors write it.
        module: Module with `read(source, options)`.
        cite: What to cite and where the terms of use stand.
    """

    title: str
    module: str
    cite: str


SOURCES: dict[str, Source] = {
    "acdc": Source(
        "ACDC",
        "nnunet_cardiac.datasets.acdc",
        "Bernard et al., IEEE TMI 2018; terms in MANDATORY_CITATION.md of the archive",
    ),
    "mnms": Source("M&Ms", "nnunet_cardiac.datasets.mnms", "Campello et al., IEEE TMI 2021; terms of the challenge"),
    "mnms2": Source("M&Ms-2", "nnunet_cardiac.datasets.mnms2", "Martin-Isla et al., IEEE JBHI 2023; challenge terms"),
    "lasc": Source("LASC 2018", "nnunet_cardiac.datasets.lasc", "Xiong et al., Medical Image Analysis 2021"),
    "emidec": Source("EMIDEC", "nnunet_cardiac.datasets.emidec", "Lalande et al., Data 2020; CC BY-NC-SA 4.0"),
    "sunnybrook": Source("Sunnybrook", "nnunet_cardiac.datasets.sunnybrook", "Radau et al., MIDAS 2009; CC0 1.0"),
    "lvquan19": Source("LVQuan19", "nnunet_cardiac.datasets.lvquan19", "Xue et al., Medical Image Analysis 2018"),
    "generic": Source("your own data", "nnunet_cardiac.datasets.generic", "a CSV of image, label, patient, phase"),
}
