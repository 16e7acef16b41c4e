"""A CT of any number of slices with a round tumour of any volume, made slice by slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

PIXELS = 512


def write_big_case(
    folder: Path, *, slices: int, volume_ml: float, spacing: tuple[float, float, float] = (0.7, 0.7, 0.6)
) -> tuple[Path, Path]:
    """Write `ct.nrrd` and `mask.nrrd`: 512 x 512 pixels, a body with lungs in air, and noise.

    Parameters
    ----------
    spacing: mm along x, y, z. A tumour that is larger than the image is cut off by its ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "ct.nrrd", folder / "mask.nrrd"
    for array, path in zip(_voxels(slices, volume_ml, spacing), paths, strict=True):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing)
        sitk.WriteImage(image, str(path))
    return paths


def write_big_study(
    folder: Path, *, slices: int, volume_ml: float, spacing: tuple[float, float, float] = (0.7, 0.7, 0.6)
) -> None:
    """Write the same case as a DICOM series in `ct` and a SEG, `seg.dcm`, with a frame for each slice of the tumour."""
    from support.dicom_mask_makers import seg_file
    from support.dicom_phantoms import ct_series, save

    ct, mask = _voxels(slices, volume_ml, spacing)
    tags = dict.fromkeys(("PatientSex", "StudyTime", "StudyID", "Manufacturer", "PositionReferenceIndicator"), "")
    series = ct_series(ct, spacing=spacing, BitsStored=12, HighBit=11, **tags)
    save(series, folder / "ct", seed=1)
    seg_file(folder / "seg.dcm", series, mask)


def _voxels(slices: int, volume_ml: float, spacing: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    ct = np.empty((slices, PIXELS, PIXELS), np.int16)
    mask = np.empty(ct.shape, np.uint8)
    y, x = (np.arange(PIXELS) - PIXELS / 2).reshape(-1, 1), (np.arange(PIXELS) - PIXELS / 2).reshape(1, -1)
    plane = np.full((PIXELS, PIXELS), -1000.0)
    plane[(x / 230) ** 2 + (y / 170) ** 2 < 1] = 20
    for side in (-96, 96):
        plane[((x - side) / 80) ** 2 + (y / 120) ** 2 < 1] = -850
    noise = np.random.default_rng(0).normal(0, 25, plane.shape)
    radius = (3000 * volume_ml / (4 * np.pi)) ** (1 / 3)
    in_plane = ((x + 96) * spacing[0]) ** 2 + (y * spacing[1]) ** 2
    for k in range(slices):
        inside = in_plane + ((k - slices / 2) * spacing[2]) ** 2 < radius**2
        ct[k] = np.round(np.where(inside, 40, plane) + np.roll(noise, 7 * k, axis=k % 2))
        mask[k] = inside
    return ct, mask
