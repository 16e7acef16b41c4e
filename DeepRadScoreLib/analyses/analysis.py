"""The analysis of one case in short steps that can be shown and cancelled; its value is a profile. Writes nothing."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit

from DeepRadScoreLib.analyses.comparison import Comparison, compare
from DeepRadScoreLib.analyses.findings import Finding, LabelSet, ModelCard, MolecularProfile, Validation
from DeepRadScoreLib.endpoints import BY_KEY, KEYS, Endpoint
from DeepRadScoreLib.imaging import Case, PreparedCase, QualityNote, prepare_steps
from DeepRadScoreLib.imaging.fingerprint import image_digest
from DeepRadScoreLib.imaging.origin import is_synthetic
from DeepRadScoreLib.models import DEFAULT_ENGINE, Engine, Flag, Model, Preprocessing, better_than_chance
from DeepRadScoreLib.prevalence import NO_PREVALENCE, prevalence_shift
from DeepRadScoreLib.progress import Progress, Stage, in_stage, map_steps
from DeepRadScoreLib.provenance import CASE_PACKAGES, ENGINE_PACKAGES, Provenance, versions
from DeepRadScoreLib.radscore.extraction import FEATURE_STEPS, cores, feature_steps
from DeepRadScoreLib.radscore.names import REGIONS, Region
from DeepRadScoreLib.radscore.radscore import sums
from DeepRadScoreLib.radscore.rows import FeatureRows, Features
from DeepRadScoreLib.statistics.probability_interval import METHOD
from DeepRadScoreLib.version import __version__

if TYPE_CHECKING:
    from DeepRadScoreLib.bundles.bundle import Bundle
    from DeepRadScoreLib.bundles.manifest import CalibrationCard, EndpointCard
    from DeepRadScoreLib.deepct.outputs import NetworkOutputs
    from DeepRadScoreLib.fusion.endpoint_model import EndpointModel

MIN_VISIBLE = 0.01
"""Probabilities are shown in whole percents: smaller differences do not show."""


def steps(
    case: Case,
    bundle: Bundle | None = None,
    *,
    preprocessing: Preprocessing = Preprocessing.CANONICAL,
    shell_mm: float = 3.0,
    engine: Engine = DEFAULT_ENGINE,
    prevalence: Mapping[str, float] = NO_PREVALENCE,
) -> Generator[Progress, None, MolecularProfile]:
    """Analyse one case in short steps; each event is yielded before its work is done. The value is the profile.

    A bundle sets preprocessing and shell thickness (mm); without one the findings are None, flag `no_model`. `engine`
    need not be that of the bundle's training: the engines' values are equal to 1e-6.
    `prevalence`: endpoint -> share of positives among patients like this one, in place of the training's.
    """
    if bundle is not None:
        preprocessing, shell_mm = bundle.manifest.preprocessing, bundle.manifest.shell_mm
        case = _with_lung_note(case, bundle)
    preparing = prepare_steps(case, preprocessing=preprocessing, shell_mm=shell_mm)
    prepared = yield from in_stage(preparing, Stage.ANALYSING, 0, 10, expected=9)
    extracting = feature_steps(prepared, engine, threads=cores())
    features = yield from in_stage(extracting, Stage.ANALYSING, 10, 70, FEATURE_STEPS[engine])
    yield Progress(Stage.ANALYSING, "naming the images by their content", 70, 100)
    profile = MolecularProfile(
        case_id=case.case_id,
        prepared=prepared,
        features=features,
        quality=prepared.quality,
        findings={key: Finding(key, flags=(Flag.NO_MODEL,)) for key in KEYS},
        model=None,
        synthetic_case=is_synthetic(case.ct),
        engine=engine,
        provenance=_provenance(case, prepared, engine),
    )
    if bundle is None:
        return profile
    networks = sum(len(member) for member in bundle.networks)
    expected = 3 + networks + len(KEYS) + len(bundle.endpoints)
    finding = finding_steps(bundle, profile, prevalence)
    modelled = yield from in_stage(finding, Stage.ANALYSING, 70, 100, expected)
    return replace(modelled, model=_card(bundle), prevalence=dict(prevalence))


def _provenance(case: Case, prepared: PreparedCase, engine: Engine) -> Provenance:
    images = {"ct": case.ct, "mask": case.tumour, "lung_mask": case.lung}
    return Provenance(
        program=__version__,
        versions=versions(sorted({*CASE_PACKAGES, *ENGINE_PACKAGES[engine]} - {"DeepRadScore"})),
        inputs={name: image_digest(image) for name, image in images.items() if image is not None},
        settings={
            "preprocessing": prepared.preprocessing,
            "engine": engine,
            "shell_mm": prepared.shell_mm,
            **case.settings,
        },
    )


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


def finding_steps(
    bundle: Bundle,
    profile: MolecularProfile,
    prevalence: Mapping[str, float] = NO_PREVALENCE,
    *,
    explained: bool = True,
) -> Generator[str, None, MolecularProfile]:
    """A profile that has features, with likeness and findings; if `explained`, with SHAP values and heat maps too."""
    if bundle.networks:
        yield "loading the network library"
    read = yield from bundle.network_steps(profile.prepared.patch.hu[None], maps=explained)
    yield "comparing with the training cases"
    row = FeatureRows.of_case(profile.features)
    columns = bundle.columns(row, read.outputs)
    compared = compare(bundle, profile.prepared, row.table(), read.outputs, columns)
    codes = tuple(note.code for note in profile.quality)
    findings = yield from _findings(bundle, row, read.outputs, columns, compared, codes, prevalence)
    found = replace(profile, quality=(*profile.quality, *compared.notes), likeness=compared.likeness, findings=findings)
    if not explained:
        return found
    findings = yield from _explained_findings(bundle, findings, columns)
    maps, note = _heat_maps(bundle, read.maps, profile.prepared.patch.hu.shape)
    return replace(found, findings=findings, gradcam=maps, gradcam_note=note)


def _findings(
    bundle: Bundle,
    features: Features,
    outputs: list[NetworkOutputs],
    columns: Mapping[str, np.ndarray],
    compared: Comparison,
    codes: tuple[str, ...] = (),
    prevalence: Mapping[str, float] = NO_PREVALENCE,
) -> Generator[str, None, dict[str, Finding]]:
    """Endpoint -> finding; `columns` are those of `Bundle.columns`, `codes` those of the case's quality notes."""
    cards = bundle.manifest.endpoints
    withheld = {
        key: bundle.manifest.withheld(key, codes) + ((Flag.UNLIKE_TRAINING,) if key in compared.unlike else ())
        for key in bundle.endpoints
    }
    findings = {}
    for key in KEYS:
        yield f"finding: {BY_KEY[key].name}"
        if key in bundle.endpoints:
            of_case = (features, outputs, columns[key], withheld[key], prevalence.get(key))
            findings[key] = _finding(bundle.endpoints[key], cards[key], *of_case)
        else:
            findings[key] = Finding(key, flags=(Flag.NOT_MODELLED,))
    return findings


