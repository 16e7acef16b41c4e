"""The analysis of one case in short steps that can be shown and cancelled; its value is a profile. Writes nothing."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import SimpleITK as sitk

from DeepRadScoreLib.endpoints import BY_KEY, KEYS
from DeepRadScoreLib.imaging import Case, PreparedCase, QualityNote, prepare_steps
from DeepRadScoreLib.imaging.origin import is_synthetic, synthetic_label
from DeepRadScoreLib.models import Flag, Model, Preprocessing, better_than_chance
from DeepRadScoreLib.progress import Progress, Stage, in_stage, map_steps
from DeepRadScoreLib.radscore.engine import feature_steps
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, REGIONS, region_columns

if TYPE_CHECKING:
    from DeepRadScoreLib.bundle import Bundle, EndpointModel
    from DeepRadScoreLib.deepct.outputs import NetworkOutputs
    from DeepRadScoreLib.manifest import EndpointCard

MIN_VISIBLE = 0.01
"""Probabilities are shown in whole percents: smaller differences do not show."""


@dataclass(frozen=True)
class Validation:
    """One endpoint's model on held-out patients: AUC, 95 % interval, number of patients and of positives."""

    auc: float | None
    auc_ci: tuple[float, float] | None
    n: int
    positives: int


@dataclass(frozen=True)
class Finding:
    """One endpoint's result in one case; `probability` is None where the model may not give one, and `flags` say why.

    Attributes
    ----------
    decision: the endpoint's word for positive or negative at the model's threshold.
    spread: lowest and highest probability over the fold models (not a confidence interval). Where `probability`, that
        of the model refitted on all training patients, lies outside it by more than `MIN_VISIBLE`, the flag
        `outside_spread` says so.
    shap: column of the fused model -> contribution to the model's output; they add up to output minus `shap_base`.
    drivers: for each region, the features of its RadScore by size of contribution (z-score times coefficient).
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
    """Identity and validity of the model that was used."""

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
        image = sitk.GetImageFromArray(np.asarray(self.gradcam[endpoint], dtype=np.float32)[None])
        image.CopyInformation(self.prepared.patch.image)
        return image


def steps(
    case: Case,
    bundle: Bundle | None = None,
    *,
    preprocessing: Preprocessing = Preprocessing.CANONICAL,
    shell_mm: float = 3.0,
) -> Generator[Progress, None, MolecularProfile]:
    """Analyse one case in short steps; each event is yielded before its work is done. The value is the profile.

    A bundle sets preprocessing and shell thickness (mm); without one the findings are None, flag `no_model`.
    """
    if bundle is not None:
        preprocessing, shell_mm = bundle.manifest.preprocessing, bundle.manifest.shell_mm
        case = _with_lung_note(case, bundle)
    preparing = prepare_steps(case, preprocessing=preprocessing, shell_mm=shell_mm)
    prepared = yield from in_stage(preparing, Stage.ANALYSING, 0, 10, expected=8)
    features = yield from in_stage(feature_steps(prepared), Stage.ANALYSING, 10, 70, expected=120)
    profile = MolecularProfile(
        case_id=case.case_id,
        prepared=prepared,
        features=features,
        quality=prepared.quality,
        findings={key: Finding(key, flags=(Flag.NO_MODEL,)) for key in KEYS},
        model=None,
        synthetic_case=is_synthetic(case.ct),
    )
    if bundle is None:
        return profile
    networks = sum(len(member) for member in bundle.networks)
    expected = 2 + 2 * networks + len(KEYS) + len(bundle.endpoints)
    finding = _finding_steps(bundle, prepared, features)
    findings, maps, note = yield from in_stage(finding, Stage.ANALYSING, 70, 100, expected)
    return replace(profile, findings=findings, model=_card(bundle), gradcam=maps, gradcam_note=note)


def _with_lung_note(case: Case, bundle: Bundle) -> Case:
    """Add a note if this case has a lung mask and the training cases had none, or the reverse."""
    trained = bundle.manifest.trained_on.get("lung_masks", 0) > 0
    if trained == (case.lung is not None):
        return case
    training = "with lung masks" if trained else "without lung masks"
    note = QualityNote(
        "lung_mask_differs",
        "warning",
        f"The model was trained {training}, this case is not: its peritumoral RadScore is of another region.",
    )
    return replace(case, notes=(*case.notes, note))


def _finding_steps(
    bundle: Bundle, prepared: PreparedCase, features: dict[str, float]
) -> Generator[str, None, tuple[dict[str, Finding], dict[str, np.ndarray], str]]:
    yield "loading the network library"
    from DeepRadScoreLib.deepct.device import one_thread
    from DeepRadScoreLib.deepct.network import deep_outputs
    from DeepRadScoreLib.deepct.outputs import merge_outputs

    outputs: list[NetworkOutputs] = []
    for number, member in enumerate(bundle.networks, start=1):
        each = []
        for name, network in member.items():
            yield _network_label("deep features", name, number, len(bundle.networks))
            with one_thread():
                each.append(deep_outputs(network, prepared.patch.hu[None]))
        outputs.append(merge_outputs(each))
    findings = yield from _explained_findings(bundle, features, outputs)
    maps, note = yield from _heat_map_steps(bundle, prepared.patch.hu)
    return findings, maps, note


def _explained_findings(
    bundle: Bundle, features: dict[str, float], outputs: list[NetworkOutputs]
) -> Generator[str, None, dict[str, Finding]]:
    explained = [model.fusion for model in bundle.endpoints.values() if not model.fusion.no_signal_]
    if explained:
        yield "loading the SHAP library"
        from DeepRadScoreLib.fusion.explain import compile_enumeration, enumerates, import_shap

        import_shap()
        if any(enumerates(model) for model in explained):
            yield "compiling the SHAP library"
            compile_enumeration()
    table = pd.DataFrame([[features[column] for column in FEATURE_COLUMNS]], columns=FEATURE_COLUMNS)
    findings = {}
    for key in KEYS:
        yield f"finding: {BY_KEY[key].name}"
        if key in bundle.endpoints:
            card = bundle.manifest.endpoints[key]
            findings[key] = yield from _finding(bundle.endpoints[key], card, table, outputs)
        else:
            findings[key] = Finding(key, flags=(Flag.NOT_MODELLED,))
    return findings


def _heat_map_steps(bundle: Bundle, hu: np.ndarray) -> Generator[str, None, tuple[dict[str, np.ndarray], str]]:
    """Heat maps of all endpoints on the patch (160, 160) in HU, and how they were made."""
    from DeepRadScoreLib.deepct.device import one_thread
    from DeepRadScoreLib.deepct.gradcam import coarse_maps, draw

    readouts = {key: model.deep.readout for key, model in bundle.endpoints.items() if model.deep.readout is not None}
    maps: dict[str, np.ndarray] = {}
    note = ""
    for name, first in bundle.networks[0].items() if bundle.networks else ():
        keys = tuple(key for key in first.spec.endpoints if key in bundle.endpoints)
        if not keys:
            continue
        each = []
        for number, member in enumerate(bundle.networks, start=1):
            yield _network_label("Grad-CAM", name, number, len(bundle.networks))
            with one_thread():
                each.append(coarse_maps(member[name], hu, keys, readouts or None))
        maps |= draw(each, hu.shape)
        rows, columns = each[0][keys[0]].shape
        note = f"The map has {rows} x {columns} cells, drawn smoothly over the 160 x 160 patch"
        if len(each) > 1:
            note += f"; it is the mean of the maps of {len(each)} fold networks"
        if readouts:
            note += "; a logistic read-out on the pooled features stands for the logit of the untrained network"
        note += "."
    return maps, note


def _network_label(what: str, name: str, number: int, folds: int) -> str:
    whose = f" for {BY_KEY[name].name}" if name in BY_KEY else ""
    return f"{what}{whose}, network {number} of {folds}"


def _finding(
    model: EndpointModel, card: EndpointCard, features: pd.DataFrame, outputs: list[NetworkOutputs]
) -> Generator[str, None, Finding]:
    """One endpoint's finding; the caller has yielded the label of the first step, SHAP values are the others."""
    raw = model.regions.raw(features)[0]
    held_out = card.validation.get(Model.FUSED)
    known = Finding(
        model.key,
        flags=_flags(model, card),
        radscore_tumour=float(raw[0]),
        radscore_peritumoral=float(raw[1]),
        drivers=_drivers(model, features),
        validation=None if held_out is None else Validation(**held_out.model_dump(exclude={"flag"})),
    )
    if model.fusion.no_signal_:
        return known
    columns = model.columns(features, outputs)
    probability = float(model.probability(columns)[0])
    threshold = float(model.fusion.threshold_)
    endpoint = BY_KEY[model.key]
    folds = model.fold_probabilities(features, outputs)[:, 0] if model.fold_regions else None
    yield f"SHAP values: {endpoint.name}"
    from DeepRadScoreLib.fusion.explain import explain_steps

    shap = yield from map_steps(
        explain_steps(model.fusion, model.background, columns), lambda detail: f"SHAP values: {endpoint.name}, {detail}"
    )
    spread = None if folds is None else (float(folds.min()), float(folds.max()))
    outside = spread is not None and not spread[0] - MIN_VISIBLE <= probability <= spread[1] + MIN_VISIBLE
    return replace(
        known,
        probability=probability,
        threshold=threshold,
        decision=endpoint.positive if probability >= threshold else endpoint.negative,
        spread=spread,
        flags=(*known.flags, Flag.OUTSIDE_SPREAD) if outside else known.flags,
        shap=dict(zip(model.names, shap.values[0].tolist(), strict=True)),
        shap_base=float(shap.base),
    )


