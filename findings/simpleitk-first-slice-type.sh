#!/bin/sh
# SimpleITK reads a DICOM series in the number type of its first slice: SUVs under 1 become 0 where that one is empty.
#
# Packages: simpleitk 2.5.7, pydicom 3.0.2, numpy 2.4.6, Python 3.11.
# Guess: each slice of a PET may have its own rescale slope (PS3.3 C.8.9.4 has it per image), so the voxels of a series
#   are slope x stored value + intercept of their own slice, whichever slice comes first.
# Seen: the first slice decides. Where its slope is 1, as in a slice without counts, the whole volume is 16-bit
#   integers, and every value of the others loses its fraction: an SUV of 0.9 is 0 and one of 3.9 is 3. Read from the
#   other end the same series is exact. Nor does a slice of signed stored values fare better after one of unsigned
#   ones: -500 is 65036. No warning (SimpleITK issue 1636).
# Output:
#   SUVs: 0 0 0 0.9 2.5 3.9 0.9 2.5 3.9
#   SimpleITK, empty slice first: 0 0 0 0 2 3 0 2 3 (16-bit unsigned integer)
#   SimpleITK, empty slice last: 0.9 2.5 3.9 0.9 2.5 3.9 0 0 0 (64-bit float)
#   HU: 100 100 100 -500 -500 -500
#   SimpleITK, unsigned slice first: 100 100 100 65036 65036 65036 (16-bit unsigned integer)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet simpleitk==2.5.7 pydicom==3.0.2 numpy==2.4.6
cd "$folder"
venv/bin/python - > seen <<'PYTHON'
import numpy as np
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid


def save(kind, number, stored, slope):
    """One slice of a series; gives its file and the rescaled values."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID, ds.file_meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, kind
    ds.SOPClassUID, ds.SOPInstanceUID = kind, generate_uid()
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "2.25.1", "2.25.2", "2.25.3"
    ds.Modality = "CT" if kind == CTImageStorage else "PT"
    ds.PatientID, ds.SeriesNumber, ds.InstanceNumber = "made up", 1, number
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 3 * number], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [1, 1], 3
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, 3, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, int(stored.dtype == np.int16)
    ds.RescaleSlope, ds.RescaleIntercept = slope, 0
    ds.PixelData = stored.tobytes()
    path = f"{kind}-{number}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path, stored * slope


def text(slices):
    return " ".join(f"{value:g}" for value in np.ravel(slices))


def read(files):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    image = reader.Execute()
    return f"{text(sitk.GetArrayFromImage(image))} ({image.GetPixelIDTypeAsString()})"


counts = np.array([9000, 25000, 39000], np.uint16)
pet = [save(PositronEmissionTomographyImageStorage, 1, np.zeros(3, np.uint16), 1)]
pet += [save(PositronEmissionTomographyImageStorage, n, counts, 0.0001) for n in (2, 3)]
files, values = zip(*pet)
print(f"SUVs: {text(values)}")
print(f"SimpleITK, empty slice first: {read(files)}")
print(f"SimpleITK, empty slice last: {read(files[::-1])}")
ct = [save(CTImageStorage, 1, np.full(3, 100, np.uint16), 1), save(CTImageStorage, 2, np.full(3, -500, np.int16), 1)]
files, values = zip(*ct)
print(f"HU: {text(values)}")
print(f"SimpleITK, unsigned slice first: {read(files)}")
PYTHON
cat seen
cat > expected <<'TEXT'
SUVs: 0 0 0 0.9 2.5 3.9 0.9 2.5 3.9
SimpleITK, empty slice first: 0 0 0 0 2 3 0 2 3 (16-bit unsigned integer)
SimpleITK, empty slice last: 0.9 2.5 3.9 0.9 2.5 3.9 0 0 0 (64-bit float)
HU: 100 100 100 -500 -500 -500
SimpleITK, unsigned slice first: 100 100 100 65036 65036 65036 (16-bit unsigned integer)
TEXT
cmp seen expected
