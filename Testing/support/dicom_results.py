"""Cases read from made-up DICOM, profiles of them, and what is written of them, opened again."""

from __future__ import annotations

import re
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from DeepRadScoreLib.analyses.findings import Finding, ModelCard, MolecularProfile, Validation
from DeepRadScoreLib.endpoints import BY_KEY, KEYS
from DeepRadScoreLib.imaging import Case, prepare
from DeepRadScoreLib.models import Preprocessing
from support import dicom_phantoms as made
from support.dicom_mask_makers import seg_file

HU = made.chest()
TUMOUR = np.zeros(HU.shape, np.uint8)
TUMOUR[4:8, 16:24, 20:28] = 1
TUMOUR[5, 18, 22] = 0
STUDY = {
    "PatientSex": "F",
    "StudyTime": "120000",
    "AcquisitionTime": "121530.5",
    "StudyID": "1",
    "Manufacturer": "Maker",
    "PositionReferenceIndicator": "",
    "BodyPartExamined": "CHEST",
    "PatientPosition": "HFS",
    "KVP": 120,
}
MAPS = ("LVI", "EGFR")
TURNED = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
OBLIQUE = ((0.98006658, 0.0, -0.19866933), (0.03946950, 0.98006658, 0.19470917))


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def profile_of(case: Case, *, preprocessing: Preprocessing = "canonical", synthetic: bool = False) -> MolecularProfile:
    """A made-up profile of a real preparation: ROS1 without a finding, EGFR synthetic or not."""
    findings = {
        key: Finding(
            key,
            probability=0.25 + 0.05 * n,
            threshold=0.4,
            decision=BY_KEY[key].positive if n > 3 else BY_KEY[key].negative,
            spread=(0.2, 0.9),
            flags=("not_better_than_chance",) if key == "KRAS" else (),
            radscore_tumour=-1.5,
            radscore_peritumoral=0.125,
            validation=Validation(0.75, (0.625, 0.875), 153, 49),
        )
        for n, key in enumerate(KEYS)
    }
    findings["ROS1"] = Finding("ROS1", flags=("not_modelled",))
    card = ModelCard("trial", "ab" * 32, "strict", "shared", "densenet121", "none", preprocessing, synthetic, "cohort")
    prepared = prepare(case, preprocessing=preprocessing)
    heat = {key: np.random.default_rng(n).random((160, 160)).astype(np.float32) for n, key in enumerate(MAPS)}
    maps = {"gradcam": heat, "gradcam_note": "The map has 5 cells."}
    return MolecularProfile("c", prepared, {}, prepared.quality, findings, card, False, **maps)


def study(folder: Path, **options: object) -> Path:
    """A CT (in `ct`) and a SEG of its tumour (in `seg.dcm`)."""
    series = made.ct_series(HU, **{**STUDY, **options})
    made.save(series, folder / "ct", seed=5)
    seg_file(folder / "seg.dcm", series, TUMOUR)
    return folder


def expanded(data: bytes) -> bytes:
    """A file without deflation, as pydicom writes it."""
    ds = dcmread(BytesIO(data))
    if ds.file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        return data
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = BytesIO()
    ds.save_as(stream)
    return stream.getvalue()


def opened(files: dict[str, bytes]) -> dict[str, Dataset]:
    return {name: dcmread(BytesIO(data)) for name, data in files.items()}


def complaints(path: Path) -> set[str]:
    """The errors of dciodvfy, which reads no deflated file: attribute and kind, without the number of the item."""
    path.write_bytes(expanded(path.read_bytes()))
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return {re.sub(r"\[\d+\]", "", line) for line in lines if line.startswith("Error")}
