"""The same tumour, map and a report as dcmqi writes them: what a program cannot open of these is its own limit."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import SimpleITK as sitk
from pydicom import dcmread

from DeepRadScoreLib.analyses.findings import MolecularProfile
from DeepRadScoreLib.imaging import Case
from support.viewers.in_dcmqi import called

FILES = ("tumour.dcm", "regions.dcm", "gradcam_EGFR.dcm", "profile.dcm")
NEOPLASM, LUNG = ("108369006", "SCT", "Neoplasm"), ("39607008", "SCT", "Lung")
COMMON = {"SeriesDescription": "Made by dcmqi", "SeriesNumber": "900", "InstanceNumber": "1"}


def write(profile: MolecularProfile, case: Case, ct: Path, folder: Path) -> list[Path]:
    """A SEG on the CT's slices, one on the 1 mm lattice, a map and a report with one volume, under our file names.

    Raises
    ------
    RuntimeError: dcmqi does not write one of them.
    """
    files = [folder / name for name in FILES]
    on_slices = sitk.Resample(case.tumour, case.ct, sitk.Transform(), sitk.sitkNearestNeighbor)
    heat = sitk.Resample(profile.heat_map("EGFR"), case.ct, sitk.Transform(), sitk.sitkNearestNeighbor)
    for mask, path in ((on_slices, files[0]), (profile.prepared.tumour, files[1])):
        _made("itkimage2segimage", "--inputImageList", mask, _segment(), ct, path)
    _made("itkimage2paramap", "--inputImage", heat, _map(), ct, files[2])
    seg = dcmread(files[0])
    with TemporaryDirectory() as scratch:
        meta = Path(scratch) / "meta.json"
        meta.write_text(json.dumps(_report(str(seg.SOPInstanceUID), str(case.source.first.SeriesInstanceUID))))
        folders = ("--inputCompositeContextDirectory", folder, "--inputImageLibraryDirectory", ct)
        _checked(called("tid1500writer", "--inputMetadata", meta, *folders, "--outputDICOM", files[3]))
    return files


def _made(program: str, option: str, image: sitk.Image, meta: dict, ct: Path, path: Path) -> None:
    with TemporaryDirectory() as scratch:
        nrrd, described = Path(scratch) / "image.nrrd", Path(scratch) / "meta.json"
        sitk.WriteImage(image, nrrd)
        described.write_text(json.dumps(meta))
        source = ("--inputDICOMDirectory", ct, "--inputMetadata", described)
        _checked(called(program, option, nrrd, *source, "--outputDICOM", path))


def _checked(said: str) -> None:
    if said:
        raise RuntimeError(said)


def _code(code: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("CodeValue", "CodingSchemeDesignator", "CodeMeaning"), code, strict=True))


def _segment() -> dict:
    one = {
        "labelID": 1,
        "SegmentLabel": "Tumour",
        "SegmentedPropertyCategoryCodeSequence": _code(("49755003", "SCT", "Morphologically Abnormal Structure")),
        "SegmentedPropertyTypeCodeSequence": _code(NEOPLASM),
        "SegmentAlgorithmType": "MANUAL",
        "recommendedDisplayRGBValue": [255, 0, 0],
    }
    return {**COMMON, "ContentCreatorName": "", "segmentAttributes": [[one]]}


def _map() -> dict:
    unit = _code(("1", "UCUM", "no units"))
    grad_cam = _code(("110005", "DCM", "Interpretation"))
    codes = {"QuantityValueCode": grad_cam, "DerivationCode": grad_cam, "MeasurementUnitsCode": unit}
    anatomy = {"AnatomicRegionSequence": _code(LUNG), "FrameLaterality": "B", "BodyPartExamined": "CHEST"}
    return {**COMMON, **codes, **anatomy, "RealWorldValueSlope": "1"}


def _report(seg: str, series: str) -> dict:
    unit, volume = _code(("cm3", "UCUM", "cubic centimeter")), _code(("118565006", "SCT", "Volume"))
    group = {
        "TrackingIdentifier": "Tumour",
        "ReferencedSegment": 1,
        "SourceSeriesForImageSegmentation": series,
        "segmentationSOPInstanceUID": seg,
        "Finding": _code(NEOPLASM),
        "FindingSite": _code(LUNG),
        "measurementItems": [{"value": "12.5", "quantity": volume, "units": unit}],
    }
    observer = {"ObserverType": "DEVICE", "DeviceObserverName": "dcmqi", "DeviceObserverUID": "2.25.1"}
    flags = {"VerificationFlag": "UNVERIFIED", "CompletionFlag": "COMPLETE", "activitySession": "1", "timePoint": "1"}
    context = {"compositeContext": [FILES[0]], "imageLibrary": [], "observerContext": observer}
    return {**COMMON, **context, **flags, "Measurements": [group]}
