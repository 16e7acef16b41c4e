"""The acquisition of a CT from the header of one of its DICOM files, single-frame or multi-frame."""

from __future__ import annotations

import math
import re

from pydicom import Dataset

from DeepRadScoreLib.imaging.acquisition import Acquisition
from DeepRadScoreLib.imaging.dicom.datasets import items, text

GROUPS = {
    "ConvolutionKernel": "CTReconstructionSequence",
    "KVP": "CTXRayDetailsSequence",
    "SliceThickness": "PixelMeasuresSequence",
}
"""Functional group of a multi-frame image that holds an element."""
NO_AGENT = ("NONE", "NO", "N", "NO CONTRAST", "WITHOUT", "UNENHANCED")


def acquisition_of(header: Dataset) -> Acquisition:
    """The acquisition that a complete header tells; a missing, empty or damaged element tells nothing."""
    return Acquisition(
        kernel=_text(header, "ConvolutionKernel") or None,
        tube_voltage_kv=_positive(_text(header, "KVP")),
        slice_thickness_mm=_positive(_text(header, "SliceThickness")),
        contrast=_contrast(header),
        manufacturer=_text(header, "Manufacturer") or None,
        model=_text(header, "ManufacturerModelName") or None,
        study_month=_months(_text(header, "StudyDate")),
    )


def _text(header: Dataset, keyword: str) -> str:
    found = text(header, keyword)
    if found or keyword not in GROUPS:
        return found
    for shared in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in items(header, shared, GROUPS[keyword]):
            return text(group, keyword)
    return ""


def _positive(written: str) -> float | None:
    try:
        value = float(written)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _months(date: str) -> int | None:
    """Months from year 0 of a date (YYYYMMDD)."""
    found = re.fullmatch(r"(\d{4})(0[1-9]|1[0-2])\d{2}", date.strip())
    return None if found is None else 12 * int(found[1]) + int(found[2]) - 1


def _contrast(header: Dataset) -> bool | None:
    """The agent's text decides; an agent coded in a sequence is one; nothing is known of an empty element."""
    agent = text(header, "ContrastBolusAgent")
    if agent:
        return agent.upper() not in NO_AGENT
    return True if header.get("ContrastBolusAgentSequence") else None
