"""The profile as DICOM SR, template TID 1500: measurements and the model's findings, not verified by anyone.

A number that a viewer shall draw is inferred from coordinates in one of the CT's slices. These are the first item below
the number, and the method (or the synthetic label in its place) stands once in the group: viewers take what is first
below a number for its drawing and drop a number that begins otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from highdicom import sr
from highdicom.seg import Segmentation
from pydicom import Dataset
from pydicom.sr.coding import Code

from DeepRadScoreLib.analyses.findings import ModelCard, MolecularProfile
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.report.dicom import codes
from DeepRadScoreLib.report.dicom.drawing import Drawing
from DeepRadScoreLib.report.dicom.origin import NAME, Origin
from DeepRadScoreLib.report.dicom.segments import SHELL, TUMOUR
from DeepRadScoreLib.report.profile import EndpointEntry, ProfileDocument, to_document
from DeepRadScoreLib.report.wording import flag_sentence
from DeepRadScoreLib.version import __version__

SERIES_NUMBER = 7102
FINDINGS = {TUMOUR: codes.NEOPLASM, SHELL: codes.SHELL}
_Group = sr.MeasurementsAndQualitativeEvaluations
_Planar = sr.PlanarROIMeasurementsAndQualitativeEvaluations
_Volumetric = sr.VolumetricROIMeasurementsAndQualitativeEvaluations
COMMENTS = (
    "Produced by software and verified by nobody. DeepRadScore is no medical device.",
    "The dates of this document are those of the CT (1900-01-01 where it has none or was made anonymous); when the "
    "analysis was done is not recorded.",
)


def profile_sr(
    origin: Origin, profile: MolecularProfile, regions: Segmentation, drawing: Drawing, others: Sequence[Dataset]
) -> sr.Comprehensive3DSR:
    """A measurement report: volumes and diameters of tumour and shell, and one group of measurements for each endpoint.

    Parameters
    ----------
    regions: the SEG to which the volumes refer.
    drawing: where measurements and findings are drawn in the CT's slices.
    others: objects of the same run that are listed as evidence.
    """
    document = to_document(profile)
    tumour, shell = document.regions.tumour, document.regions.peritumoral
    groups: list[_Volumetric | _Group | _Planar] = [
        _volume(origin, document, regions, TUMOUR, tumour.on_lattice_ml, _not_given(document)),
        _volume(origin, document, regions, SHELL, shell.volume_ml, [codes.SHELL.meaning]),
        _drawn(origin, regions, TUMOUR, _diameters(drawing)),
        _drawn(origin, regions, SHELL, _thickness(shell.thickness_mm, drawing)),
        *(_finding(origin, profile, key, document.endpoints[key], drawing) for key in KEYS),
    ]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_device(origin)),
        procedure_reported=codes.CHEST_CT,
        imaging_measurements=groups,
        title=codes.REPORT_TITLE,
    )
    warnings = (note.message for note in document.quality if note.severity == "warning")
    maps = (
        [f"Grad-CAM stands in parametric maps of the study. {profile.gradcam_note}".strip()] if profile.gradcam else []
    )
    if profile.occlusion:
        maps.append("Occlusion maps stand in parametric maps of the study: by how much the log-odds fall.")
    _add_comments(origin, report[0], [*COMMENTS, *maps, *warnings])
    return sr.Comprehensive3DSR(
        evidence=[*origin.images, regions, *others],
        content=report[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        **origin.common("report", SERIES_NUMBER, "Profile, unverified"),
    )


def _device(origin: Origin) -> sr.ObserverContext:
    return sr.ObserverContext(
        observer_type=codes.DEVICE,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=origin.uid("device"), name=NAME, manufacturer_name=NAME, model_name=NAME, serial_number=__version__
        ),
    )


def _volume(
    origin: Origin,
    document: ProfileDocument,
    regions: Segmentation,
    number: int,
    volume: float,
    comments: Iterable[str] = (),
) -> _Volumetric:
    group = _Volumetric(
        tracking_identifier=_tracking(regions, number),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=regions.SOPClassUID,
            sop_instance_uid=regions.SOPInstanceUID,
            segment_number=number,
            source_series=sr.SourceSeriesForSegmentation(origin.images[0].SeriesInstanceUID),
        ),
        finding_type=FINDINGS[number],
        method=_method(origin, codes.VOXEL_COUNT_METHOD),
        finding_sites=[sr.FindingSite(codes.LUNG)],
        algorithm_id=sr.AlgorithmIdentification(
            name=NAME,
            version=__version__,
            parameters=[f"preprocessing: {document.preprocessing}", f"engine: {document.engine}"],
        ),
        measurements=[_measurement(codes.VOLUME, volume, codes.CUBIC_CENTIMETRE)],
    )
    _add_comments(origin, group[0], comments)
    return group


def _not_given(document: ProfileDocument) -> list[str]:
    """One comment on the findings without a probability, beside the tumour's measurements."""
    missing = [key for key, entry in document.endpoints.items() if entry.probability is None]
    return [f"Not given: {', '.join(missing)}"] if missing else []


