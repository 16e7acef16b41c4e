"""Grad-CAM as parametric maps with a frame for each slice of the CT."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import highdicom as hd
import numpy as np
from pydicom import Dataset

from DeepRadScoreLib.endpoints import BY_KEY, KEYS
from DeepRadScoreLib.findings import MolecularProfile
from DeepRadScoreLib.imaging import Case
from DeepRadScoreLib.report.dicom import codes
from DeepRadScoreLib.report.dicom.deflated import LONG_SEQUENCES, MapWriter
from DeepRadScoreLib.report.dicom.origin import Origin
from DeepRadScoreLib.report.dicom.slices import planes_on_slices

FIRST_SERIES = 7110


def heat_maps(
    origin: Origin, case: Case, profile: MolecularProfile
) -> Iterator[tuple[str, hd.pm.ParametricMap, bytes]]:
    """Each endpoint's Grad-CAM as a parametric map.

    A map has the CT's rows and columns and a frame for each of its slices, float32, 0..1, 0 outside the deep patch.
    Viewers that lay a map over the CT need all of them, in order of position along the normal of rows and columns:
    OHIF 3.12 takes the n-th frame for the n-th slice, whatever its position says.

    Yields
    ------
    The endpoint's key; the object without its pixels and the long sequences; its file.
    """
    assert case.source is not None
    keys = [key for key in KEYS if key in profile.gradcam]
    if not keys:
        return
    frames = _frame_numbers(origin)
    template = _template(origin, frames)
    writer = MapWriter(template)
    for keyword in LONG_SEQUENCES:
        delattr(template, keyword)
    for key in keys:
        made = copy.deepcopy(template)
        _describe(made, origin, key)
        origin.finish(made)
        planes = planes_on_slices(profile.heat_map(key), case.ct, case.source.slices)
        slices = origin.slice_of_frame
        held = {n: planes[slices[frame]] for n, frame in enumerate(frames) if slices.get(frame) in planes}
        yield key, made, writer.write(made, held)


def _frame_numbers(origin: Origin) -> list[int]:
    """The source images, or frames of the one that is multi-frame, in order along the normal of rows and columns."""
    return np.argsort(np.array(origin.stored_positions, float) @ origin.normal, kind="stable").tolist()


def _template(origin: Origin, frames: Sequence[int]) -> hd.pm.ParametricMap:
    """A map that lacks its pixels, which would take 1 MB for each slice.

    It is made of one frame, and the others are added: highdicom takes a millisecond to look at a source image.
    """
    made = hd.pm.ParametricMap(
        source_images=[origin.images[0]],
        pixel_array=np.zeros((1, 1, 1), np.float32),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(origin, KEYS[0])],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
        pixel_measures=origin.pixel_measures,
        plane_positions=[hd.PlanePositionSequence("PATIENT", origin.stored_positions[0])],
        content_label="GRADCAM",
        **origin.common("gradcam", FIRST_SERIES, "Grad-CAM"),
    )
    made.Rows, made.Columns = origin.images[0].Rows, origin.images[0].Columns
    made.BodyPartExamined = "CHEST"
    shared = made.SharedFunctionalGroupsSequence[0]
    shared.FrameAnatomySequence, shared.PixelMeasuresSequence = [_anatomy()], origin.pixel_measures
    # The standard enumerates "0" and "1" (PS3.3 C.7.6.16.2.9b); validators compare the text.
    identity = shared.PixelValueTransformationSequence[0]
    identity.RescaleIntercept, identity.RescaleSlope = "0", "1"
    del made.FloatPixelData, made.SourceImageSequence  # each frame says its own
    first, positions = made.PerFrameFunctionalGroupsSequence[0], origin.stored_positions
    groups = [_frame(first, origin, k, positions[k]) for k in frames]
    for n, group in enumerate(groups, start=1):
        group.FrameContentSequence[0].DimensionIndexValues = [n]
    made.PerFrameFunctionalGroupsSequence = groups
    made.NumberOfFrames = len(frames)
    made.ReferencedSeriesSequence = [origin.references]
    return made


def _frame(first: Dataset, origin: Origin, stored: int, position: Sequence[float]) -> Dataset:
    """The functional groups of a frame like `first`, derived from a source image or frame (from 0, as stored)."""
    made, place, source = Dataset(), Dataset(), Dataset()
    place.ImagePositionPatient = position
    image = origin.images[0 if origin.frames is not None else stored]
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    if origin.frames is not None:
        source.ReferencedFrameNumber = stored + 1
    derived = first.DerivationImageSequence[0]
    source.PurposeOfReferenceCodeSequence = derived.SourceImageSequence[0].PurposeOfReferenceCodeSequence
    source.SpatialLocationsPreserved = "YES"
    derivation = Dataset()
    derivation.DerivationCodeSequence = derived.DerivationCodeSequence
    derivation.SourceImageSequence = [source]
    made.DerivationImageSequence, made.FrameContentSequence = [derivation], [Dataset()]
    made.PlanePositionSequence = [place]
    return made


def _anatomy() -> Dataset:
    """The lungs, both in each frame: the functional group that the IOD asks for (PS3.3 C.7.6.16.2.8)."""
    anatomy = Dataset()
    anatomy.AnatomicRegionSequence = [hd.sr.CodedConcept.from_code(codes.LUNG)]
    anatomy.FrameLaterality = "B"
    return anatomy


def _describe(made: hd.pm.ParametricMap, origin: Origin, key: str) -> None:
    """Give a copy of the template the UIDs, series and words of one endpoint."""
    common = origin.common(f"gradcam {key}", FIRST_SERIES + KEYS.index(key), f"Grad-CAM {key}")
    made.SOPInstanceUID = common["sop_instance_uid"]
    made.SeriesInstanceUID = common["series_instance_uid"]
    made.SeriesNumber, made.SeriesDescription = common["series_number"], common["series_description"]
    made.ContentLabel = f"GRADCAM_{key}"
    made.ContentDescription = origin.described(f"Grad-CAM, {BY_KEY[key].name}")
    made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = [_mapping(origin, key)]


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
