"""Grad-CAM as DICOM parametric map."""

from __future__ import annotations

import numpy as np
from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence, VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping

from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.imaging import DeepPatch
from DeepRadScoreLib.imaging.geometry import direction_of
from DeepRadScoreLib.report.dicom import vocabulary as said
from DeepRadScoreLib.report.dicom.origin import NAME, Origin

SERIES_NUMBER = 7103


def heat_map(origin: Origin, patch: DeepPatch, key: str, heat: np.ndarray, instance: int) -> ParametricMap:
    """One endpoint's Grad-CAM at the place of the deep patch: one frame of 160 x 160 pixels, float32, 0..1.

    Parameters
    ----------
    heat: (160, 160), rows y, columns x, on the pixels of `patch`.
    instance: the number of the map in its series.
    """
    spacing = patch.image.GetSpacing()
    along = direction_of(patch.image)
    made = ParametricMap(
        source_images=list(origin.images),
        pixel_array=np.asarray(heat, dtype=np.float32)[None],
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            RealWorldValueMapping(
                lut_label=f"Grad-CAM {key}"[: said.SHORT],
                lut_explanation=origin.described(f"Grad-CAM {key}, share of maximum"),
                unit=said.NO_UNITS,
                value_range=(0.0, 1.0),
                slope=1.0,
                intercept=0.0,
                quantity_definition=said.GRAD_CAM,
            )
        ],
        voi_lut_transformations=[VOILUTTransformation(window_center=0.5, window_width=1.0)],
        pixel_measures=PixelMeasuresSequence(spacing[1::-1], spacing[2], spacing[2]),
        plane_orientation=PlaneOrientationSequence("PATIENT", along[:, :2].T.ravel().tolist()),
        plane_positions=[PlanePositionSequence("PATIENT", patch.image.GetOrigin())],
        content_label=f"GRADCAM_{key}",
        content_description=origin.described(f"Grad-CAM, {BY_KEY[key].name}"),
        **origin.common(f"gradcam {key}", "gradcam", SERIES_NUMBER, f"{NAME} Grad-CAM", instance=instance),
    )
    made.BodyPartExamined = "CHEST"
    origin.finish(made)
    return made
