"""Codes of the DICOM objects: SNOMED CT, DCM, IBSI or UCUM where possible, else the private scheme 99DEEPRADSCORE."""

from __future__ import annotations

import re

from highdicom.base import CodingSchemeIdentificationItem
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.imaging.masks.segments import SHELL_IDENTITY
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL

SCHEME = "99DEEPRADSCORE"
MAX_SH, MAX_LO = 16, 64
"""Characters in a value of the value representations SH and LO."""

NEOPLASM, LUNG, VOLUME = codes.SCT.Neoplasm, codes.SCT.Lung, codes.SCT.Volume
ABNORMAL_STRUCTURE, SPATIAL_CONCEPT = codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.SpatialAndRelationalConcept
NOT_EVALUATED = codes.SCT.NotEvaluated
LONG_AXIS, SHORT_AXIS = codes.SCT.LongAxis, codes.SCT.ShortAxis
VOXEL_COUNT_METHOD = codes.IBSI.VolumeFromVoxelSummation
GRAD_CAM, PROBABILITY = codes.DCM.GradientWeightedClassActivation, codes.DCM.Probability
REPORT_TITLE, CHEST_CT = codes.DCM.ImagingMeasurementReport, codes.LN.CTChestReport
DEVICE, COMMENT = codes.DCM.Device, codes.DCM.Comment
LEARNED, COMPUTED = codes.DCM.ArtificialIntelligence, codes.DCM.ImageProcessing
CUBIC_CENTIMETRE, MILLIMETRE, NO_UNITS = codes.UCUM.CubicCentimeter, codes.UCUM.Millimeter, codes.UCUM.NoUnits
STANDARD_DECISIONS = {"present": codes.SCT.Present, "absent": codes.SCT.Absent}


def private_code(value: str, meaning: str) -> Code:
    """A code of the private scheme."""
    return Code(value[:MAX_SH], SCHEME, meaning[:MAX_LO])


SHELL = private_code("SHELL", SHELL_IDENTITY)
"""Its name must not contain a word for a tumour: readers take every segment with such a name for a tumour."""
SHELL_THICKNESS = private_code("SHELL-THICKNESS", "Thickness of the shell")
OCCLUSION = private_code("OCCLUSION", "Fall of the log-odds with the place hidden")
THRESHOLD = private_code("THRESHOLD", "Decision threshold of the model")
MIN_PROBABILITY = private_code("FOLDS-LOWEST", "Lowest probability over the fold models, no interval")
MAX_PROBABILITY = private_code("FOLDS-HIGHEST", "Highest probability over the fold models, no interval")
TUMOUR_RADSCORE = private_code("RADSCORE-TUMOUR", "RadScore of the tumour")
SHELL_RADSCORE = private_code("RADSCORE-SHELL", "RadScore of the peritumoral shell")
AUC = private_code("VALIDATED-AUC", "Validated AUC of the model on held-out patients")
AUC_LOW = private_code("AUC-CI-LOW", "Validated AUC, lower end of its 95 % interval")
AUC_HIGH = private_code("AUC-CI-HIGH", "Validated AUC, upper end of its 95 % interval")
AUC_PATIENTS = private_code("AUC-N", "Held-out patients with a known label")
AUC_POSITIVES = private_code("AUC-POSITIVES", "Positive ones of the held-out patients")
SYNTHETIC = private_code("SYNTHETIC", SYNTHETIC_LABEL)


def predicted(key: str) -> Code:
    """The concept of a finding: a prediction from CT, not a laboratory or pathology result."""
    return private_code(f"{key}-PREDICTED", f"{BY_KEY[key].name}, predicted from CT")


def decision(word: str) -> Code:
    """The code of an endpoint's word for positive or negative."""
    return STANDARD_DECISIONS.get(word) or private_code(re.sub(r"[^A-Z0-9]+", "-", word.upper()), word)


def scheme() -> CodingSchemeIdentificationItem:
    """The identification of the private scheme."""
    return CodingSchemeIdentificationItem(
        designator=SCHEME, name="Private codes of DeepRadScore", responsible_organization="DeepRadScore"
    )
