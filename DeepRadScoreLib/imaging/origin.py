"""The mark of a synthetic CT, and the label of every result that is made from one."""

from __future__ import annotations

import SimpleITK as sitk

SYNTHETIC_KEY = "DeepRadScore_synthetic"
SYNTHETIC_LABEL = "synthetic: not for patients"


def is_synthetic(image: sitk.Image) -> bool:
    """Whether a CT carries the mark of the synthetic cohort."""
    return image.HasMetaDataKey(SYNTHETIC_KEY)


def synthetic_label(synthetic: bool) -> str | None:
    """The label of results from synthetic cases; None for results from patients."""
    return SYNTHETIC_LABEL if synthetic else None
