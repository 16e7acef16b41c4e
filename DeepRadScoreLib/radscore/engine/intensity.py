"""The features of a case's regions, in short steps, several regions and image types at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np

from DeepRadScoreLib.radscore.engine.counts import TextureCounts
from DeepRadScoreLib.radscore.engine.first_order import first_order_features
from DeepRadScoreLib.radscore.engine.glcm import glcm_features
from DeepRadScoreLib.radscore.engine.levels import Corner, Levels, RegionVoxels
from DeepRadScoreLib.radscore.engine.ngtdm import ngtdm_features
from DeepRadScoreLib.radscore.engine.shape import shape_features
from DeepRadScoreLib.radscore.engine.size_matrices import gldm_features, glrlm_features, glszm_features
from DeepRadScoreLib.radscore.engine.wavelet import SubBands
from DeepRadScoreLib.radscore.names import IMAGE_TYPES, Region

Values = dict[str, float]
SHAPE = "shape"
MIN_VOXELS_FOR_THREADS = 20_000
"""Voxels of both regions under which one thread is faster than two."""


def region_steps(
    image: np.ndarray, masks: Mapping[Region, np.ndarray], spacing: tuple[float, float, float], threads: int
) -> Generator[str, None, dict[Region, Values]]:
    """Region -> "image type_class_feature" -> value: its shape, and the original image and its eight sub-bands in it.

    image, masks: (z, y, x) on one grid; each region has at least one voxel.
    spacing: size of a voxel in mm, x y z.
    threads: how many regions and image types are measured at a time; the values do not depend on it.

    Raises
    ------
    ValueError: the values of a region span too many grey levels, or are not finite.
    """
    yield "wavelet transform"
    regions = {name: RegionVoxels.of(mask) for name, mask in masks.items()}
    bands = SubBands(image, *_common_box(regions))
    voxel_mm3 = float(np.prod(spacing))

    def measure(name: Region, what: str) -> Values:
        if what == SHAPE:
            return {f"original_shape_{feature}": v for feature, v in shape_features(masks[name], spacing).items()}
        region = regions[name]
        band = what.removeprefix("wavelet-")
        values = image[region.voxels] if what == "original" else bands.at(band, region.voxels)
        found = intensity_features(values, region, voxel_mm3)
        return {f"{what}_{feature}": value for feature, value in found.items()}

    tasks = [(name, what) for what in (SHAPE, *IMAGE_TYPES) for name in regions]
    voxels = sum(len(region.positions) for region in regions.values())
    measured = _in_order(measure, tasks, threads if voxels >= MIN_VOXELS_FOR_THREADS else 1)
    found: dict[Region, Values] = {name: {} for name in regions}
    with closing(measured):
        for name, what in tasks:
            yield f"{what} of the {name} region"
            found[name] |= next(measured)
    return found


def _in_order(
    measure: Callable[[Region, str], Values], tasks: Sequence[tuple[Region, str]], threads: int
) -> Generator[Values, None, None]:
    """The results of tasks, in order; closing it leaves out those that are not begun."""
    if threads == 1:
        yield from itertools.starmap(measure, tasks)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        for future in [pool.submit(measure, *task) for task in tasks]:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


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
