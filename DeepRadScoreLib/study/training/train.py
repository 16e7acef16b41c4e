"""Training of a bundle on a cohort, judged on its held-out patients."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from DeepRadScoreLib.bundles.bundle import Bundle
from DeepRadScoreLib.bundles.manifest import SCHEMA, EndpointCard, Manifest, ValidationCard
from DeepRadScoreLib.cohort.table import Cohort, read_cohort
from DeepRadScoreLib.computing.extraction import CohortFeatures, extract_cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.extras import LEARNING, require
from DeepRadScoreLib.fusion.endpoint_model import EndpointModel
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.imaging.origin import synthetic_label
from DeepRadScoreLib.models import Flag, Model, Protocol
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreLib.provenance import BUNDLE_PACKAGES, ENGINE_PACKAGES, code_digest, versions
from DeepRadScoreLib.radscore.selection import Rule
from DeepRadScoreLib.statistics.auc import auc_interval
from DeepRadScoreLib.study.confounders import find_confounders
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.duplicates import find_duplicates, refuse_duplicates
from DeepRadScoreLib.study.plans import TrainingPlan
from DeepRadScoreLib.study.splits import holdout
from DeepRadScoreLib.study.training.calibrating import calibrate
from DeepRadScoreLib.study.training.confounding import followed_confounders
from DeepRadScoreLib.study.training.fitted import EndpointStage, FittedModels, predict_by_patient
from DeepRadScoreLib.study.training.fitting import find_rules, fit_possible_models, join_reasons
from DeepRadScoreLib.study.training.limits import training_limits
from DeepRadScoreLib.study.training.networks import Networks

MIN_TEST_POSITIVES = 5
BACKGROUND_ROWS = 50
HELD_OUT_COLUMNS = ("patient_id", "case_id", "endpoint", "model", "label", "score", "probability")


@dataclass(frozen=True)
class TrainingResult:
    """Result of a training.

    Attributes
    ----------
    held_out: the held-out patients' scores, `HELD_OUT_COLUMNS`; of several cases see `by_patient`.
    left_out: case_id -> why this case could not be used.
    excluded: those left out for their quality: case_id -> code.
    duplicates: sentences on patients with the same image or features, who are counted as two.
    column_notes: a sentence on each source of labels that holds more than numbers but was read as such.

    Examples
    --------
    See `examples/2_own_cohort.py`.
    """

    bundle: Bundle
    held_out: pd.DataFrame = field(repr=False)
    left_out: dict[str, str]
    excluded: dict[str, str] = field(default_factory=dict)
    duplicates: tuple[str, ...] = ()
    column_notes: tuple[str, ...] = ()


def train_from_table(
    table: Path,
    out: Path | None,
    plan: TrainingPlan,
    run: Run,
    *,
    cd8a_cut: float | None = None,
    exclude_quality: Sequence[str] = (),
) -> TrainingResult:
    """Train on a cohort table; the bundle is written if `out` is given. An interrupted run
    resumes; equal runs wait for each other.

    Cases with one of the quality codes `exclude_quality` are left out.

    Raises
    ------
    CohortError: the table cannot be used, or what `train_bundle` raises.
    InputError: settings that cannot work (see `TrainingPlan.check`).
    """
    require("study", "training", *LEARNING)
    cohort = read_cohort(table, needs=("case_id", "patient_id", "ct", "mask"), cd8a_cut=cd8a_cut)
    plan.check()
    computed = extract_cohort(cohort, run, plan.cases, jitter=plan.stable_features, seed=plan.seed)
    computed = computed.excluding(exclude_quality, table)
    run = run.within("runs").within(_work_key(cohort, computed, plan))
    with run.alone():
        result = train_bundle(cohort, computed, plan, run)
        if out is not None:
            result.bundle.save(out)
    return result


@threadpool_limits.wrap(limits=1, user_api="blas")
def train_bundle(cohort: Cohort, computed: CohortFeatures, plan: TrainingPlan, run: Run) -> TrainingResult:
    """Train on the cohort, judge on its test set, and return the bundle.

    The plan is one that its `check` lets pass.

    Raises
    ------
    CohortError: no endpoint has enough patients or can be fitted, the training or the test set is empty, or two
        patients with the same image or features are, or may be, in both.
    """
    data = StudyData.of(cohort, computed)
    test = _held_out(cohort, data, plan)
    subsets = pd.Series(test) if _held_out_by(cohort) == "split column" else None
    duplicates = refuse_duplicates(find_duplicates(data, computed.fingerprints), subsets, cohort.path)
    training, testing = data.subset(~test), data.subset(test)
    rules, cards = _rules(training)
    if not rules:
        raise CohortError(
            "no endpoint has 10 patients of either class in the training part",
            where=cohort.path,
            mend="add labelled cases",
        )
    fitted, refused = fit_possible_models(training, rules, plan, run)
    for key, reason in refused.items():
        cards[key] = cards[key].model_copy(update={"modelled": False, "reason": reason})
    if fitted is None:
        raise CohortError(
            f"no endpoint can be modelled: {join_reasons(refused)}",
            where=cohort.path,
            mend="mend these or add other endpoints",
        )
    networks = fitted.networks
    if networks is None:
        raise CohortError("a bundle needs images", where=cohort.path, mend="give the columns ct and mask")
    models = {
        stage.key: _endpoint_model(stage, fitted.fusions[stage.key][Model.FUSED], plan.seed) for stage in fitted.stages
    }
    run.report(Progress(Stage.HELD_OUT))
    unseen = fitted.columns(testing, fitted.outputs(testing.patches))
    calibrations = calibrate(fitted, training, unseen) if plan.protocol == Protocol.STRICT else {}
    held_out, judged = _judge(fitted, models, testing, unseen)
    run.report(Progress(Stage.HELD_OUT, done=1))
    known = find_confounders(cohort, data.case_ids, computed.acquisitions, computed.measures)
    followed = followed_confounders(training, known, models, plan, run)
    for key in models:
        fields = _described(rules[key], fitted.fusions[key]) | judged.get(key, {})
        fields |= {"calibration": calibrations.get(key), "confounders": followed[key]}
        cards[key] = cards[key].model_copy(update=fields)
    manifest = _manifest(cohort, computed, plan, networks, cards, training, testing, len(duplicates))
    limits = training_limits(training, computed, fitted, models, plan)
    bundle = Bundle(manifest, networks.members, models).with_limits(limits)
    sentences = tuple(each.sentence for each in duplicates)
    return TrainingResult(bundle, held_out, computed.left_out, computed.excluded, sentences, cohort.notes)


def _held_out(cohort: Cohort, data: StudyData, plan: TrainingPlan) -> np.ndarray:
    """Which cases of `data` are held out, bool (n,)."""
    if _held_out_by(cohort) == "split column":
        test = (cohort.column("split").loc[data.case_ids] == "test").to_numpy()
    else:
        test = holdout(data.labels.to_numpy(), data.patients.to_numpy(), plan.held_out_share, plan.seed)
    if test.all() or not test.any():
        raise CohortError(
            "the training or the held-out part is empty", where=cohort.path, mend='correct the column "split"'
        )
    return test


def _held_out_by(cohort: Cohort) -> str:
    return "split column" if (cohort.column("split") == "test").any() else "random"


def _rules(training: StudyData) -> tuple[dict[str, Rule], dict[str, EndpointCard]]:
    rules, reasons = find_rules(training)
    labels = {key: training.labels_of_patients(key) for key in KEYS}
    return rules, {
        key: EndpointCard(modelled=key in rules, reason=reasons.get(key), n=len(of_key), positives=int(of_key.sum()))
        for key, of_key in labels.items()
    }


def _endpoint_model(stage: EndpointStage, fusion: FusionModel, seed: int) -> EndpointModel:
    columns = stage.columns[Model.FUSED]
    chosen = np.random.default_rng(seed).permutation(len(columns))[:BACKGROUND_ROWS]
    if stage.regions is None or stage.deep is None:
        raise ValueError("a bundle's model needs radiomics and images")
    return EndpointModel(
        stage.key, stage.regions, stage.fold_regions, stage.deep, fusion, np.round(columns[np.sort(chosen)], 6)
    )


def _judge(
    fitted: FittedModels,
    models: dict[str, EndpointModel],
    testing: StudyData,
    columns: dict[str, dict[str, np.ndarray]],
) -> tuple[pd.DataFrame, dict[str, dict]]:
    """The held-out patients' scores, and endpoint -> what its card learns from them. `columns`: of the same cases."""
    tables = []
    judged = {}
    for stage in fitted.stages:
        known = testing.labelled(stage.key).rows
        if not known.any():
            continue
        validation = {}
        for name, fusion in fitted.fusions[stage.key].items():
            table = predict_by_patient(fusion, columns[stage.key][name], testing, stage.key)
            validation[name] = validation_card(table)
            tables.append(table.assign(endpoint=stage.key, model=name)[list(HELD_OUT_COLUMNS)])
        unseen = np.concatenate(columns[stage.key][Model.FUSED][:, known])
        shift = _shift(models[stage.key].names, stage.columns[Model.FUSED], unseen)
        judged[stage.key] = {"validation": validation, "shift": shift}
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(), judged


