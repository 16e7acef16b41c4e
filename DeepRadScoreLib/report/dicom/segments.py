"""Tumour and shell as DICOM SEG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from highdicom import AlgorithmIdentificationSequence, Volume
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.coding import Code

from DeepRadScoreLib.imaging import PreparedCase
from DeepRadScoreLib.imaging.geometry import direction_of
from DeepRadScoreLib.report.dicom import vocabulary as said
from DeepRadScoreLib.report.dicom.origin import NAME, Origin
from DeepRadScoreLib.report.figures import SHELL_COLOUR, TUMOUR_COLOUR
from DeepRadScoreLib.version import __version__

SERIES_NUMBER = 7101
TUMOUR, SHELL = 1, 2
"""Segment numbers in the SEG of the regions."""


def regions_seg(origin: Origin, prepared: PreparedCase) -> Segmentation:
    """Tumour and shell as they were measured: two segments on the 1 mm lattice.

    The CT's own grid has nothing above and below where slices are thick; on the lattice the segments hold the very
    voxels that features and volumes are made of. Its frames lie in the CT's frame of reference and refer to its series.
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
                (said.SPATIAL_CONCEPT, said.SHELL),
                f"voxels up to {prepared.shell_mm:g} mm from the tumour",
                SHELL_COLOUR,
                "AUTOMATIC",
            ),
        ],
    )


def tumour_seg(origin: Origin, tumour: sitk.Image) -> Segmentation:
    """The tumour as it was outlined, on the CT's own grid: for viewers that show a SEG on the CT's slices only."""
    return _seg(origin, "tumour", 2, [tumour], [_tumour(origin, "taken from the mask that was given")])


def volume_of(arrays: Sequence[sitk.Image], origin: Origin) -> Volume:
    """Masks on one grid as a highdicom volume: slices, rows, columns, segments."""
    grid = arrays[0]
    axes = direction_of(grid) * np.array(grid.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes[:, ::-1], grid.GetOrigin()
    stacked = np.stack([sitk.GetArrayFromImage(image) for image in arrays], axis=-1).astype(np.uint8)
    return Volume(
        stacked,
        affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=origin.images[0].FrameOfReferenceUID,
        channels={"SegmentNumber": list(range(1, len(arrays) + 1))},
    )


def _seg(
    origin: Origin, role: str, instance: int, masks: Sequence[sitk.Image], described: Sequence[SegmentDescription]
) -> Segmentation:
    made = Segmentation(
        source_images=list(origin.images),
        pixel_array=volume_of(masks, origin),
        segmentation_type="BINARY",
        segment_descriptions=described,
        content_label=role.upper(),
        content_description=origin.described("tumour and shell, 1 mm" if len(masks) > 1 else "tumour on the CT's grid"),
        **origin.common(role, "segments", SERIES_NUMBER, f"{NAME} tumour and shell", instance=instance),
    )
    origin.finish(made)
    return made


def _tumour(origin: Origin, how: str) -> SegmentDescription:
    kind = (said.ABNORMAL_STRUCTURE, said.NEOPLASM)
    return _description(origin, TUMOUR, "Tumour", kind, f"outlined by the user, {how}", TUMOUR_COLOUR, "SEMIAUTOMATIC")


def _description(
    origin: Origin, number: int, label: str, kind: tuple[Code, Code], how: str, colour: str, made: str
) -> SegmentDescription:
    rgb = [int(colour[n : n + 2], 16) for n in (1, 3, 5)]
    return SegmentDescription(
        segment_number=number,
        segment_label=label if origin.label is None else f"{label} ({origin.label})",
        segmented_property_category=kind[0],
        segmented_property_type=kind[1],
        algorithm_type=made,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=f"{NAME}: {how}"[: said.LONG], family=said.COMPUTED, version=__version__
        ),
        tracking_uid=origin.uid(f"tracking {number}"),
        tracking_id=f"{NAME} {label}",
        anatomic_regions=[said.LUNG],
        display_color=CIELabColor.from_rgb(*rgb),
    )
