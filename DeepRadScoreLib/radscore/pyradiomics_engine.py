"""Feature extraction by pyradiomics from a prepared case, in short steps, both regions in one pass."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.extras import install_line
from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.radscore import names
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, SHAPE
from DeepRadScoreLib.radscore.regions import CheckedRegion, checked_regions, finite_columns

SETTINGS: dict[str, Any] = {
    "binWidth": 25,
    "voxelArrayShift": 1000,
    "label": 1,
    "normalize": False,
    "resampledPixelSpacing": None,
    "wavelet": "coif1",
    "level": 1,
    "additionalInfo": False,
}
"""Settings of pyradiomics. Interpolator and padDistance belong to resampling, which is done beforehand."""

GLCM, MCC = "glcm", "MCC"
FEW_LEVELS = 100
"""Grey levels up to which the class glcm takes a single step."""
LEVELS_CUBED_AT_ONCE = 40_000_000
"""Angles times cubed grey levels in one step of the MCC: about 0.1 s."""


@dataclass(frozen=True)
class _Region:
    """A region with its mask in pyradiomics' pixel type, and its bounding box as x, x, y, y, z, z."""

    checked: CheckedRegion
    labels: sitk.Image
    bounding_box: np.ndarray

    @classmethod
    def of(cls, checked: CheckedRegion) -> _Region:
        corners = np.stack([checked.first[::-1], checked.last[::-1]], axis=1)
        return cls(checked, sitk.Cast(checked.mask, sitk.sitkUInt32), corners.ravel())


def pyradiomics_feature_steps(prepared: PreparedCase) -> Generator[str, None, dict[str, float]]:
    """Extract the features by pyradiomics, step by step; see `extraction.feature_steps`.

    The values are those of `RadiomicsFeatureExtractor.execute` with `SETTINGS` on `prepared.image` and each mask; the
    wavelet transform is computed once for both regions.
    """
    yield "loading pyradiomics and checking the regions"
    radiomics = _radiomics()
    extractor = {name: _extractor(radiomics, name) for name in names.FEATURES_OF_CLASS if name != GLCM}
    values: dict[str, float] = {}
    regions = [_Region.of(region) for region in checked_regions(prepared)]

    for region in regions:
        yield f"shape of the {region.checked.name} region"
        with quiet_pyradiomics():
            found = extractor[SHAPE].computeShape(prepared.image, region.labels, region.bounding_box, **SETTINGS)
        values.update(finite_columns(found, region.checked))

    yield "wavelet transform"
    images = {"original": prepared.image, **_sub_bands(radiomics, prepared.image)}
    for image_type in names.IMAGE_TYPES:
        image = images.pop(image_type)
        for region in regions:
            crop, crop_mask = radiomics.imageoperations.cropToTumorMask(image, region.labels, region.bounding_box)
            for feature_class in names.INTENSITY_CLASSES:
                label = f"{image_type} {feature_class} of the {region.checked.name} region"
                yield label
                if feature_class == GLCM:
                    found = yield from _glcm_steps(radiomics, crop, crop_mask, image_type, label)
                else:
                    with quiet_pyradiomics():
                        found = extractor[feature_class].computeFeatures(crop, crop_mask, image_type, **SETTINGS)
                values.update(finite_columns(found, region.checked))

    return {column: values[column] for column in FEATURE_COLUMNS}


def _glcm_steps(
    radiomics: ModuleType, crop: sitk.Image, mask: sitk.Image, image_type: str, label: str
) -> Generator[str, None, dict[str, float]]:
    """The features that `computeFeatures` gives for the class glcm, in several steps where there are many grey levels.

    The caller has yielded the label of the first step, which computes the matrices; the others begin with `label`.
    """
    with quiet_pyradiomics():
        glcm = radiomics.featureextractor.getFeatureClasses()[GLCM](crop, mask, **SETTINGS)
        glcm.enableAllFeatures()
        glcm.enableFeatureByName(MCC, False)
        calculation = glcm._calculateFeatures()
        found = [next(calculation)]
    levels, angles = glcm.P_glcm.shape[2:]
    if levels > FEW_LEVELS:
        yield f"{label}, features"
    with quiet_pyradiomics():
        found += calculation
    eigenvalues: list[np.ndarray] = []
    at_once = max(LEVELS_CUBED_AT_ONCE // max(levels, 1) ** 3, 1)
    for first in range(0, angles, at_once):
        last = min(first + at_once, angles)
        if levels > FEW_LEVELS:
            yield f"{label}, MCC of angles {first + 1} to {last} of {angles}"
        with quiet_pyradiomics():
            eigenvalues += [_mcc_eigenvalues(glcm, angle) for angle in range(first, last)]
    with quiet_pyradiomics():
        found.append((True, MCC, _mcc(eigenvalues, levels)))
    return {f"{image_type}_{GLCM}_{name}": float(np.squeeze(value)) for _, name, value in found}


def _mcc_eigenvalues(glcm: Any, angle: int) -> np.ndarray:
    """Eigenvalues (levels,) of one angle's Q, bit for bit as in `getMCCFeatureValue`; NaN where they are not found."""
    p = glcm.P_glcm[0, ..., angle]
    px, py = (glcm.coefficients[name][0, ..., angle].ravel() for name in ("px", "py"))
    q = np.zeros(p.shape)
    for column, share in zip(np.ascontiguousarray(p.T), py, strict=True):
        q += np.outer(column, column) / (px * share + glcm.coefficients["eps"])[:, None]
    try:
        return np.linalg.eigvals(q)
    except np.linalg.LinAlgError:
        return np.full(len(q), np.nan)


def _mcc(eigenvalues: list[np.ndarray], levels: int) -> float:
    """The maximal correlation coefficient, mean over the angles, from each angle's eigenvalues (levels,) of Q."""
    if np.isnan(eigenvalues).any():
        return math.nan
    if levels < 2:
        return 1.0
    if not eigenvalues:
        return math.nan
    second = np.sort(np.stack(eigenvalues))[:, -2]
    return float(np.nanmean(np.sqrt(second)[None], axis=1).real[0])


def _radiomics() -> ModuleType:
    try:
        import radiomics
        import radiomics.featureextractor
    except ImportError as error:
        raise MissingPackageError(
            f"pyradiomics cannot be imported ({error})",
            mend=f"run: {install_line('pyradiomics')} (in 3D Slicer: install the extension SlicerRadiomics)",
        ) from error
    return radiomics


def _extractor(radiomics: ModuleType, feature_class: str) -> Any:
    with quiet_pyradiomics():
        extractor = radiomics.featureextractor.RadiomicsFeatureExtractor(**SETTINGS)
        extractor.disableAllFeatures()
        extractor.enableFeatureClassByName(feature_class)
    return extractor


def _sub_bands(radiomics: ModuleType, image: sitk.Image) -> dict[str, sitk.Image]:
    """The eight sub-bands by pyradiomics' names, float64, on the grid of `image`; the filter looks at no mask."""
    with quiet_pyradiomics():
        return {name: band for band, name, _ in radiomics.imageoperations.getWaveletImage(image, None, **SETTINGS)}


@contextmanager
def quiet_pyradiomics() -> Iterator[None]:
    """Silence pyradiomics' log and numpy's warnings: what matters in them is raised as a RegionError."""
    logger = logging.getLogger("radiomics")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        logger.setLevel(level)
