"""The project's own extraction without its refusals: a feature without a value is NaN, as pyradiomics has it."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.radscore.engine.compiled import compile_steps
from DeepRadScoreLib.radscore.engine.shape import shape_features
from DeepRadScoreLib.radscore.names import REGIONS, Region


def own_values(prepared: PreparedCase, threads: int = 1) -> dict[Region, dict[str, float]]:
    """Region -> the 851 features by pyradiomics' names."""
    run_to_end(compile_steps())
    from DeepRadScoreLib.radscore.engine.intensity import image_steps

    spacing = prepared.image.GetSpacing()
    image = sitk.GetArrayViewFromImage(prepared.image)
    masks = {region: sitk.GetArrayViewFromImage(getattr(prepared, region)) for region in REGIONS}
    measured = run_to_end(image_steps(image, masks, float(np.prod(spacing)), threads))
    shapes = {region: shape_features(mask, spacing) for region, mask in masks.items()}
    return {
        region: {f"original_shape_{name}": value for name, value in shapes[region].items()} | measured[region]
        for region in REGIONS
    }
