"""Small CT series, SEGs (by highdicom) and RTSTRUCTs, as DICOM files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

SECRETS = {
    "PatientName": "Zwetschgenbaum^Quirina",
    "PatientID": "SECRET-4711",
    "PatientBirthDate": "19311224",
    "AccessionNumber": "ACC98765",
    "InstitutionName": "Marked Hospital",
    "ReferringPhysicianName": "Xylander^Otto",
}
SHAPE = (8, 20, 24)
SPACING = (0.8, 0.9, 2.5)
ORIGIN = (-10.0, 5.0, -40.0)


def ct_files(
    folder: Path,
    *,
    shape: tuple[int, int, int] = SHAPE,
    direction: np.ndarray | None = None,
    shear_mm: float = 0.0,
    patient: str = SECRETS["PatientID"],
    frame_of_reference: str | None = None,
    reverse: bool = False,
) -> list[Dataset]:
    """Write a CT of `shape` (z, y, x) with voxels of `SPACING`; returns its datasets in order of position.

    `direction` (3, 3): columns are the image axes. `shear_mm`: how much further along y each slice lies than the last.
    """
    axes = np.eye(3) if direction is None else direction
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    study, series, frame = generate_uid(), generate_uid(), frame_of_reference or generate_uid()
    datasets = []
    for z in range(shape[0]):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        for keyword, value in {**SECRETS, "PatientID": patient}.items():
            setattr(ds, keyword, value)
        ds.PatientSex, ds.StudyDate, ds.StudyTime, ds.StudyID, ds.Modality = "F", "20200101", "120000", "1", "CT"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.SeriesNumber, ds.InstanceNumber = 1, shape[0] - z if reverse else z + 1
        ds.PositionReferenceIndicator, ds.Manufacturer = "", "Maker"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        position = np.array(ORIGIN) + axes @ [0, shear_mm * z, SPACING[2] * z]
        ds.ImagePositionPatient = [f"{v:.9g}" for v in position]
        ds.ImageOrientationPatient = [f"{v:.12g}" for v in axes[:, :2].T.ravel()]
        ds.PixelSpacing, ds.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = *shape[1:], 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
        hu = np.where(rng.random(shape[1:]) < 0.6, 40, -800) + rng.integers(-40, 40, shape[1:])
        ds.PixelData = (hu + 1024).astype(np.int16).tobytes()
        ds.save_as(folder / f"{z:03d}.dcm", enforce_file_format=True)
        datasets.append(ds)
    return datasets


def seg_file(
    path: Path,
    sources: Sequence[Dataset],
    pixels: np.ndarray,
    *,
    kind: str = "BINARY",
    labels: Sequence[str] = ("Tumour",),
    types: Sequence[hd.sr.CodedConcept] | None = None,
    sparse: bool = True,
    **options: object,
) -> Path:
    """Write a SEG of `pixels`: (z, y, x) or (z, y, x, segments), the planes in the order of `sources`."""
    types = types or [codes.SCT.Neoplasm] * len(labels)
    descriptions = [
        SegmentDescription(
            number,
            label,
            codes.SCT.MorphologicallyAbnormalStructure,
            kind_of,
            "MANUAL",
        )
        for number, (label, kind_of) in enumerate(zip(labels, types, strict=True), start=1)
    ]
    Segmentation(
        source_images=list(sources),
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Maker",
        manufacturer_model_name="Model",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=sparse,
        **options,
    ).save_as(path)
    return path


def contour(points: np.ndarray, kind: str = "CLOSED_PLANAR") -> Dataset:
    """One contour; `points` (n, 3) in mm, LPS."""
    item = Dataset()
    item.ContourGeometricType = kind
    item.NumberOfContourPoints = len(points)
    item.ContourData = [f"{v:.9g}" for v in np.ravel(points)]
    return item


def rtstruct_file(path: Path, sources: Sequence[Dataset], rois: Sequence[tuple[str, Sequence[Dataset]]]) -> Path:
    """Write an RTSTRUCT of named ROIs that refers to the CT `sources`."""
    ct = sources[0]
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = RTStructureSetStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in (*SECRETS, "StudyInstanceUID"):
        setattr(ds, keyword, ct.get(keyword))
    ds.Modality, ds.SeriesInstanceUID, ds.StructureSetLabel = "RTSTRUCT", generate_uid(), "set"
    images = []
    for source in sources:
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
        images.append(image)
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = ct.SeriesInstanceUID, images
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", ct.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = ct.FrameOfReferenceUID, [study]
    ds.ReferencedFrameOfReferenceSequence = [frame]
    ds.StructureSetROISequence, ds.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois, start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = number, name, "MANUAL"
        roi.ReferencedFrameOfReferenceUID = ct.FrameOfReferenceUID
        drawn.ReferencedROINumber = number
        if contours:
            drawn.ContourSequence = list(contours)
        ds.StructureSetROISequence.append(roi)
        ds.ROIContourSequence.append(drawn)
    ds.save_as(path, enforce_file_format=True)
    return path


def changed(path: Path, change: object) -> Path:
    """Read a file, apply `change(dataset)` and write it again, damaged as it may be."""
    ds = dcmread(path)
    change(ds)  # type: ignore[operator]
    ds.save_as(path)
    return path


def box(x: tuple[float, float], y: tuple[float, float], z: float) -> np.ndarray:
    """The corners of a rectangle given in voxels of the upright CT (centres at whole numbers), (4, 3) in mm."""
    corners = np.array([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)])
    return np.array(ORIGIN) + corners * SPACING