def _drawn(origin: Origin, regions: Segmentation, number: int, measurements: Sequence[sr.Measurement]) -> _Group:
    """Lengths of a region with their drawing; the region's tracking UID joins them to its volume."""
    return _Group(
        tracking_identifier=_tracking(regions, number),
        finding_type=FINDINGS[number],
        method=_method(origin),
        finding_sites=[sr.FindingSite(codes.LUNG)],
        measurements=measurements,
    )


def _tracking(regions: Segmentation, number: int) -> sr.TrackingIdentifier:
    segment = regions.SegmentSequence[number - 1]
    return sr.TrackingIdentifier(uid=segment.TrackingUID, identifier=segment.TrackingID)


def _diameters(drawing: Drawing) -> list[sr.Measurement]:
    axes = {codes.LONG_AXIS: drawing.axes.long, codes.SHORT_AXIS: drawing.axes.short}
    return [_measurement(code, axis.length_mm, codes.MILLIMETRE, at=drawing.line(axis)) for code, axis in axes.items()]


def _thickness(thickness_mm: float, drawing: Drawing) -> list[sr.Measurement]:
    at = None if drawing.shell is None else drawing.point(drawing.shell)
    return [_measurement(codes.SHELL_THICKNESS, thickness_mm, codes.MILLIMETRE, at=at)]


def _finding(
    origin: Origin, profile: MolecularProfile, key: str, entry: EndpointEntry, drawing: Drawing
) -> _Group | _Planar:
    """One endpoint, at a point in the tumour: its numbers and the finding in words, or why none is given.

    The point belongs to the probability; without one, to the group, as every group needs coordinates to be drawn.
    """
    concept = codes.predicted(key)
    answer = codes.NOT_EVALUATED if entry.decision is None else codes.decision(entry.decision)
    common: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(uid=origin.uid(f"finding {key}"), identifier=f"{NAME} {key}"),
        "finding_type": concept,
        "method": _method(origin),
        "algorithm_id": sr.AlgorithmIdentification(
            name=NAME, version=__version__, parameters=_parameters(profile.model), family=codes.LEARNED
        ),
        "qualitative_evaluations": [sr.QualitativeEvaluation(concept, answer)],
    }
    site = sr.FindingSite(codes.LUNG)
    others = [_measurement(code, value, site=site) for code, value in _numbers(entry) if value is not None]
    if entry.probability is None:
        group: _Group | _Planar = _Planar(
            referenced_region=drawing.region(drawing.findings[key]), measurements=others, **common
        )
    else:
        shown = _measurement(codes.PROBABILITY, entry.probability, at=drawing.point(drawing.findings[key]))
        group = _Group(finding_sites=[site], measurements=[shown, *others], **common)
    comments = [f"{concept.meaning}: {answer.meaning}", *(flag_sentence(flag) for flag in entry.flags)]
    _add_comments(origin, group[0], comments)
    return group


def _parameters(model: ModelCard | None) -> list[str]:
    if model is None:
        return ["no model"]
    names = ("name", "sha256", "protocol", "network", "backbone", "weights", "preprocessing", "trained_on")
    return [f"{name.replace('_', ' ')}: {getattr(model, name)}" for name in names]


def _numbers(entry: EndpointEntry) -> list[tuple[Code, float | None]]:
    lowest, highest = entry.spread or (None, None)
    auc_low, auc_high = entry.validation_auc_ci or (None, None)
    return [
        (codes.THRESHOLD, entry.threshold),
        (codes.MIN_PROBABILITY, lowest),
        (codes.MAX_PROBABILITY, highest),
        (codes.TUMOUR_RADSCORE, entry.radscore_tumour),
        (codes.SHELL_RADSCORE, entry.radscore_peritumoral),
        (codes.AUC, entry.validation_auc),
        (codes.AUC_LOW, auc_low),
        (codes.AUC_HIGH, auc_high),
        (codes.AUC_PATIENTS, entry.validation_n),
        (codes.AUC_POSITIVES, entry.validation_positives),
    ]


def _measurement(
    name: Code,
    value: float,
    unit: Code = codes.NO_UNITS,
    *,
    at: sr.CoordinatesForMeasurement | None = None,
    site: sr.FindingSite | None = None,
) -> sr.Measurement:
    """A number, drawn at coordinates; or with a site below it, which keeps it out of the five lines of a drawing."""
    return sr.Measurement(
        name=name,
        value=float(value),
        unit=unit,
        finding_sites=None if site is None else [site],
        referenced_coordinates=None if at is None else [at],
    )


def _method(origin: Origin, method: Code | None = None) -> Code | None:
    """The method of a group's numbers; the synthetic label, where there is one, takes its place."""
    return method if origin.label is None else codes.SYNTHETIC


def _add_comments(origin: Origin, container: Dataset, comments: Iterable[str] = ()) -> None:
    """Add the label, where there is one, and these comments to a container."""
    for comment in (*([] if origin.label is None else [origin.label]), *comments):
        container.ContentSequence.append(
            sr.TextContentItem(codes.COMMENT, comment, relationship_type=sr.RelationshipTypeValues.CONTAINS)
        )
