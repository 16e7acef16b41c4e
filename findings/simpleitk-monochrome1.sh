#!/bin/sh
# SimpleITK inverts the Hounsfield units of a CT that is marked to be shown inverted.
#
# Packages: simpleitk 2.5.7, pydicom 3.0.2, dcm2niix 1.0.20260724, nibabel 5.4.2, numpy 2.4.6, Python 3.11.
# Guess: (0028,0004) MONOCHROME1, which a CT may have as well as MONOCHROME2, says how it is shown ("after any VOI gray
#   scale transformations have been performed", PS3.3 C.7.6.3.1.2): slope and intercept make HU of the stored values in
#   either. So do pydicom and dcm2niix.
# Seen: ITK turns the stored values round within the bits stored, before it applies slope and intercept, without a
#   warning: water has 2047 HU and air 3071, in 16 bits over 60,000. Signed values are turned round at -1/2.
# Output:
#   air, water, tumour, metal: -1024 0 40 3071 HU
#   MONOCHROME2, 12 bits: SimpleITK -1024 0 40 3071
#   MONOCHROME1, 12 bits: SimpleITK 3071 2047 2007 -1024
#   MONOCHROME1, 16 bits: SimpleITK 64511 63487 63447 60416
#   MONOCHROME1, 16 bits, signed: SimpleITK 1023 -1 -41 -3072
#   pydicom and dcm2niix: -1024 0 40 3071 in all
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet simpleitk==2.5.7 pydicom==3.0.2 dcm2niix==1.0.20260724 nibabel==5.4.2 \
  numpy==2.4.6
cd "$folder"
PATH="$folder/venv/bin:$PATH" venv/bin/python - > seen <<'PYTHON'
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import apply_rescale
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

HU = np.array([[-1024, 0], [40, 3071]])


def ct_slice(path, interpretation, bits, signed):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID, ds.file_meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    ds.Modality, ds.PatientID, ds.Manufacturer, ds.SeriesNumber, ds.InstanceNumber = "CT", "made up", "none", 1, 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [1, 1], 1
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 2, 2, 1, interpretation
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits, bits - 1, int(signed)
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0 if signed else -1024
    ds.PixelData = (HU - int(ds.RescaleIntercept)).astype(np.int16 if signed else np.uint16).tobytes()
    ds.save_as(path, enforce_file_format=True)


def text(values):
    return " ".join(f"{value:g}" for value in np.ravel(values))


print(f"air, water, tumour, metal: {text(HU)} HU")
for n, (interpretation, bits, signed) in enumerate(
    [("MONOCHROME2", 12, False), ("MONOCHROME1", 12, False), ("MONOCHROME1", 16, False), ("MONOCHROME1", 16, True)]
):
    folder = Path(str(n))
    folder.mkdir()
    path = folder / "slice.dcm"
    ct_slice(path, interpretation, bits, signed)
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    print(f"{interpretation}, {bits} bits{', signed' * signed}: SimpleITK {text(found)}")
    ds = dcmread(path)
    assert np.array_equal(apply_rescale(ds.pixel_array, ds), HU)
    subprocess.run(["dcm2niix", "-f", "ct", "-o", str(folder), str(folder)], check=True, capture_output=True)
    (nifti,) = folder.glob("*.nii")
    assert np.array_equal(np.sort(nibabel.load(nifti).get_fdata().ravel()), HU.ravel())
print(f"pydicom and dcm2niix: {text(HU)} in all")
PYTHON
cat seen
cat > expected <<'TEXT'
air, water, tumour, metal: -1024 0 40 3071 HU
MONOCHROME2, 12 bits: SimpleITK -1024 0 40 3071
MONOCHROME1, 12 bits: SimpleITK 3071 2047 2007 -1024
MONOCHROME1, 16 bits: SimpleITK 64511 63487 63447 60416
MONOCHROME1, 16 bits, signed: SimpleITK 1023 -1 -41 -3072
pydicom and dcm2niix: -1024 0 40 3071 in all
TEXT
cmp seen expected
