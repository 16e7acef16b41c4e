"""What is asked of one case of a study, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from DeepRadScoreLib.models import Preprocessing

Wants = Literal["features", "patches", "both", "shuffled"]
"""The features alone; the patch alone; both; the features of the case with shuffled voxels."""


@dataclass(frozen=True)
class CaseTask:
    """All that decides what a case gives: its files or folders (empty where there is none), segment and settings.

    `series` is the CT's SeriesInstanceUID where its DICOM folder holds several, else empty.
    `seed` is that of the shuffled voxels and decides nothing else.
    """

    case_id: str
    ct: str
    mask: str
    segment: str
    lung_mask: str
    repeat_mask: str
    preprocessing: Preprocessing
    shell_mm: float
    series: str = ""
    wants: Wants = "both"
    seed: int = 0

    @property
    def files(self) -> dict[str, str]:
        """Column of a cohort table -> path of the file or folder, empty where there is none."""
        return {"ct": self.ct, "mask": self.mask, "lung_mask": self.lung_mask, "repeat_mask": self.repeat_mask}


@dataclass(frozen=True)
class CaseRecord:
    """What one case gives a study: 1702 features, the patch (160, 160) in HU (each empty where it was not wanted),
    features from the second mask, quality codes; or the error."""

    case_id: str
    features: np.ndarray = field(default_factory=lambda: np.empty(0))
    patch: np.ndarray = field(default_factory=lambda: np.empty(0))
    repeat: np.ndarray | None = None
    quality: tuple[str, ...] = ()
    synthetic: bool = False
    error: str = ""
