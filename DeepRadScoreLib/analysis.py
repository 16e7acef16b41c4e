"""One case in, one molecular profile out: as short steps that can be shown and cancelled. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from DeepRadScoreLib.imaging.carriers import PreparedCase, QualityNote

SYNTHETIC_LABEL = "synthetic: not for patients"


@dataclass(frozen=True)
class Validation:
    """What a bundle knows of one endpoint's model on patients it never saw: AUC, 95 % interval, patients, positives."""

    auc: float | None
    auc_ci: tuple[float, float] | None
    n: int
    positives: int


@dataclass(frozen=True)
class Finding:
    """One endpoint's result in one case; `probability` is None wherever the model may not give one, and `flags` say why.

    Attributes
    ----------
    decision: the endpoint's own word for positive or negative at the model's threshold.
    spread: lowest and highest probability over the fold models (not a confidence interval).
    shap: column of the fused model -> contribution to the model's output; they add up to output minus `shap_base`.
    drivers: for each region, the features of its RadScore by size of contribution: (feature, z-score times coefficient).
    """

    endpoint: str
    probability: float | None = None
    threshold: float | None = None
    decision: str | None = None
    spread: tuple[float, float] | None = None
    flags: tuple[str, ...] = ()
    radscore_tumour: float | None = None
    radscore_peritumoral: float | None = None
    shap: dict[str, float] = field(default_factory=dict)
    shap_base: float | None = None
    drivers: dict[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    validation: Validation | None = None


@dataclass(frozen=True)
class ModelCard:
    """What a reader must know of the model that was used."""

    name: str
    sha256: str
    protocol: str
    network: str
    backbone: str
    weights: str
    preprocessing: str
    synthetic: bool
    trained_on: str


@dataclass(frozen=True)
class MolecularProfile:
    """All findings of a case with the evidence for them.

    Attributes
    ----------
    features: the 1702 columns of a feature table.
    gradcam: endpoint -> float32 array (160, 160) in 0..1 on the pixels of the deep patch.
    gradcam_note: how coarse the maps are and from what they were made.
    """

    case_id: str
    prepared: PreparedCase
    features: dict[str, float]
    quality: tuple[QualityNote, ...]
    findings: dict[str, Finding]
    model: ModelCard | None
    synthetic_case: bool
    gradcam: dict[str, np.ndarray] = field(default_factory=dict)
    gradcam_note: str = ""