def validation_card(patients: pd.DataFrame) -> ValidationCard:
    """AUC of held-out patients, one row of `label` and `score` each, or the flag that says why it is not given."""
    labels, scores = patients["label"].to_numpy(), patients["score"].to_numpy()
    n, positives = len(labels), int(labels.sum())
    if positives in (0, n):
        return ValidationCard(flag=Flag.VALIDATION_ONE_CLASS, n=n, positives=positives)
    if min(positives, n - positives) < MIN_TEST_POSITIVES:
        return ValidationCard(flag=Flag.VALIDATION_FEW_POSITIVES, n=n, positives=positives)
    estimate = auc_interval(labels, scores)
    return ValidationCard(auc=estimate.auc, auc_ci=(estimate.low, estimate.high), n=n, positives=positives)


def _shift(names: Sequence[str], training: np.ndarray, testing: np.ndarray) -> dict[str, tuple[float, float]]:
    """Per column: difference of the means (held-out less training, in training SDs) and ratio of the SDs."""
    sd = np.where(training.std(axis=0) > 0, training.std(axis=0), 1.0)
    difference = (testing.mean(axis=0) - training.mean(axis=0)) / sd
    ratio = testing.std(axis=0) / sd
    return {name: (float(difference[i]), float(ratio[i])) for i, name in enumerate(names)}