def _explained_findings(
    bundle: Bundle, findings: dict[str, Finding], columns: Mapping[str, np.ndarray]
) -> Generator[str, None, dict[str, Finding]]:
    """The findings, those that have a probability with their SHAP values."""
    given = [key for key, finding in findings.items() if finding.probability is not None]
    explained = dict(findings)
    for key in given:
        explained[key] = yield from _explained(findings[key], bundle.endpoints[key], columns[key])
    return explained


def _explained(finding: Finding, model: EndpointModel, columns: np.ndarray) -> Generator[str, None, Finding]:
    """A finding with the SHAP values of its fused model's columns (members, 1, d)."""
    label = f"SHAP values: {BY_KEY[model.key].name}"
    yield label
    from DeepRadScoreLib.fusion.explain import explain_mean_steps

    explaining = explain_mean_steps(model.fusion, model.background, columns)
    shap = yield from map_steps(explaining, lambda detail: f"{label}, {detail}")
    values = dict(zip(model.names, shap.values[0].tolist(), strict=True))
    return replace(finding, shap=values, shap_base=float(shap.base))


def _heat_maps(
    bundle: Bundle, each: list[dict[str, np.ndarray]], shape: tuple[int, ...]
) -> tuple[dict[str, np.ndarray], str]:
    """Heat maps of all endpoints from those of each fold's networks, and how they were made; none without networks."""
    if not each or not each[0]:
        return {}, ""
    from DeepRadScoreLib.deepct.gradcam import draw

    rows, columns = next(reversed(each[0].values())).shape
    note = f"The map has {rows} x {columns} cells, drawn smoothly over the 160 x 160 patch"
    if len(each) > 1:
        note += f"; it is the mean of the maps of {len(each)} fold networks"
    if bundle.readouts:
        note += "; a logistic read-out on the pooled features stands for the logit of the untrained network"
    return draw(each, shape), f"{note}."


