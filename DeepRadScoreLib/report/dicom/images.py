"""The image objects: tumour and shell as SEG, Grad-CAM as parametric map."""

from __future__ import annotations

from collections.abc import Sequence

import highdicom as hd
import numpy as np
import SimpleITK as sitk
from pydicom.sr.coding import Code

from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.imaging import DeepPatch, PreparedCase
from DeepRadScoreLib.imaging.geometry import direction_of
from DeepRadScoreLib.report.dicom import codes
from DeepRadScoreLib.report.dicom.origin import NAME, Origin
from DeepRadScoreLib.report.figures import SHELL_COLOUR, TUMOUR_COLOUR
from DeepRadScoreLib.version import __version__

SEG_SERIES, MAP_SERIES = 7101, 7103
"""Series numbers."""
TUMOUR, SHELL = 1, 2
"""Segment numbers in the SEG of the regions."""


def regions_seg(origin: Origin, prepared: PreparedCase) -> hd.seg.Segmentation:
    """Tumour and shell as they were measured: two segments on the 1 mm lattice.

    The lattice has the voxels from which features and volumes are computed; on the CT's grid, with thick slices, the
    shell would have none above and below. Frames lie in the CT's frame of reference and refer to its series.
    """
    return _seg(
        origin,
        "regions",
        1,
        [prepared.tumour, prepared.peritumoral],
        [
            _tumour(origin, f"put onto a lattice of 1 mm ({prepared.preprocessing})"),
            _description(
                origin,
                SHELL,
                f"Shell {prepared.shell_mm:g} mm",
                (codes.SPATIAL_CONCEPT, codes.SHELL),
                f"voxels up to {prepared.shell_mm:g} mm from the tumour",
                SHELL_COLOUR,
                "AUTOMATIC",
            ),
        ],
    )


def tumour_seg(origin: Origin, tumour: sitk.Image) -> hd.seg.Segmentation:
    """The tumour as it was outlined, on the CT's grid: for viewers that show a SEG only on the CT's slices."""
    return _seg(origin, "tumour", 2, [tumour], [_tumour(origin, "taken from the mask that was given")])


def heat_map(origin: Origin, patch: DeepPatch, key: str, heat: np.ndarray, instance: int) -> hd.pm.ParametricMap:
    """One endpoint's Grad-CAM as a parametric map on the deep patch: one frame of 160 x 160 pixels, float32, 0..1.

    Parameters
    ----------
    heat: (160, 160), rows y, columns x, on the pixels of `patch`.
    instance: number of the map in its series.
    """
    spacing, axes = patch.image.GetSpacing(), direction_of(patch.image)
    made = hd.pm.ParametricMap(
        source_images=list(origin.images),
        pixel_array=np.asarray(heat, dtype=np.float32)[None],
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            hd.pm.RealWorldValueMapping(
                lut_label=f"Grad-CAM {key}"[: codes.MAX_SH],
                lut_explanation=origin.described(f"Grad-CAM {key}, share of maximum"),
                unit=codes.NO_UNITS,
                value_range=(0.0, 1.0),
                slope=1.0,
                intercept=0.0,
                quantity_definition=codes.GRAD_CAM,
            )
        ],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
        pixel_measures=hd.PixelMeasuresSequence(spacing[1::-1], spacing[2], spacing[2]),
        plane_orientation=hd.PlaneOrientationSequence("PATIENT", axes[:, :2].T.ravel().tolist()),
        plane_positions=[hd.PlanePositionSequence("PATIENT", patch.image.GetOrigin())],
        content_label=f"GRADCAM_{key}",
        content_description=origin.described(f"Grad-CAM, {BY_KEY[key].name}"),
        **origin.common(f"gradcam {key}", "gradcam", MAP_SERIES, f"{NAME} Grad-CAM", instance=instance),
    )
    made.BodyPartExamined = "CHEST"
    origin.finish(made)
    return made


def _volume(masks: Sequence[sitk.Image], origin: Origin) -> hd.Volume:
    """Masks on one grid as a highdicom volume: slices, rows, columns, segments."""
    grid = masks[0]
    return hd.Volume.from_components(
        np.stack([sitk.GetArrayFromImage(mask) for mask in masks], axis=-1).astype(np.uint8),
        direction=direction_of(grid)[:, ::-1].ravel().tolist(),
        position=grid.GetOrigin(),
        spacing=grid.GetSpacing()[::-1],
        coordinate_system="PATIENT",
        frame_of_reference_uid=origin.images[0].FrameOfReferenceUID,
        channels={"SegmentNumber": list(range(1, len(masks) + 1))},
    )


def _seg(
    origin: Origin, role: str, instance: int, masks: Sequence[sitk.Image], segments: Sequence[hd.seg.SegmentDescription]
) -> hd.seg.Segmentation:
    made = hd.seg.Segmentation(
        source_images=list(origin.images),
        pixel_array=_volume(masks, origin),
        segmentation_type="BINARY",
        segment_descriptions=segments,
        content_label=role.upper(),
        content_description=origin.described("tumour and shell, 1 mm" if len(masks) > 1 else "tumour on the CT's grid"),
        **origin.common(role, "segments", SEG_SERIES, f"{NAME} tumour and shell", instance=instance),
    )
    origin.finish(made)
    return made


def _tumour(origin: Origin, how: str) -> hd.seg.SegmentDescription:
    kind = (codes.ABNORMAL_STRUCTURE, codes.NEOPLASM)
    return _description(origin, TUMOUR, "Tumour", kind, f"outlined by the user, {how}", TUMOUR_COLOUR, "SEMIAUTOMATIC")


def _description(
    origin: Origin, number: int, label: str, kind: tuple[Code, Code], how: str, colour: str, made: str
) -> hd.seg.SegmentDescription:
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label if origin.label is None else f"{label} ({origin.label})",
        segmented_property_category=kind[0],
        segmented_property_type=kind[1],
        algorithm_type=made,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=f"{NAME}: {how}"[: codes.MAX_LO], family=codes.COMPUTED, version=__version__
        ),
        tracking_uid=origin.uid(f"tracking {number}"),
        tracking_id=f"{NAME} {label}",
        anatomic_regions=[codes.LUNG],
        display_color=hd.color.CIELabColor.from_rgb(*bytes.fromhex(colour[1:])),
    )
