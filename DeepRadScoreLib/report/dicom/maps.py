"""Grad-CAM and occlusion maps as parametric maps with a frame for each slice of the CT."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.sr.coding import Code

from DeepRadScoreLib.analyses.findings import MolecularProfile
from DeepRadScoreLib.endpoints import BY_KEY, KEYS
from DeepRadScoreLib.imaging import Case
from DeepRadScoreLib.report.dicom import codes
from DeepRadScoreLib.report.dicom.deflated import LONG_SEQUENCES, MapWriter
from DeepRadScoreLib.report.dicom.origin import Origin
from DeepRadScoreLib.report.dicom.slices import planes_on_slices


@dataclass(frozen=True)
class Kind:
    """A kind of map: its name in files and in words, the number of its first series, what its values are."""

    name: str
    title: str
    first_series: int
    quantity: Code
    unit: str


GRAD_CAM = Kind("gradcam", "Grad-CAM", 7110, codes.GRAD_CAM, "share of maximum")
OCCLUSION = Kind("occlusion", "Occlusion", 7120, codes.OCCLUSION, "fall of log-odds")


@dataclass(frozen=True)
class _Map:
    """A map of an endpoint in the CT, and the ends of its scale."""

    kind: Kind
    key: str
    image: sitk.Image
    scale: tuple[float, float]


def _maps(profile: MolecularProfile) -> list[_Map]:
    found = [_Map(GRAD_CAM, key, profile.heat_map(key), (0.0, 1.0)) for key in KEYS if key in profile.gradcam]
    for key in (key for key in KEYS if key in profile.occlusion):
        largest = float(np.abs(profile.occlusion[key]).max()) or 1.0
        found.append(_Map(OCCLUSION, key, profile.occlusion_map(key), (-largest, largest)))
    return found


def heat_maps(
    origin: Origin, case: Case, profile: MolecularProfile
) -> Iterator[tuple[str, hd.pm.ParametricMap, bytes]]:
    """Each endpoint's Grad-CAM, and its occlusion map where there is one, as parametric maps.

    A map has the CT's rows and columns and a frame for each of its slices, float32, 0 outside the deep patch: Grad-CAM
    from 0 to 1, the fall of the log-odds by occlusion. Viewers that lay a map over the CT need all frames, in order of
    position along the normal of rows and columns: OHIF 3.12 takes the n-th frame for the n-th slice, whatever its
    position says.

    Yields
    ------
    "<kind>_<endpoint>"; the object without its pixels and the long sequences; its file.
    """
    assert case.source is not None
    maps = _maps(profile)
    if not maps:
        return
    frames = _frame_numbers(origin)
    template = _template(origin, maps[0], frames)
    writer = MapWriter(template)
    for keyword in LONG_SEQUENCES:
        delattr(template, keyword)
    for one in maps:
        made = copy.deepcopy(template)
        _describe(made, origin, one)
        origin.finish(made)
        planes = planes_on_slices(one.image, case.ct, case.source.slices)
        slices = origin.slice_of_frame
        held = {n: planes[slices[frame]] for n, frame in enumerate(frames) if slices.get(frame) in planes}
        yield f"{one.kind.name}_{one.key}", made, writer.write(made, held)


def _frame_numbers(origin: Origin) -> list[int]:
    """The source images, or frames of the one that is multi-frame, in order along the normal of rows and columns."""
    return np.argsort(np.array(origin.stored_positions, float) @ origin.normal, kind="stable").tolist()


def _template(origin: Origin, first: _Map, frames: Sequence[int]) -> hd.pm.ParametricMap:
    """A map that lacks its pixels, which would take 1 MB for each slice.

    It is made of one frame, and the others are added: highdicom takes a millisecond to look at a source image.
    """
    made = hd.pm.ParametricMap(
        source_images=[origin.images[0]],
        pixel_array=np.zeros((1, 1, 1), np.float32),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(origin, first)],
        voi_lut_transformations=[_window(first)],
        pixel_measures=origin.pixel_measures,
        plane_positions=[hd.PlanePositionSequence("PATIENT", origin.stored_positions[0])],
        content_label=first.kind.name.upper(),
        **origin.common(first.kind.name, first.kind.first_series, first.kind.title),
    )
    made.Rows, made.Columns = origin.images[0].Rows, origin.images[0].Columns
    made.BodyPartExamined = "CHEST"
    shared = made.SharedFunctionalGroupsSequence[0]
    shared.FrameAnatomySequence, shared.PixelMeasuresSequence = [_anatomy()], origin.pixel_measures
    # The standard enumerates "0" and "1" (PS3.3 C.7.6.16.2.9b); validators compare the text.
    identity = shared.PixelValueTransformationSequence[0]
    identity.RescaleIntercept, identity.RescaleSlope = "0", "1"
    del made.FloatPixelData, made.SourceImageSequence  # each frame says its own
    (group,), positions = made.PerFrameFunctionalGroupsSequence, origin.stored_positions
    groups = [_frame(group, origin, k, positions[k]) for k in frames]
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


def _describe(made: hd.pm.ParametricMap, origin: Origin, one: _Map) -> None:
    """Give a copy of the template the UIDs, series, scale and words of one map."""
    kind, key = one.kind, one.key
    series = kind.first_series + KEYS.index(key)
    common = origin.common(f"{kind.name} {key}", series, f"{kind.title} {key}")
    made.SOPInstanceUID = common["sop_instance_uid"]
    made.SeriesInstanceUID = common["series_instance_uid"]
    made.SeriesNumber, made.SeriesDescription = common["series_number"], common["series_description"]
    made.ContentLabel = f"{kind.name.upper()}_{key}"
    made.ContentDescription = origin.described(f"{kind.title}, {BY_KEY[key].name}")
    shared = made.SharedFunctionalGroupsSequence[0]
    shared.RealWorldValueMappingSequence = [_mapping(origin, one)]
    shared.FrameVOILUTSequence = [_window(one)]


def _window(one: _Map) -> hd.VOILUTTransformation:
    """The scale from end to end."""
    low, high = one.scale
    return hd.VOILUTTransformation((low + high) / 2, high - low, voi_lut_function="LINEAR_EXACT")


def _mapping(origin: Origin, one: _Map) -> hd.pm.RealWorldValueMapping:
    return hd.pm.RealWorldValueMapping(
        lut_label=f"{one.kind.title} {one.key}"[: codes.MAX_SH],
        lut_explanation=origin.described(f"{one.kind.title} {one.key}, {one.kind.unit}"),
        unit=codes.NO_UNITS,
        value_range=one.scale,
        slope=1.0,
        intercept=0.0,
        quantity_definition=one.kind.quantity,
    )
