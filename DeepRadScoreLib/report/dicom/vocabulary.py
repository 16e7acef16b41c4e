"""The codes in the objects: SNOMED CT, DCM, IBSI, UCUM where they have one, else the private scheme 99DEEPRADSCORE."""

from __future__ import annotations

import re

from highdicom.base import CodingSchemeIdentificationItem
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL

SCHEME = "99DEEPRADSCORE"
SHORT, LONG = 16, 64
"""Longest values of the value representations SH and LO."""

NEOPLASM, LUNG, VOLUME = codes.SCT.Neoplasm, codes.SCT.Lung, codes.SCT.Volume
ABNORMAL_STRUCTURE, SPATIAL_CONCEPT = codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.SpatialAndRelationalConcept
NOT_EVALUATED = codes.SCT.NotEvaluated
VOXEL_COUNT_METHOD = codes.IBSI.VolumeFromVoxelSummation
GRAD_CAM, PROBABILITY, COMMENT = (
    codes.DCM.GradientWeightedClassActivation,
    codes.DCM.Probability,
    codes.DCM.Comment,
)
REPORT_TITLE, DEVICE, CHEST_CT = codes.DCM.ImagingMeasurementReport, codes.DCM.Device, codes.LN.CTChestReport
LEARNED, COMPUTED = codes.DCM.ArtificialIntelligence, codes.DCM.ImageProcessing
CUBIC_CENTIMETRE, MILLIMETRE, NO_UNITS = codes.UCUM.CubicCentimeter, codes.UCUM.Millimeter, codes.UCUM.NoUnits
STANDARD_DECISIONS = {"present": codes.SCT.Present, "absent": codes.SCT.Absent}


def own(value: str, meaning: str) -> Code:
    """A code of the private scheme."""
    return Code(value[:SHORT], SCHEME, meaning[:LONG])


SHELL = own("SHELL", "Surrounding shell")
"""Its name may hold no word for a tumour: readers take every segment whose name does for one."""
SHELL_THICKNESS = own("SHELL-THICKNESS", "Thickness of the shell")
THRESHOLD = own("THRESHOLD", "Decision threshold of the model")
LOWEST = own("FOLDS-LOWEST", "Lowest probability over the fold models, no interval")
HIGHEST = own("FOLDS-HIGHEST", "Highest probability over the fold models, no interval")
TUMOUR_RADSCORE = own("RADSCORE-TUMOUR", "RadScore of the tumour")
SHELL_RADSCORE = own("RADSCORE-SHELL", "RadScore of the peritumoral shell")
AUC = own("VALIDATED-AUC", "Validated AUC of the model on held-out patients")
AUC_LOW = own("AUC-CI-LOW", "Validated AUC, lower end of its 95 % interval")
AUC_HIGH = own("AUC-CI-HIGH", "Validated AUC, upper end of its 95 % interval")
AUC_PATIENTS = own("AUC-N", "Held-out patients with a known label")
AUC_POSITIVES = own("AUC-POSITIVES", "Positive ones of the held-out patients")
SYNTHETIC = own("SYNTHETIC", SYNTHETIC_LABEL)


def predicted(key: str) -> Code:
    """The concept that a finding is about, which is a prediction and not the laboratory's or pathologist's result."""
    return own(f"{key}-PREDICTED", f"{BY_KEY[key].name}, predicted from CT")


def decision(word: str) -> Code:
    """An endpoint's own word for positive or negative."""
    return STANDARD_DECISIONS.get(word) or own(re.sub(r"[^A-Z0-9]+", "-", word.upper()), word)


def scheme() -> CodingSchemeIdentificationItem:
    """What the private scheme is."""
    return CodingSchemeIdentificationItem(
        designator=SCHEME, name="Private codes of DeepRadScore", responsible_organization="DeepRadScore"
    )