def _finding(
    model: EndpointModel,
    card: EndpointCard,
    features: Features,
    outputs: list[NetworkOutputs],
    columns: np.ndarray,
    withheld: tuple[Flag, ...] = (),
    prevalence: float | None = None,
) -> Finding:
    """One endpoint's finding, without SHAP values, from its fused model's `columns` (members, 1, d).

    It has no probability where flags in `withheld` say why. `prevalence` takes the place of the training's.
    """
    contributions = model.regions.contributions(features)
    held_out = card.validation.get(Model.FUSED)
    known = Finding(
        model.key,
        flags=(*withheld, *(flag for flag in _flags(model, card) if flag not in withheld)),
        radscore_tumour=float(sums(contributions["tumour"])[0]),
        radscore_peritumoral=float(sums(contributions["peritumoral"])[0]),
        drivers=_drivers(model, contributions),
        validation=None if held_out is None else Validation(**held_out.model_dump(exclude={"flag"})),
    )
    if model.fusion.no_signal_ or withheld:
        return known
    endpoint = BY_KEY[model.key]
    scores = model.fusion.member_scores(columns)
    log_odds = float(model.fusion.log_odds(scores.mean(axis=0))[0])
    of_folds = model.fold_log_odds(features, outputs, scores)[:, 0]
    shift = prevalence_shift(prevalence, model.fusion.prevalence_)
    spread = (float(expit(of_folds.min() + shift)), float(expit(of_folds.max() + shift))) if len(of_folds) else None
    probability = float(expit(log_odds + shift))
    outside = spread is not None and not spread[0] - MIN_VISIBLE <= probability <= spread[1] + MIN_VISIBLE
    threshold = float(model.fusion.threshold_)
    positive = expit(log_odds) >= threshold
    return replace(
        known,
        probability=probability,
        threshold=float(expit(logit(threshold) + shift)) if shift else threshold,
        decision=endpoint.positive if positive else endpoint.negative,
        spread=spread,
        flags=(*known.flags, Flag.OUTSIDE_SPREAD) if outside else known.flags,
        **_calibrated_fields(card.calibration, endpoint, log_odds, of_folds, shift),
    )


def _calibrated_fields(
    calibration: CalibrationCard | None, endpoint: Endpoint, log_odds: float, of_folds: np.ndarray, shift: float
) -> dict[str, Any]:
    """Label set and interval, where the bundle can give them. Another prevalence does not change a label set: its
    thresholds are those of each label's own patients."""
    if calibration is None:
        return {}
    kept = calibration.thresholds.keeps(float(expit(log_odds)))
    labels = tuple(word for word, stays in zip((endpoint.positive, endpoint.negative), kept, strict=True) if stays)
    found: dict[str, Any] = {"label_set": LabelSet(labels, calibration.level)}
    if len(of_folds) > 1:
        interval = calibration.interval(of_folds, shift)
        found |= {"interval": interval, "interval_method": METHOD}
    return found


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


def _drivers(
    model: EndpointModel, contributions: Mapping[Region, np.ndarray]
) -> dict[str, tuple[tuple[str, float], ...]]:
    drivers: dict[str, tuple[tuple[str, float], ...]] = {}
    for region in REGIONS:
        radscore = model.regions.radscores[region]
        named = zip(radscore.selected_names, contributions[region][0].tolist(), strict=True)
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
        engine=str(manifest.engine),
        limits=bundle.limits is not None,
    )
