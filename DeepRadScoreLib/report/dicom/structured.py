"""The profile as DICOM SR, template TID 1500: measurements and the model's findings, not verified by anyone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from highdicom import sr
from highdicom.seg import Segmentation
from pydicom import Dataset
from pydicom.sr.coding import Code

from DeepRadScoreLib.analysis import ModelCard, MolecularProfile
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.report.dicom import codes
from DeepRadScoreLib.report.dicom.images import SHELL, TUMOUR
from DeepRadScoreLib.report.dicom.origin import NAME, Origin
from DeepRadScoreLib.report.profile import EndpointEntry, ProfileDocument, to_document
from DeepRadScoreLib.report.wording import flag_sentence
from DeepRadScoreLib.version import __version__

SERIES_NUMBER = 7102
_Group = sr.MeasurementsAndQualitativeEvaluations
_Volumetric = sr.VolumetricROIMeasurementsAndQualitativeEvaluations
COMMENTS = (
    "Produced by software and verified by nobody. DeepRadScore is no medical device.",
    "The dates of this document are those of the CT (1900-01-01 where it has none or was made anonymous); when the "
    "analysis was done is not recorded.",
)


def profile_sr(
    origin: Origin, profile: MolecularProfile, regions: Segmentation, others: Sequence[Dataset]
) -> sr.Comprehensive3DSR:
    """A measurement report: the volumes of tumour and shell, and one group of measurements for each endpoint.

    Parameters
    ----------
    regions: the SEG to which the volumes refer.
    others: objects of the same run that are listed as evidence.
    """
    document = to_document(profile)
    groups: list[_Volumetric | _Group] = [
        _region(origin, document, regions, TUMOUR),
        _region(origin, document, regions, SHELL),
        *(_finding(origin, profile, key, document.endpoints[key]) for key in KEYS),
    ]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_device(origin)),
        procedure_reported=codes.CHEST_CT,
        imaging_measurements=groups,
        title=codes.REPORT_TITLE,
    )
    warnings = (note.message for note in document.quality if note.severity == "warning")
    _add_comments(origin, report[0], [*COMMENTS, *warnings])
    made = sr.Comprehensive3DSR(
        evidence=[*origin.images, regions, *others],
        content=report[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        **origin.common("report", "report", SERIES_NUMBER, f"{NAME} profile, unverified"),
    )
    origin.finish(made)
    return made


def _device(origin: Origin) -> sr.ObserverContext:
    return sr.ObserverContext(
        observer_type=codes.DEVICE,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=origin.uid("device"), name=NAME, manufacturer_name=NAME, model_name=NAME, serial_number=__version__
        ),
    )


def _region(origin: Origin, document: ProfileDocument, regions: Segmentation, number: int) -> _Volumetric:
    tumour, shell = document.regions.tumour, document.regions.peritumoral
    is_tumour = number == TUMOUR
    volume = tumour.volume_ml if is_tumour else shell.volume_ml
    measurements = [_measurement(origin, codes.VOLUME, volume, codes.CUBIC_CENTIMETRE, codes.VOXEL_COUNT_METHOD)]
    if not is_tumour:
        measurements.append(_measurement(origin, codes.SHELL_THICKNESS, shell.thickness_mm, codes.MILLIMETRE))
    segment = regions.SegmentSequence[number - 1]
    group = _Volumetric(
        tracking_identifier=sr.TrackingIdentifier(uid=segment.TrackingUID, identifier=segment.TrackingID),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=regions.SOPClassUID,
            sop_instance_uid=regions.SOPInstanceUID,
            segment_number=number,
            source_series=sr.SourceSeriesForSegmentation(origin.images[0].SeriesInstanceUID),
        ),
        finding_type=codes.NEOPLASM if is_tumour else codes.SHELL,
        finding_sites=[sr.FindingSite(codes.LUNG)],
        algorithm_id=sr.AlgorithmIdentification(
            name=NAME, version=__version__, parameters=[f"preprocessing: {document.preprocessing}"]
        ),
        measurements=measurements,
    )
    _add_comments(origin, group[0])
    return group


def _finding(origin: Origin, profile: MolecularProfile, key: str, entry: EndpointEntry) -> _Group:
    concept = codes.predicted(key)
    answer = codes.NOT_EVALUATED if entry.decision is None else codes.decision(entry.decision)
    group = _Group(
        tracking_identifier=sr.TrackingIdentifier(uid=origin.uid(f"finding {key}"), identifier=f"{NAME} {key}"),
        finding_type=concept,
        finding_sites=[sr.FindingSite(codes.LUNG)],
        algorithm_id=sr.AlgorithmIdentification(
            name=NAME, version=__version__, parameters=_parameters(profile.model), family=codes.LEARNED
        ),
        measurements=[_measurement(origin, code, value) for code, value in _numbers(entry) if value is not None],
        qualitative_evaluations=[sr.QualitativeEvaluation(concept, answer)],
    )
    comments = [flag_sentence(flag) for flag in entry.flags]
    if key in profile.gradcam:
        comments.append(f"Grad-CAM stands in a parametric map of the study. {profile.gradcam_note}".strip())
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
        (codes.PROBABILITY, entry.probability),
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
    origin: Origin, name: Code, value: float, unit: Code = codes.NO_UNITS, method: Code | None = None
) -> sr.Measurement:
    """A number; the synthetic label, where there is one, is its method."""
    method = method if origin.label is None else codes.SYNTHETIC
    return sr.Measurement(name=name, value=float(value), unit=unit, method=method)


def _add_comments(origin: Origin, container: Dataset, comments: Iterable[str] = ()) -> None:
    """Add the label, where there is one, and these comments to a container."""
    for comment in (*([] if origin.label is None else [origin.label]), *comments):
        container.ContentSequence.append(
            sr.TextContentItem(codes.COMMENT, comment, relationship_type=sr.RelationshipTypeValues.CONTAINS)
        )
