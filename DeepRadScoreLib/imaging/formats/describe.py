"""A description of an image file in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.formats.files import read_image
from DeepRadScoreLib.imaging.formats.label_names import label_names
from DeepRadScoreLib.imaging.masks.segments import mask_content
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL, is_synthetic
from DeepRadScoreLib.numerals import counted


def describe_image(path: Path) -> dict[str, str]:
    """Describe a CT or mask file: size, spacing (mm), value range, and its segments or labels.

    Raises
    ------
    InputError: the file cannot be read.
    """
    image = read_image(path)
    lines = {
        "file": path.name,
        "size": " x ".join(map(str, image.GetSize())),
        "spacing": " x ".join(f"{value:g}" for value in image.GetSpacing()) + " mm",
        "pixel type": image.GetPixelIDTypeAsString(),
    }
    if is_synthetic(image):
        lines["origin"] = SYNTHETIC_LABEL
    values = sitk.GetArrayViewFromImage(image)
    lines["values"] = f"{values.min():g} to {values.max():g}"
    if np.issubdtype(values.dtype, np.integer) and values.min() >= 0 and 0 < values.max() < 256:
        content = mask_content(image, where=path, names=label_names(path))
        volume = float(np.prod(image.GetSpacing())) / 1000.0
        for segment in content.segments:
            voxels = int(sitk.GetArrayFromImage(content.binary(segment)).sum())
            lines[segment.name] = f"{counted(voxels, 'voxel')}, {voxels * volume:.2f} mL"
    return lines