def _described(rule: str, fusions: dict[str, FusionModel]) -> dict[str, object]:
    """Fields of a card that describe the fit."""
    return {
        "rule": rule,
        "classifier": {name: fusion.classifier_ for name, fusion in fusions.items()},
        "cv_auc": {name: float(np.mean(fusion.cv_auc_[fusion.classifier_])) for name, fusion in fusions.items()},
    }


def _manifest(
    cohort: Cohort,
    computed: CohortFeatures,
    plan: TrainingPlan,
    networks: Networks,
    cards: dict[str, EndpointCard],
    training: StudyData,
    testing: StudyData,
    duplicates: int,
) -> Manifest:
    case_ids, synthetic = computed.features.index, bool(computed.synthetic.any())
    sites = cohort.table["patient_id"].loc[case_ids].groupby(cohort.column("site").loc[case_ids]).nunique()
    return Manifest(
        schema=SCHEMA,
        name="Deep-RadScore",
        label=synthetic_label(synthetic),
        protocol=plan.protocol,
        network=plan.network.form,
        backbone=plan.network.backbone,
        weights=networks.weights,
        pixels=plan.network.pixels,
        preprocessing=plan.cases.preprocessing,
        engine=plan.cases.engine,
        shell_mm=plan.cases.shell_mm,
        seed=plan.seed,
        synthetic=synthetic,
        settings=plan.plain(),
        trained_on={
            "cohort": cohort.path.name,
            "cohort_sha256": cohort.sha256,
            "training_patients": len(set(training.patients)),
            "held_out_patients": len(set(testing.patients)),
            "held_out_by": _held_out_by(cohort),
            "duplicates": duplicates,
            "lung_masks": int((cohort.column("lung_mask").loc[case_ids] != "").sum()),
            "cases": len(case_ids),
            "left_out": computed.left_out,
            "left_out_by_quality": computed.left_out_by_quality,
            "quality": computed.notes.cases_by_code(),
            "sites": {str(site): int(count) for site, count in sites.items()},
            "pdl1_rules": cohort.pdl1_rules,
            "cd8a_cut": None if np.isnan(cohort.cd8a_cut) else cohort.cd8a_cut,
        },
        endpoints=cards,
        versions=versions((*BUNDLE_PACKAGES, *ENGINE_PACKAGES[plan.cases.engine])),
    )


def _work_key(cohort: Cohort, computed: CohortFeatures, plan: TrainingPlan) -> str:
    """Name of a run's folder of finished units, derived from the code, the plan and the data."""
    digest = hashlib.sha256((code_digest() + repr(plan.plain())).encode())
    digest.update(repr(list(computed.features.index)).encode())
    digest.update(computed.features.to_numpy().tobytes())
    digest.update(computed.patches.tobytes())
    digest.update(cohort.labels.to_numpy().tobytes())
    digest.update(repr(cohort.column("split").tolist() + cohort.column("patient_id").tolist()).encode())
    return digest.hexdigest()[:16]