def _flags(model: EndpointModel, card: EndpointCard) -> tuple[str, ...]:
    flags: list[str] = []
    validation = card.validation.get(Model.FUSED)
    if validation is None:
        flags.append(Flag.NOT_VALIDATED)
    elif validation.auc_ci is None:
        flags.append(validation.flag or Flag.NOT_VALIDATED)
    elif not better_than_chance(validation.auc_ci):
        flags.append(Flag.NOT_BETTER_THAN_CHANCE)
    if card.rule == "single":
        flags.append(Flag.SINGLE_FEATURE_RADSCORE)
    if model.fusion.no_signal_:
        flags.append(Flag.NO_SIGNAL)
    return tuple(flags)


def _drivers(model: EndpointModel, features: pd.DataFrame) -> dict[str, tuple[tuple[str, float], ...]]:
    drivers: dict[str, tuple[tuple[str, float], ...]] = {}
    for region in REGIONS:
        radscore = model.regions.radscores[region]
        values = radscore.contributions(features[list(region_columns(region))])[0]
        named = zip(radscore.selected_names, values.tolist(), strict=True)
        drivers[region] = tuple(sorted(named, key=lambda pair: (-abs(pair[1]), pair[0])))
    return drivers


def _card(bundle: Bundle) -> ModelCard:
    """The bundle's card, in plain text: the UIDs of DICOM objects depend on its `repr`."""
    manifest = bundle.manifest
    trained = manifest.trained_on
    return ModelCard(
        name=manifest.name,
        sha256=bundle.sha256,
        protocol=str(manifest.protocol),
        network=str(manifest.network),
        backbone=manifest.backbone,
        weights=manifest.weights,
        preprocessing=str(manifest.preprocessing),
        synthetic=manifest.synthetic,
        trained_on=f"{trained['training_patients']} patients of {trained['cohort']}, "
        f"{trained['held_out_patients']} held out",
    )
