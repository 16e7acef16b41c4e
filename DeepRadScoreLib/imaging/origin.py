"""Where an image comes from: the mark that a synthetic CT carries."""

from __future__ import annotations

import SimpleITK as sitk

SYNTHETIC_KEY = "DeepRadScore_synthetic"


def is_synthetic(image: sitk.Image) -> bool:
    """Whether a CT carries the mark of the synthetic cohort."""
    return image.HasMetaDataKey(SYNTHETIC_KEY)
