"""The shared CTs of patients: which of them show the body whole."""

from __future__ import annotations

from pathlib import Path

LUNG1 = "nsclc-radiomics-lung1/ct/LUNG1-00"
REAL_CTS = {
    "lung1": ("pyradiomics/lung1_image.nrrd", "pyradiomics/lung1_label.nrrd"),
    "lung2": ("pyradiomics/lung2_image.nrrd", "pyradiomics/lung2_label.nrrd"),
    "LUNG1-001": (f"{LUNG1}1_ct.nii.gz", f"{LUNG1}1_gtv1.nii.gz"),
    "LUNG1-001 crop": (f"{LUNG1}1_ct_crop40.nii.gz", f"{LUNG1}1_gtv1_crop40.nii.gz"),
    "LUNG1-002 crop": (f"{LUNG1}2_ct_crop40.nii.gz", f"{LUNG1}2_gtv1_crop40.nii.gz"),
    "IBSI": ("ibsi/ct_phantom/nifti/image/phantom.nii.gz", "ibsi/ct_phantom/nifti/mask/mask.nii.gz"),
    "pat_2": ("ct-radiomics-phantom/pat_2/pat_2_ct.nii.gz", "ct-radiomics-phantom/pat_2/pat_2_gtv.nii.gz"),
}
"""Name -> CT and mask below the folder of the shared data; the first three show the body whole."""


def real_files(data: Path) -> dict[str, tuple[Path, Path]]:
    """The CTs and masks that are there."""
    found = {name: (data / ct, data / mask) for name, (ct, mask) in REAL_CTS.items()}
    return {name: files for name, files in found.items() if all(file.is_file() for file in files)}
