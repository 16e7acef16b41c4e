"""The profile as DICOM SR, template TID 1500: what was measured and what the model says, not verified by anyone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from highdicom import sr
from highdicom.seg import Segmentation
from pydicom import Dataset
from pydicom.sr.coding import Code

from DeepRadScoreLib.analysis import ModelCard, MolecularProfile
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.report.dicom import segments
from DeepRadScoreLib.report.dicom import vocabulary as said
from DeepRadScoreLib.report.dicom.origin import NAME, Origin
from DeepRadScoreLib.report.profile import EndpointEntry, ProfileDocument, to_document
from DeepRadScoreLib.report.wording import flag_sentence
from DeepRadScoreLib.version import __version__

SERIES_NUMBER = 7102
_Group = sr.MeasurementsAndQualitativeEvaluations
_Volumetric = sr.VolumetricROIMeasurementsAndQualitativeEvaluations
REMARKS = (
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
        _region(origin, document, regions, segments.TUMOUR),
        _region(origin, document, regions, segments.SHELL),
        *(_finding(origin, profile, key, document.endpoints[key]) for key in KEYS),
    ]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_device(origin)),
        procedure_reported=said.CHEST_CT,
        imaging_measurements=groups,
        title=said.REPORT_TITLE,
    )
    warnings = (note.message for note in document.quality if note.severity == "warning")
    _remark(report[0], [*([] if origin.label is None else [origin.label]), *REMARKS, *warnings])
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
        observer_type=said.DEVICE,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=origin.uid("device"), name=NAME, manufacturer_name=NAME, model_name=NAME, serial_number=__version__
        ),
    )


def _region(origin: Origin, document: ProfileDocument, regions: Segmentation, number: int) -> _Volumetric:
    tumour, shell = document.regions.tumour, document.regions.peritumoral
    is_tumour = number == segments.TUMOUR
    volume = tumour.volume_ml if is_tumour else shell.volume_ml
    measured = [(said.VOLUME, volume, said.CUBIC_CENTIMETRE, said.VOXEL_COUNT_METHOD)]
    if not is_tumour:
        measured.append((said.SHELL_THICKNESS, shell.thickness_mm, said.MILLIMETRE, None))
    described = regions.SegmentSequence[number - 1]
    group = _Volumetric(
        tracking_identifier=sr.TrackingIdentifier(uid=described.TrackingUID, identifier=described.TrackingID),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=regions.SOPClassUID,
            sop_instance_uid=regions.SOPInstanceUID,
            segment_number=number,
            source_series=sr.SourceSeriesForSegmentation(origin.images[0].SeriesInstanceUID),
        ),
        finding_type=said.NEOPLASM if is_tumour else said.SHELL,
        finding_sites=[sr.FindingSite(said.LUNG)],
        algorithm_id=sr.AlgorithmIdentification(
            name=NAME, version=__version__, parameters=[f"preprocessing: {document.preprocessing}"]
        ),
        measurements=[_number(origin, *one) for one in measured],
    )
    _remark(group[0], [] if origin.label is None else [origin.label])
    return group


def _finding(origin: Origin, profile: MolecularProfile, key: str, entry: EndpointEntry) -> _Group:
    concept = said.predicted(key)
    answer = said.NOT_EVALUATED if entry.decision is None else said.decision(entry.decision)
    group = _Group(
        tracking_identifier=sr.TrackingIdentifier(uid=origin.uid(f"finding {key}"), identifier=f"{NAME} {key}"),
        finding_type=concept,
        finding_sites=[sr.FindingSite(said.LUNG)],
        algorithm_id=sr.AlgorithmIdentification(
            name=NAME, version=__version__, parameters=_parameters(profile.model), family=said.LEARNED
        ),
        measurements=[_number(origin, *one) for one in _numbers(entry)],
        qualitative_evaluations=[sr.QualitativeEvaluation(concept, answer)],
    )
    reasons = [flag_sentence(flag) for flag in entry.flags]
    if key in profile.gradcam:
        reasons.append(f"Grad-CAM stands in a parametric map of the study. {profile.gradcam_note}".strip())
    _remark(group[0], [*([] if origin.label is None else [origin.label]), *reasons])
    return group


def _parameters(model: ModelCard | None) -> list[str]:
    if model is None:
        return ["no model"]
    names = ("name", "sha256", "protocol", "network", "backbone", "weights", "preprocessing", "trained_on")
    return [f"{name.replace('_', ' ')}: {getattr(model, name)}" for name in names]


def _numbers(entry: EndpointEntry) -> list[tuple[Code, float, Code, None]]:
    """The numbers of a finding that are given."""
    spread = (None, None) if entry.spread is None else entry.spread
    interval = (None, None) if entry.validation_auc_ci is None else entry.validation_auc_ci
    all_of_them = [
        (said.PROBABILITY, entry.probability),
        (said.THRESHOLD, entry.threshold),
        (said.LOWEST, spread[0]),
        (said.HIGHEST, spread[1]),
        (said.TUMOUR_RADSCORE, entry.radscore_tumour),
        (said.SHELL_RADSCORE, entry.radscore_peritumoral),
        (said.AUC, entry.validation_auc),
        (said.AUC_LOW, interval[0]),
        (said.AUC_HIGH, interval[1]),
        (said.AUC_PATIENTS, entry.validation_n),
        (said.AUC_POSITIVES, entry.validation_positives),
    ]
    return [(name, float(value), said.NO_UNITS, None) for name, value in all_of_them if value is not None]


def _number(origin: Origin, name: Code, value: float, unit: Code, method: Code | None) -> sr.Measurement:
    """A number; one of a synthetic model or case says so itself, in the place of its method."""
    return sr.Measurement(name=name, value=value, unit=unit, method=method if origin.label is None else said.SYNTHETIC)


def _remark(container: Dataset, sentences: Iterable[str]) -> None:
    for sentence in sentences:
        container.ContentSequence.append(
            sr.TextContentItem(said.COMMENT, sentence, relationship_type=sr.RelationshipTypeValues.CONTAINS)
        )
