"""Made-up CT series in DICOM, written with pydicom and compressed with GDCM; the patient module holds marked values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import gdcm
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

MARKED = {
    "PatientName": "MARKEDNAME^Marked",
    "PatientID": "MARKEDID",
    "PatientBirthDate": "19010203",
    "AccessionNumber": "MARKEDACCESSION",
    "InstitutionName": "MARKEDHOSPITAL",
    "ReferringPhysicianName": "MARKEDDOCTOR",
    "StudyDescription": "MARKEDSTUDY",
    "SeriesDescription": "MARKEDSERIES",
    "StudyDate": "19020304",
    "AcquisitionDate": "19020304",
}
SPACING = (0.7, 0.8, 2.5)
"""mm between columns, rows and slices."""
ORIGIN = (-20.0, -30.0, -100.0)
AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def chest(slices: int = 12, rows: int = 40, columns: int = 48) -> np.ndarray:
    """(slices, rows, columns) int16 HU: lung in a body with a round tumour, and noise so that no two slices agree."""
    z, y, x = np.ogrid[:slices, :rows, :columns]
    hu = np.full((slices, rows, columns), -1000, np.int16)
    hu[:, 4:-4, 4:-4] = 40
    hu[:, 10:-10, 10:-10] = -850
    hu[((z - slices // 2) * 2.5) ** 2 + ((y - 20) * 0.8) ** 2 + ((x - 24) * 0.7) ** 2 < 36] = 50
    return hu + np.random.default_rng(7).integers(-20, 20, hu.shape).astype(np.int16)


def ct_series(
    hu: np.ndarray,
    *,
    spacing: Sequence[float] = SPACING,
    origin: Sequence[float] = ORIGIN,
    orientation: Sequence[Sequence[float]] = AXIAL,
    shear: Sequence[float] = (0.0, 0.0),
    slope: float | Sequence[float] = 1,
    intercept: float | Sequence[float] = -1024,
    signed: bool = False,
    **tags: object,
) -> list[Dataset]:
    """One dataset per slice, in order of position; `shear`: mm along x and y of the image by which each slice lies
    further than the one before; `tags` are set in every one."""
    row, column = np.array(orientation, dtype=float)
    normal = np.cross(row, column)
    uids = {key: generate_uid() for key in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}
    slopes, intercepts = np.broadcast_to(slope, len(hu)), np.broadcast_to(intercept, len(hu))
    made = []
    for n, plane in enumerate(hu):
        ds = _empty(CTImageStorage)
        for key, value in {**MARKED, **uids}.items():
            setattr(ds, key, value)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.InstanceNumber, ds.SeriesNumber, ds.AcquisitionNumber = n + 1, 3, 1
        place = np.array(origin) + n * (spacing[2] * normal + shear[0] * row + shear[1] * column)
        ds.ImagePositionPatient = [f"{value:.6f}" for value in place]
        ds.ImageOrientationPatient = [f"{value:.10g}"[:16] for value in (*row, *column)]
        ds.PixelSpacing = [spacing[1], spacing[0]]
        ds.SliceThickness = spacing[2]
        stored = np.rint((plane.astype(float) - intercepts[n]) / slopes[n])
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = float(slopes[n]), float(intercepts[n]), "HU"
        _pixels(ds, stored, signed)
        for key, value in tags.items():
            setattr(ds, key, value)
        made.append(ds)
    return made


def enhanced_ct(hu: np.ndarray, *, order: Iterable[int] | None = None, slopes: Sequence[float] = ()) -> Dataset:
    """An enhanced multi-frame CT, frames in the given order of slices."""
    ds = _empty(EnhancedCTImageStorage)
    for key, value in MARKED.items():
        setattr(ds, key, value)
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.InstanceNumber = 1
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([orientation]), Items([measures])
    ds.SharedFunctionalGroupsSequence = Items([shared])
    ds.PerFrameFunctionalGroupsSequence = Items([])
    stored = []
    for n in order if order is not None else range(len(hu)):
        frame, position, rescale, content = Dataset(), Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [ORIGIN[0], ORIGIN[1], ORIGIN[2] + n * SPACING[2]]
        slope = slopes[n] if len(slopes) else 1
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = slope, -1024, "HU"
        content.FrameAcquisitionNumber = 1
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = Items([position]), Items([rescale])
        frame.FrameContentSequence = Items([content])
        ds.PerFrameFunctionalGroupsSequence.append(frame)
        stored.append(np.rint((hu[n] + 1024.0) / slope))
    _pixels(ds, np.array(stored), False)
    ds.NumberOfFrames = len(stored)
    return ds


def save(datasets: Iterable[Dataset], folder: Path, suffix: str = ".dcm", seed: int | None = None) -> list[Path]:
    """Write them as 0000.dcm, 0001.dcm ...; in shuffled order with `seed`. The paths are in the order given."""
    folder.mkdir(parents=True, exist_ok=True)
    datasets = list(datasets)
    numbers = np.arange(len(datasets)) if seed is None else np.random.default_rng(seed).permutation(len(datasets))
    paths = [folder / f"{number:04d}{suffix}" for number in numbers]
    for ds, path in zip(datasets, paths, strict=True):
        ds.save_as(path, enforce_file_format=True)
    return paths


def compress(path: Path, syntax: int) -> None:
    """Put a file into another transfer syntax (a member of `gdcm.TransferSyntax`), in place."""
    reader, change = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def _empty(kind: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = kind
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Modality = "CT"
    return ds


def _pixels(ds: Dataset, stored: np.ndarray, signed: bool) -> None:
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, int(signed)
    ds.add_new("PixelData", "OW", stored.astype("<i2" if signed else "<u2").tobytes())
