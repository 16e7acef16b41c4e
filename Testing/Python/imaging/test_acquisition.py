"""What the DICOM header tells of a scan's acquisition, in single-frame and multi-frame images."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from DeepRadScoreLib.imaging.acquisition import Acquisition
from DeepRadScoreLib.imaging.dicom.acquired import acquisition_of


def header(**elements: object) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def group(name: str, **elements: object) -> Dataset:
    return header(**{name: Sequence([header(**elements)])})


def test_a_single_frame_header() -> None:
    found = acquisition_of(
        header(ConvolutionKernel=["B30f", "2"], KVP="120", SliceThickness="2.5", ContrastBolusAgent="Iohexol")
    )
    assert found == Acquisition("B30f\\2", 120.0, 2.5, True, None)


def test_the_groups_of_a_multi_frame_header() -> None:
    shared = group("CTReconstructionSequence", ConvolutionKernel="LUNG")
    shared.update(group("CTXRayDetailsSequence", KVP=100.0))
    frame = group("PixelMeasuresSequence", SliceThickness="1.25")
    whole = header(
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence([frame]),
        ContrastBolusAgentSequence=Sequence([Dataset()]),
        Manufacturer="Maker",
    )
    assert acquisition_of(whole) == Acquisition("LUNG", 100.0, 1.25, True, "Maker")


@pytest.mark.parametrize(("agent", "contrast"), [("", None), ("NONE", False), ("no", False), ("Omnipaque 300", True)])
def test_whether_a_contrast_agent_is_named(agent: str, contrast: bool | None) -> None:
    assert acquisition_of(header(ContrastBolusAgent=agent)).contrast is contrast


@pytest.mark.parametrize("kvp", ["", "0", "-5", None])
def test_an_element_without_a_value_tells_nothing(kvp: str | None) -> None:
    assert acquisition_of(header(KVP=kvp)) == Acquisition()
