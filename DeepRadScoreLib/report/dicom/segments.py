"""Tumour and shell as SEG: on the CT's own slices, and on the 1 mm lattice on which they were measured."""

from __future__ import annotations

from collections.abc import Sequence

import highdicom as hd
import numpy as np
import SimpleITK as sitk
from pydicom.sr.coding import Code

from DeepRadScoreLib.imaging import PreparedCase
from DeepRadScoreLib.imaging.grids.geometry import direction_of
from DeepRadScoreLib.report.dicom import codes
from DeepRadScoreLib.report.dicom.origin import NAME, Origin
from DeepRadScoreLib.report.dicom.slices import RegionsOnSlices
from DeepRadScoreLib.report.figures import SHELL_COLOUR, TUMOUR_COLOUR
from DeepRadScoreLib.version import __version__

TUMOUR, SHELL = 1, 2
"""Segment numbers in both SEG."""


def slices_seg(origin: Origin, regions: RegionsOnSlices, shell_mm: float) -> hd.seg.Segmentation:
    """Tumour and shell as two segments on the CT's own slices, for viewers that show a SEG only there.

    Parameters
    ----------
    regions: the outline as it was given; the shell of the 1 mm lattice at the pixel centres, so that with thick slices
        it may have nothing above and below.
    """
    made = hd.seg.Segmentation(
        source_images=origin.images_of(regions.numbers),
        pixel_array=_in_channels([origin.as_stored(one, regions.numbers) for one in (regions.tumour, regions.shell)]),
        segmentation_type="BINARY",
        segment_descriptions=_segments(origin, "taken from the mask that was given", shell_mm),
        pixel_measures=origin.pixel_measures,
        content_label="TUMOUR",
        content_description=origin.described("tumour and shell on the CT's slices"),
        **origin.common("tumour", 7101, "Tumour and shell"),
    )
    # highdicom 0.28 does not keep those that it is given: between slices with a gap there would be no distance.
    made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = origin.pixel_measures
    return made


def regions_seg(origin: Origin, prepared: PreparedCase) -> hd.seg.Segmentation:
    """Tumour and shell as they were measured: two segments on the 1 mm lattice.

    The lattice has the voxels from which features and volumes are computed; on the CT's grid, with thick slices, the
    shell would have none above and below. Frames lie in the CT's frame of reference and refer to its series.
    """
    how = f"put onto a lattice of 1 mm ({prepared.preprocessing})"
    made = hd.seg.Segmentation(
        source_images=[origin.images[0]],
        pixel_array=_volume([prepared.tumour, prepared.peritumoral], origin),
        segmentation_type="BINARY",
        segment_descriptions=_segments(origin, how, prepared.shell_mm),
        content_label="REGIONS",
        content_description=origin.described("tumour and shell, 1 mm"),
        **origin.common("regions", 7103, "Tumour and shell, 1 mm"),
    )
    made.ReferencedSeriesSequence = [origin.references]
    made.SourceImageSequence = origin.references.ReferencedInstanceSequence
    return made


def _volume(masks: Sequence[sitk.Image], origin: Origin) -> hd.Volume:
    """Masks on one grid as a highdicom volume: slices, rows, columns, segments."""
    grid = masks[0]
    return hd.Volume.from_components(
        _in_channels([sitk.GetArrayFromImage(mask).astype(np.uint8) for mask in masks]),
        direction=direction_of(grid)[:, ::-1].ravel().tolist(),
        position=grid.GetOrigin(),
        spacing=grid.GetSpacing()[::-1],
        coordinate_system="PATIENT",
        frame_of_reference_uid=origin.images[0].FrameOfReferenceUID,
        channels={"SegmentNumber": list(range(1, len(masks) + 1))},
    )


def _in_channels(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Masks along a last axis, as a view of them one after another: highdicom sums over it, ten times faster so."""
    return np.moveaxis(np.stack(masks), 0, -1)


def _segments(origin: Origin, how: str, shell_mm: float) -> list[hd.seg.SegmentDescription]:
    tumour, shell = (codes.ABNORMAL_STRUCTURE, codes.NEOPLASM), (codes.SPATIAL_CONCEPT, codes.SHELL)
    around = f"voxels up to {shell_mm:g} mm from the tumour"
    return [
        _description(origin, TUMOUR, "Tumour", tumour, f"outlined by the user, {how}", TUMOUR_COLOUR, "SEMIAUTOMATIC"),
        _description(origin, SHELL, f"Shell {shell_mm:g} mm", shell, around, SHELL_COLOUR, "AUTOMATIC"),
    ]


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
