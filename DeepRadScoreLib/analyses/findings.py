"""All findings of a case with the evidence for them: what an analysis gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging import PreparedCase, QualityNote
from DeepRadScoreLib.imaging.origin import synthetic_label
from DeepRadScoreLib.likeness.carriers import Likeness
from DeepRadScoreLib.models import DEFAULT_ENGINE, Engine
from DeepRadScoreLib.provenance import Provenance


@dataclass(frozen=True)
class Validation:
    """One endpoint's model on held-out patients: AUC, 95 % interval, number of patients and of positives."""

    auc: float | None
    auc_ci: tuple[float, float] | None
    n: int
    positives: int


@dataclass(frozen=True)
class LabelSet:
    """The endpoint's words that a conformal prediction cannot rule out at a level, such as 0.9: none, one or both."""

    labels: tuple[str, ...]
    level: float


@dataclass(frozen=True)
class Variants:
    """Lowest and highest probability of a finding over `n` plausible masks of the same tumour."""

    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Finding:
    """One endpoint's result in one case; `probability` is None where the model may not give one, and `flags` say why.

    Attributes
    ----------
    decision: the endpoint's word for positive or negative at the model's threshold.
    interval: of this patient's own probability, by `interval_method`; None where no method of measured coverage exists.
    label_set: the labels that cannot be ruled out; empty where the case is unlike the training patients of either.
    spread: lowest and highest probability over the fold models (not a confidence interval). Where `probability` lies
        outside it by over a percentage point, the flag `outside_spread` says so: only with a bundle of schema 1, whose
        probability is that of a model refitted on all training patients, not of the fold models' mean score.
    shap: column of the fused model -> contribution to the model's output; they add up to output minus `shap_base`.
    drivers: for each region, the features of its RadScore by size of contribution (z-score times coefficient).
    """

    endpoint: str
    probability: float | None = None
    threshold: float | None = None
    decision: str | None = None
    interval: tuple[float, float] | None = None
    interval_method: str | None = None
    label_set: LabelSet | None = None
    variants: Variants | None = None
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
    """Identity and validity of the model that was used.

    Attributes
    ----------
    engine: what computed the features it was trained on.
    limits: whether it knows the limits of its training data.
    """

    name: str
    sha256: str
    protocol: str
    network: str
    backbone: str
    weights: str
    preprocessing: str
    synthetic: bool
    trained_on: str
    engine: str = "pyradiomics"
    limits: bool = False


@dataclass(frozen=True)
class MolecularProfile:
    """All findings of a case with the evidence for them.

    Attributes
    ----------
    features: the 1702 columns of a feature table.
    likeness: how like the case is to the training patients; None where the model does not know their limits.
    prevalence: endpoint -> share of positives among the hospital's patients, where given in place of the training's.
    gradcam: endpoint -> float32 array (160, 160) in 0..1 on the pixels of the deep patch.
    gradcam_note: how coarse the maps are and from what they were made.
    occlusion: endpoint -> float32 array (160, 160) on the same pixels: by how much the log-odds fall with the place
        hidden.
    engine: what computed the features.
    provenance: what the profile was made from, and by what.
    """

    case_id: str
    prepared: PreparedCase
    features: dict[str, float]
    quality: tuple[QualityNote, ...]
    findings: dict[str, Finding]
    model: ModelCard | None
    synthetic_case: bool
    likeness: Likeness | None = None
    prevalence: dict[str, float] = field(default_factory=dict)
    gradcam: dict[str, np.ndarray] = field(default_factory=dict)
    gradcam_note: str = ""
    occlusion: dict[str, np.ndarray] = field(default_factory=dict)
    engine: Engine = DEFAULT_ENGINE
    provenance: Provenance | None = None

    def __repr__(self) -> str:
        given = sum(finding.probability is not None for finding in self.findings.values())
        model = "no model" if self.model is None else f"{self.model.name}, {given} of {len(self.findings)} findings"
        label = "" if self.label is None else f", {self.label}"
        return f"{type(self).__name__}({self.case_id!r}: {model}, notes: {len(self.quality)}{label})"

    @property
    def label(self) -> str | None:
        """The synthetic label if the model or the case is synthetic, else None."""
        return synthetic_label(self.synthetic_case or (self.model is not None and self.model.synthetic))

    def heat_map(self, endpoint: str) -> sitk.Image:
        """The Grad-CAM of an endpoint at its position in the CT: 160 x 160 x 1, float32."""
        return self._on_patch(self.gradcam[endpoint])

    def occlusion_map(self, endpoint: str) -> sitk.Image:
        """The occlusion map of an endpoint at its position in the CT: 160 x 160 x 1, float32, log-odds."""
        return self._on_patch(self.occlusion[endpoint])

    def _on_patch(self, values: np.ndarray) -> sitk.Image:
        image = sitk.GetImageFromArray(np.asarray(values, dtype=np.float32)[None])
        image.CopyInformation(self.prepared.patch.image)
        return image
