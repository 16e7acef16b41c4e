"""The `manifest.json` of a bundle: what the model is, what it was trained on, how good it was."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from DeepRadScoreLib.endpoints import ENDPOINTS
from DeepRadScoreLib.models import Model, NetworkForm, Preprocessing, Protocol

SCHEMA = "deepradscore.bundle/1"


class ValidationCard(BaseModel):
    """A model's AUC on the held-out patients; AUC and interval are null where `flag` says why."""

    auc: float | None = None
    auc_ci: tuple[float, float] | None = None
    n: int
    positives: int
    flag: str | None = None


class EndpointCard(BaseModel):
    """One endpoint of a bundle: whether it is modelled, from how many patients, how, and how good it was."""

    modelled: bool
    reason: str | None = None
    n: int
    positives: int
    rule: str | None = None
    classifier: dict[str, str] = {}
    cv_auc: dict[str, float] = {}
    validation: dict[str, ValidationCard] = {}
    shift: dict[str, tuple[float, float]] = {}


class Manifest(BaseModel):
    """The content of `manifest.json`."""

    model_config = ConfigDict(populate_by_name=True)
    schema_: str = Field(SCHEMA, alias="schema")
    name: str
    label: str | None
    protocol: Protocol
    network: NetworkForm
    backbone: str
    weights: str
    pixels: int
    preprocessing: Preprocessing
    shell_mm: float
    seed: int
    synthetic: bool
    settings: dict[str, Any]
    trained_on: dict[str, Any]
    endpoints: dict[str, EndpointCard]
    versions: dict[str, str]
    networks: list[dict[str, dict[str, Any]]] = []
    files: dict[str, str] = {}

    def facts(self) -> dict[str, str]:
        """What it is, what it was trained on, and what it may not be used for, in words."""
        trained = self.trained_on
        facts = {
            "model": f"{self.name}, protocol {self.protocol}, network {self.network} "
            f"({self.backbone}, weights {self.weights}, {self.pixels} pixels)",
            "trained on": f"{trained['training_patients']} patients of {trained['cohort']}; "
            f"{trained['held_out_patients']} held out; {len(trained['left_out'])} cases left out",
            "sites": ", ".join(f"{site or 'not named'} {count}" for site, count in trained["sites"].items()),
            "preprocessing": f"{self.preprocessing}, shell {self.shell_mm:g} mm",
            "not for": "clinical decisions: this is not a medical device, and its probabilities hold at best for "
            "patients like those it was trained on. The stored AUCs are of one held-out part of the same cohort.",
        }
        if self.preprocessing == Preprocessing.PYRADIOMICS:
            facts["caution"] = (
                "with this preprocessing features depend on how a file is stored: NIfTI and DICOM may differ."
            )
        return facts

    def endpoint_rows(self) -> list[dict[str, str]]:
        """One row of words per endpoint: whether it is modelled, from how many patients, and the held-out AUC."""
        return [_row(one.name, self.endpoints[one.key]) for one in ENDPOINTS if one.key in self.endpoints]


def _row(name: str, card: EndpointCard) -> dict[str, str]:
    found = card.validation.get(Model.FUSED)
    auc = "-"
    if found is not None:
        auc = found.flag or "-"
        if found.auc is not None and found.auc_ci is not None:
            auc = f"{found.auc:.2f} ({found.auc_ci[0]:.2f}-{found.auc_ci[1]:.2f})"
    return {
        "endpoint": name,
        "modelled": "yes" if card.modelled else (card.reason or "no"),
        "training n (positive)": f"{card.n} ({card.positives})",
        "classifier": card.classifier.get(Model.FUSED, "-"),
        "held-out AUC (95 %)": auc,
        "n (positive)": "-" if found is None else f"{found.n} ({found.positives})",
    }
