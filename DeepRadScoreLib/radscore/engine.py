"""The extraction room: pyradiomics on the prepared image, in short steps, both regions in one pass.

This is the only place that knows pyradiomics; another engine replaces `feature_steps` and nothing else.
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
from DeepRadScoreLib.radscore.names import (
    FEATURE_COLUMNS,
    FEATURES_OF_CLASS,
    IMAGE_TYPES,
    INTENSITY_CLASSES,
    REGIONS,
    SHAPE,
    Region,
)
from DeepRadScoreLib.stepping import run_to_end

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
"""What pyradiomics is given here. Interpolator and padDistance belong to resampling, which is done before."""

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
    wavelet transform is computed once for both regions. Before each step its label is yielded; the value of the
    generator is the dictionary of the 1702 columns in the order of `FEATURE_COLUMNS`.

    Raises
    ------
    RegionError: a region that pyradiomics would refuse (empty, one voxel, or voxels in one direction only), or one for
        which a feature has no finite value. Such values are refused, not replaced: a score cannot be read from them.
    MissingPackageError: radiomics is not installed.
    """
    radiomics = _radiomics()
    extractor = {name: _extractor(radiomics, name) for name in FEATURES_OF_CLASS}
    values: dict[str, float] = {}

    yield "checking the regions"
    regions = [_checked_region(radiomics, prepared, name) for name in REGIONS]

    for region in regions:
        yield f"shape of the {region.name} region"
        with _quiet():
            found = extractor[SHAPE].computeShape(prepared.image, region.mask, region.bounding_box, **SETTINGS)
        values.update(_finite(found, region.name, prepared.case_id))

    yield "wavelet transform"
    images = {"original": prepared.image, **_sub_bands(radiomics, prepared.image)}
    for image_type in IMAGE_TYPES:
        image = images.pop(image_type)
        for region in regions:
            crop, crop_mask = radiomics.imageoperations.cropToTumorMask(image, region.mask, region.bounding_box)
            for feature_class in INTENSITY_CLASSES:
                yield f"{image_type} {feature_class} of the {region.name} region"
                with _quiet():
                    found = extractor[feature_class].computeFeatures(crop, crop_mask, image_type, **SETTINGS)
                values.update(_finite(found, region.name, prepared.case_id))

    return {column: values[column] for column in FEATURE_COLUMNS}


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
    """The region with pyradiomics' pixel type and bounding box (x, x, y, y, z, z), after pyradiomics' own checks."""
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
        what = (
            f"the feature {bad[0].removeprefix(region + '_')} has no finite value, the region is too small or too even"
        )
        raise RegionError(what, where=f"{case_id}, {region} region", mend=MEND[region])
    return columns


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pyradiomics' log and numpy's warnings away: what matters of them becomes a RegionError."""
    logger = logging.getLogger("radiomics")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        logger.setLevel(level)
