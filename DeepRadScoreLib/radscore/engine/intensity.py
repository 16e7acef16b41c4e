"""The 2 x 837 intensity and texture features of a case, in short steps, several regions and sub-bands at a time."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from DeepRadScoreLib.radscore.engine.counts import TextureCounts
from DeepRadScoreLib.radscore.engine.first_order import first_order_features
from DeepRadScoreLib.radscore.engine.glcm import glcm_features
from DeepRadScoreLib.radscore.engine.levels import Corner, Levels, RegionVoxels
from DeepRadScoreLib.radscore.engine.ngtdm import ngtdm_features
from DeepRadScoreLib.radscore.engine.size_matrices import gldm_features, glrlm_features, glszm_features
from DeepRadScoreLib.radscore.engine.wavelet import SubBands
from DeepRadScoreLib.radscore.names import IMAGE_TYPES, Region

Values = dict[str, float]
MIN_VOXELS_FOR_THREADS = 20_000
"""Voxels of both regions under which one thread is faster than two."""


def image_steps(
    image: np.ndarray, masks: Mapping[Region, np.ndarray], voxel_mm3: float, threads: int
) -> Generator[str, None, dict[Region, Values]]:
    """Region -> "image type_class_feature" -> value, of the original image and its eight sub-bands.

    image, masks: (z, y, x) on one grid; each region has at least one voxel.
    threads: how many regions and image types are measured at a time; the values do not depend on it.

    Raises
    ------
    ValueError: the values of a region span too many grey levels, or are not finite.
    """
    yield "wavelet transform"
    regions = {name: RegionVoxels.of(mask) for name, mask in masks.items()}
    bands = SubBands(image, *_common_box(regions))
    tasks = [(name, image_type) for name in regions for image_type in IMAGE_TYPES]

    def measure(task: tuple[Region, str]) -> Values:
        name, image_type = task
        region = regions[name]
        band = image_type.removeprefix("wavelet-")
        values = image[region.voxels] if image_type == "original" else bands.at(band, region.voxels)
        found = intensity_features(values, region, voxel_mm3)
        return {f"{image_type}_{feature}": value for feature, value in found.items()}

    voxels = sum(len(region.positions) for region in regions.values())
    at_once = threads if voxels >= MIN_VOXELS_FOR_THREADS else 1
    found: dict[Region, Values] = {name: {} for name in regions}
    with ThreadPoolExecutor(at_once) as pool:
        for first in range(0, len(tasks), at_once):
            batch = tasks[first : first + at_once]
            yield ", ".join(f"{image_type} of the {name} region" for name, image_type in batch)
            measured = pool.map(measure, batch) if len(batch) > 1 else map(measure, batch)
            for (name, _), values in zip(batch, measured, strict=True):
                found[name] |= values
    return found


def intensity_features(values: np.ndarray, region: RegionVoxels, voxel_mm3: float) -> Values:
    """The 93 features of one image type in a region, "class_feature" -> value; `values` (n,) of its voxels."""
    levels = Levels.of(values)
    counts = TextureCounts.of(region, levels)
    classes = {
        "firstorder": first_order_features(values, levels.counts, voxel_mm3),
        "glcm": glcm_features(counts),
        "glrlm": glrlm_features(counts),
        "glszm": glszm_features(counts),
        "ngtdm": ngtdm_features(counts),
        "gldm": gldm_features(counts),
    }
    return {f"{name}_{feature}": value for name, found in classes.items() for feature, value in found.items()}


def _common_box(regions: Mapping[Region, RegionVoxels]) -> tuple[Corner, Corner]:
    """First and last voxel (z, y, x) of the box that holds all regions."""
    z, y, x = np.min([region.first for region in regions.values()], axis=0).tolist()
    last_z, last_y, last_x = np.max([region.last for region in regions.values()], axis=0).tolist()
    return (z, y, x), (last_z, last_y, last_x)
