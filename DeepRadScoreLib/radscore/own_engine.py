"""Feature extraction by the project's own engine, in short steps: pyradiomics' values without pyradiomics."""

from __future__ import annotations

from collections.abc import Generator

import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.radscore.engine.compiled import compile_steps
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.radscore.regions import checked_regions, finite_columns


def own_feature_steps(prepared: PreparedCase, threads: int = 1) -> Generator[str, None, dict[str, float]]:
    """The 1702 feature columns of a case, as `extraction.feature_steps`; they do not depend on the number of threads.

    Raises
    ------
    RegionError: as `extraction.feature_steps`.
    MissingPackageError: numba is missing or cannot compile the engine.
    """
    yield "checking the regions"
    regions = checked_regions(prepared)
    spacing = prepared.image.GetSpacing()
    image = sitk.GetArrayViewFromImage(prepared.image)
    masks = {region.name: sitk.GetArrayViewFromImage(region.mask) for region in regions}
    yield from compile_steps()
    yield "loading the extraction of features"
    from DeepRadScoreLib.radscore.engine.intensity import region_steps

    try:
        measured = yield from region_steps(image, masks, spacing, threads)
    except ValueError as error:
        raise RegionError(str(error), where=prepared.case_id, mend="check the values of the CT there") from error
    values: dict[str, float] = {}
    for region in regions:
        values |= finite_columns(measured[region.name], region)
    return {column: values[column] for column in FEATURE_COLUMNS}
