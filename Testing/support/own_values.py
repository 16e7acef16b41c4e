"""The project's own extraction without its refusals: a feature without a value is NaN, as pyradiomics has it."""

from __future__ import annotations

import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.radscore.engine.compiled import compile_steps
from DeepRadScoreLib.radscore.names import REGIONS, Region


def own_values(prepared: PreparedCase, threads: int = 1) -> dict[Region, dict[str, float]]:
    """Region -> the 851 features by pyradiomics' names."""
    run_to_end(compile_steps())
    from DeepRadScoreLib.radscore.engine.intensity import region_steps

    image = sitk.GetArrayViewFromImage(prepared.image)
    masks = {region: sitk.GetArrayViewFromImage(getattr(prepared, region)) for region in REGIONS}
    return run_to_end(region_steps(image, masks, prepared.image.GetSpacing(), threads))
