"""Slicer's segmentations (`.seg.nrrd`) of all its versions: their header's fields, and the older form as the newer one.

What Slicer's own reader makes of a file is right (vtkMRMLSegmentationStorageNode in Slicer's sources).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, Where
from DeepRadScoreLib.imaging.grids.geometry import direction_of, image_like, with_geometry

OLDER_EXTENT = "Segmentation_Extent"
TO_LPS = np.diag([-1.0, -1.0, 1.0])
MEND = "load it in 3D Slicer and save it again"


def segment_fields(mask: sitk.Image) -> Iterator[dict[str, str]]:
    """The header's fields ID, Name, Layer, LabelValue and Extent of each segment, as far as they are there."""
    number = 0
    while True:
        prefix = f"Segment{number}_"
        fields = {
            key: mask.GetMetaData(prefix + key)
            for key in ("ID", "Name", "Layer", "LabelValue", "Extent")
            if mask.HasMetaDataKey(prefix + key)
        }
        if not {"ID", "Name"} & fields.keys():
            return
        yield fields
        number += 1


def whole_number(text: str, field: str, where: Where) -> int:
    """The number in a field of the header. Raises InputError where it is none."""
    if not re.fullmatch(r"\s*[+-]?\d{1,9}\s*", text):
        raise InputError(f'the field {field} is "{text[:40]}", no whole number', where=where, mend=MEND)
    return int(text)


def extent_of(text: str, field: str, where: Where) -> np.ndarray:
    """An extent "0 9 0 7 0 5" as first and last index, (2, 3), along x, y, z. Raises InputError where it is none."""
    words = text.split()
    if len(words) != 6:
        raise InputError(f'the field {field} is "{text[:60]}", not six whole numbers', where=where, mend=MEND)
    return np.array([whole_number(word, field, where) for word in words]).reshape(3, 2).T


def clipped(layer: sitk.Image, extent: np.ndarray) -> sitk.Image:
    """A layer with 0 outside of an extent, see `extent_of`; the image itself where nothing changes."""
    first, last = np.maximum(extent[0], 0), np.minimum(extent[1] + 1, layer.GetSize())
    if (first <= 0).all() and (last >= layer.GetSize()).all():
        return layer
    labels = sitk.GetArrayViewFromImage(layer)
    inside = tuple(
        slice(low, max(high, low)) for low, high in zip(first[::-1].tolist(), last[::-1].tolist(), strict=True)
    )
    kept = np.zeros_like(labels)
    kept[inside] = labels[inside]
    return image_like(kept, layer)


def from_older_form(image: sitk.Image, where: Where) -> sitk.Image:
    """A segmentation as Slicer wrote it until 2018, in today's form; any other image as it is.

    The older form has a fourth axis for the segments. Origin and directions are in RAS, and the first voxel's index is
    that at which the field `Segmentation_Extent` begins.

    Raises
    ------
    InputError: fields that contradict each other or the image.
    """
    axes = image.GetDimension()
    if not image.HasMetaDataKey(OLDER_EXTENT):
        if axes == 4 and image.HasMetaDataKey("Segment0_ID"):
            raise InputError(f"the header lacks the field {OLDER_EXTENT}", where=where, mend=MEND)
        return image
    if image.GetNumberOfComponentsPerPixel() > 1 or axes not in (3, 4):
        what = f"the field {OLDER_EXTENT} is one of the older form with four axes, which the image has not"
        raise InputError(what, where=where, mend=MEND)
    size = np.array(image.GetSize()[:3])
    start = extent_of(image.GetMetaData(OLDER_EXTENT), OLDER_EXTENT, where)[0]
    layers = [image[:, :, :, n] for n in range(image.GetSize()[3])] if axes == 4 else [image]
    made = [_placed(layer, image, start) for layer in layers]
    made_image = sitk.Compose(made) if len(made) > 1 else made[0]
    for number, fields in enumerate(segment_fields(image)):
        field = f"Segment{number}_Extent"
        extent = (
            extent_of(fields["Extent"], field, where) - start if "Extent" in fields else np.array([0 * size, size - 1])
        )
        filled = (extent[0] <= extent[1]).all()
        if filled and ((extent[0] < 0).any() or (extent[1] >= size).any()):
            raise InputError(f"the field {field} leaves the image", where=where, mend=MEND)
        fields |= {"Extent": " ".join(map(str, extent.T.ravel().tolist())), "Layer": str(number), "LabelValue": "1"}
        for key, value in fields.items():
            made_image.SetMetaData(f"Segment{number}_{key}", value)
    return made_image


def _placed(layer: sitk.Image, image: sitk.Image, start: np.ndarray) -> sitk.Image:
    """A layer of an image in the older form, in LPS."""
    axes = image.GetDimension()
    spacing = np.array(image.GetSpacing()[:3])
    direction = np.array(image.GetDirection()).reshape(axes, axes)[:3, :3] if axes == 4 else direction_of(image)
    origin = np.array(image.GetOrigin()[:3]) + direction @ (spacing * start)
    plain = sitk.GetImageFromArray(sitk.GetArrayViewFromImage(layer))
    return with_geometry(plain, spacing.tolist(), (TO_LPS @ origin).tolist(), TO_LPS @ direction)
