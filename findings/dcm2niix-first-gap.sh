#!/bin/sh
# dcm2niix takes the first gap between two slices for the spacing of all of them, without a word.
#
# Packages: dcm2niix 1.0.20260724, pydicom 3.0.2, numpy 2.4.6, nibabel 5.4.2, Python 3.11.
# Guess: the spacing of a converted CT is the length of the stack by its number of gaps, or there is a warning where the
#   gaps differ: positions that a scanner rounds to 0.1 mm, 1.25 mm apart, are 1.2 or 1.3 mm apart.
# Seen: pixdim[3] is the first gap, 1.2 mm; the 60th slice lies 3 mm short of its place. No warning, no second file.
# Output:
#   60 slices over 73.8 mm; NIfTI: 1.2 mm apart, 70.8 mm
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dcm2niix==1.0.20260724 pydicom==3.0.2 numpy==2.4.6 nibabel==5.4.2
PATH="$folder/venv/bin:$PATH" "$folder/venv/bin/python" - "$folder" <<'PYTHON'
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

folder = Path(sys.argv[1], "ct")
folder.mkdir()
positions = [round(1.25 * n, 1) for n in range(60)]
study, series, frame = (generate_uid() for _ in range(3))
for number, z in enumerate(positions, start=1):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID, ds.file_meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
    ds.Modality, ds.PatientID, ds.Manufacturer, ds.SeriesNumber, ds.InstanceNumber = "CT", "made up", "none", 1, number
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, z], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [0.7, 0.7], 1.25
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 32, 32, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    ds.PixelData = np.full((32, 32), number, np.int16).tobytes()
    ds.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
said = subprocess.run(["dcm2niix", "-f", "ct", "-o", str(folder), str(folder)], check=True, capture_output=True, text=True)
(path,) = folder.glob("*.nii")
spacing = float(nibabel.load(path).header.get_zooms()[2])
print(f"60 slices over {positions[-1]:.1f} mm; NIfTI: {spacing:.1f} mm apart, {59 * spacing:.1f} mm")
assert abs(spacing - 1.2) < 1e-4, spacing
assert "varies" not in said.stdout and "nterslice" not in said.stdout, said.stdout
PYTHON
