"""Feature extraction by pyradiomics from a prepared case, in short steps, both regions in one pass.

No other module imports pyradiomics; another engine replaces `feature_steps` and nothing else.
"""

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

from DeepRadScoreLib.errors import MissingPackageError, RegionError
from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.radscore import names
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, REGIONS, SHAPE, Region

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

MEND: dict[Region, str] = {
    "tumour": "segment a tumour that is at least a few voxels wide in two directions on the 1 mm lattice",
    "peritumoral": "make the shell thicker, or leave out the lung mask or the neighbours that take it away",
}


@dataclass(frozen=True)
class _Region:
    name: Region
    mask: sitk.Image
    bounding_box: np.ndarray


def extract_features(prepared: PreparedCase) -> dict[str, float]:
    """The 1702 feature columns of a case, in the order of `FEATURE_COLUMNS`; see `feature_steps`."""
    return run_to_end(feature_steps(prepared))


def feature_steps(prepared: PreparedCase) -> Generator[str, None, dict[str, float]]:
    """Extract the 851 features of the tumour and of its shell, step by step.

    The values are those of `RadiomicsFeatureExtractor.execute` with `SETTINGS` on `prepared.image` and each mask; the
    wavelet transform is computed once for both regions. Each label is yielded before its step; the value of
    the generator is the dictionary of the 1702 columns in the order of `FEATURE_COLUMNS`.

    Raises
    ------
    RegionError: a region that pyradiomics would refuse (empty, one voxel, or voxels in one direction only), or one for
        which a feature has no finite value. Such values are refused, not replaced: a score cannot be read from them.
    MissingPackageError: radiomics is not installed.
    """
    yield "loading pyradiomics and checking the regions"
    radiomics = _radiomics()
    extractor = {name: _extractor(radiomics, name) for name in names.FEATURES_OF_CLASS if name != GLCM}
    values: dict[str, float] = {}
    regions = [_checked_region(radiomics, prepared, name) for name in REGIONS]

    for region in regions:
        yield f"shape of the {region.name} region"
        with _quiet():
            found = extractor[SHAPE].computeShape(prepared.image, region.mask, region.bounding_box, **SETTINGS)
        values.update(_finite(found, region.name, prepared.case_id))

    yield "wavelet transform"
    images = {"original": prepared.image, **_sub_bands(radiomics, prepared.image)}
    for image_type in names.IMAGE_TYPES:
        image = images.pop(image_type)
        for region in regions:
            crop, crop_mask = radiomics.imageoperations.cropToTumorMask(image, region.mask, region.bounding_box)
            for feature_class in names.INTENSITY_CLASSES:
                label = f"{image_type} {feature_class} of the {region.name} region"
                yield label
                if feature_class == GLCM:
                    found = yield from _glcm_steps(radiomics, crop, crop_mask, image_type, label)
                else:
                    with _quiet():
                        found = extractor[feature_class].computeFeatures(crop, crop_mask, image_type, **SETTINGS)
                values.update(_finite(found, region.name, prepared.case_id))

    return {column: values[column] for column in FEATURE_COLUMNS}


def _glcm_steps(
    radiomics: ModuleType, crop: sitk.Image, mask: sitk.Image, image_type: str, label: str
) -> Generator[str, None, dict[str, float]]:
    """The features that `computeFeatures` gives for the class glcm, in several steps where there are many grey levels.

    The caller has yielded the label of the first step, which computes the matrices; the others begin with `label`.
    """
    with _quiet():
        glcm = radiomics.featureextractor.getFeatureClasses()[GLCM](crop, mask, **SETTINGS)
        glcm.enableAllFeatures()
        glcm.enableFeatureByName(MCC, False)
        calculation = glcm._calculateFeatures()
        found = [next(calculation)]
    levels, angles = glcm.P_glcm.shape[2:]
    if levels > FEW_LEVELS:
        yield f"{label}, features"
    with _quiet():
        found += calculation
    eigenvalues: list[np.ndarray] = []
    at_once = max(LEVELS_CUBED_AT_ONCE // max(levels, 1) ** 3, 1)
    for first in range(0, angles, at_once):
        last = min(first + at_once, angles)
        if levels > FEW_LEVELS:
            yield f"{label}, MCC of angles {first + 1} to {last} of {angles}"
        with _quiet():
            eigenvalues += [_mcc_eigenvalues(glcm, angle) for angle in range(first, last)]
    with _quiet():
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
            "the package that computes the features is not installed",
            where="radiomics",
            mend="run: python -m pip install pyradiomics-bhklab (in 3D Slicer: install the SlicerRadiomics extension)",
        ) from error
    return radiomics


def _extractor(radiomics: ModuleType, feature_class: str) -> Any:
    with _quiet():
        extractor = radiomics.featureextractor.RadiomicsFeatureExtractor(**SETTINGS)
        extractor.disableAllFeatures()
        extractor.enableFeatureClassByName(feature_class)
    return extractor


def _checked_region(radiomics: ModuleType, prepared: PreparedCase, name: Region) -> _Region:
    """The region with pyradiomics' pixel type and bounding box (x, x, y, y, z, z), after pyradiomics' checks."""
    mask: sitk.Image = getattr(prepared, name)
    indices = np.nonzero(sitk.GetArrayViewFromImage(mask))
    where = f"{prepared.case_id}, {name} region"
    if len(indices[0]) == 0:
        raise RegionError("the region has no voxel", where=where, mend=MEND[name])
    wide_axes = sum(int(index.max() > index.min()) for index in indices)
    if wide_axes < 2:
        what = f"the region is a point or a line, too small for texture features (voxels: {len(indices[0])})"
        raise RegionError(what, where=where, mend=MEND[name])
    operations = radiomics.imageoperations
    with _quiet():
        try:
            labels = operations.getMask(mask, **SETTINGS)
            bounding_box, _ = operations.checkMask(prepared.image, labels, **SETTINGS)
        except ValueError as error:
            raise RegionError(f"pyradiomics refuses the region ({error})", where=where, mend=MEND[name]) from error
    return _Region(name, labels, bounding_box)


def _sub_bands(radiomics: ModuleType, image: sitk.Image) -> dict[str, sitk.Image]:
    """The eight sub-bands by pyradiomics' names, float64, on the grid of `image`; the filter looks at no mask."""
    with _quiet():
        return {name: band for band, name, _ in radiomics.imageoperations.getWaveletImage(image, None, **SETTINGS)}


def _finite(found: dict[str, Any], region: Region, case_id: str) -> dict[str, float]:
    columns = {f"{region}_{name}": float(value) for name, value in found.items()}
    bad = [column for column, value in columns.items() if not math.isfinite(value)]
    if bad:
        feature = bad[0].removeprefix(f"{region}_")
        what = f"the feature {feature} has no finite value, the region is too small or too even"
        raise RegionError(what, where=f"{case_id}, {region} region", mend=MEND[region])
    return columns


@contextmanager
def _quiet() -> Iterator[None]:
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
