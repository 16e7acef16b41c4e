"""Grad-CAM as parametric maps with a frame for each slice of the CT."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import highdicom as hd
import numpy as np
from pydicom import Dataset

from DeepRadScoreLib.endpoints import BY_KEY, KEYS
from DeepRadScoreLib.findings import MolecularProfile
from DeepRadScoreLib.imaging import Case
from DeepRadScoreLib.report.dicom import codes
from DeepRadScoreLib.report.dicom.origin import Origin
from DeepRadScoreLib.report.dicom.slices import planes_on_slices

FIRST_SERIES = 7110
Planes = dict[int, np.ndarray]


def heat_maps(
    origin: Origin, case: Case, profile: MolecularProfile
) -> Iterator[tuple[str, hd.pm.ParametricMap, Planes]]:
    """Each endpoint's Grad-CAM as a parametric map without its pixels, and the frames that are not 0.

    A map has the CT's rows and columns and a frame for each of its slices, float32, 0..1, 0 outside the deep patch.
    Viewers that lay a map over the CT need all of them, in order of position along the normal of rows and columns:
    OHIF 3.12 takes the n-th frame for the n-th slice, whatever its position says.

    Yields
    ------
    The endpoint's key; the object; frame number from 0 -> (rows, columns).
    """
    assert case.source is not None
    keys = [key for key in KEYS if key in profile.gradcam]
    if not keys:
        return
    template = _template(origin)
    slice_of_frame = _slices(template, origin)
    for key in keys:
        made = copy.copy(template)
        _describe(made, origin, key)
        planes = planes_on_slices(profile.heat_map(key), case.ct, case.source.slices)
        frames = {n: planes[k] for n, k in enumerate(slice_of_frame) if k in planes}
        yield key, made, frames


def _template(origin: Origin) -> hd.pm.ParametricMap:
    """A map of the right size that lacks its pixels, which would take 1 MB for each slice."""
    positions = [hd.PlanePositionSequence("PATIENT", position) for position in origin.stored_positions]
    made = hd.pm.ParametricMap(
        source_images=list(origin.images),
        pixel_array=np.zeros((len(positions), 1, 1), np.float32),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(origin, KEYS[0])],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
        pixel_measures=origin.pixel_measures,
        plane_positions=positions,
        content_label="GRADCAM",
        **origin.common("gradcam", FIRST_SERIES, "Grad-CAM"),
    )
    made.Rows, made.Columns = origin.images[0].Rows, origin.images[0].Columns
    made.BodyPartExamined = "CHEST"
    shared = made.SharedFunctionalGroupsSequence[0]
    shared.FrameAnatomySequence = [_anatomy()]
    # The standard enumerates "0" and "1" (PS3.3 C.7.6.16.2.9b); validators compare the text.
    identity = shared.PixelValueTransformationSequence[0]
    identity.RescaleIntercept, identity.RescaleSlope = "0", "1"
    del made.FloatPixelData
    _order_frames(made, origin)
    for frame in made.PerFrameFunctionalGroupsSequence:
        for derivation in frame.get("DerivationImageSequence", ()):
            for image in derivation.SourceImageSequence:
                image.SpatialLocationsPreserved = "YES"
    return made


def _anatomy() -> Dataset:
    """The lungs, both in each frame: the functional group that the IOD asks for (PS3.3 C.7.6.16.2.8)."""
    anatomy = Dataset()
    anatomy.AnatomicRegionSequence = [hd.sr.CodedConcept.from_code(codes.LUNG)]
    anatomy.FrameLaterality = "B"
    return anatomy


def _order_frames(made: hd.pm.ParametricMap, origin: Origin) -> None:
    """Order the frames by position along the normal of rows and columns, and their dimension index with them."""
    frames = made.PerFrameFunctionalGroupsSequence
    along = [np.dot(frame.PlanePositionSequence[0].ImagePositionPatient, origin.normal) for frame in frames]
    ordered = [frames[n] for n in np.argsort(along, kind="stable")]
    for n, frame in enumerate(ordered, start=1):
        frame.FrameContentSequence[0].DimensionIndexValues = [n]
    made.PerFrameFunctionalGroupsSequence = ordered


def _describe(made: hd.pm.ParametricMap, origin: Origin, key: str) -> None:
    """Give a copy of the template the UIDs, series and words of one endpoint."""
    common = origin.common(f"gradcam {key}", FIRST_SERIES + KEYS.index(key), f"Grad-CAM {key}")
    made.SOPInstanceUID = common["sop_instance_uid"]
    made.SeriesInstanceUID = common["series_instance_uid"]
    made.SeriesNumber, made.SeriesDescription = common["series_number"], common["series_description"]
    made.ContentLabel = f"GRADCAM_{key}"
    made.ContentDescription = origin.described(f"Grad-CAM, {BY_KEY[key].name}")
    shared = copy.copy(made.SharedFunctionalGroupsSequence[0])
    shared.RealWorldValueMappingSequence = [_mapping(origin, key)]
    made.SharedFunctionalGroupsSequence = [shared]


def _mapping(origin: Origin, key: str) -> hd.pm.RealWorldValueMapping:
    return hd.pm.RealWorldValueMapping(
        lut_label=f"Grad-CAM {key}"[: codes.MAX_SH],
        lut_explanation=origin.described(f"Grad-CAM {key}, share of maximum"),
        unit=codes.NO_UNITS,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=codes.GRAD_CAM,
    )


def _slices(made: hd.pm.ParametricMap, origin: Origin) -> list[int]:
    """The slice, in order of position, of each frame of a map, by the image that the frame refers to; -1: none."""
    references = [
        frame.DerivationImageSequence[0].SourceImageSequence[0] for frame in made.PerFrameFunctionalGroupsSequence
    ]
    slices = origin.slice_numbers
    return [slices.get((one.ReferencedSOPInstanceUID, one.get("ReferencedFrameNumber")), -1) for one in references]
