"""From a cohort's features, patches and labels to a bundle, by the strict or the paper protocol.

What a later stage is trained on is out of fold in `strict`: scores of a training patient come from models that never
saw that patient. `paper` trains the classifiers on the training patients' own scores, as the paper states.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from DeepRadScoreLib.analysis import SYNTHETIC_LABEL
from DeepRadScoreLib.bundle import MODELS, Bundle, EndpointCard, EndpointModel, Manifest, ValidationCard
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import CohortError, TooFewPositivesError
from DeepRadScoreLib.fusion.columns import DeepColumns, NetworkOutputs, RegionScores
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.imaging import Preprocessing
from DeepRadScoreLib.radscore.selection import icc31, modelling_rule
from DeepRadScoreLib.study.cohort import Cohort
from DeepRadScoreLib.study.features import CohortFeatures
from DeepRadScoreLib.study.networks import NetworkPlan, Networks, fit_fold_networks, fit_frozen_network, fit_joint_network
from DeepRadScoreLib.study.splits import holdout, stratified_folds
from DeepRadScoreLib.study.statistics import auc_interval

FEWEST_TEST_POSITIVES = 5
BACKGROUND_ROWS = 50
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainingPlan:
    """All settings of a training run; two runs with the same plan and data give the same bundle."""

    protocol: Literal["strict", "paper"] = "strict"
    preprocessing: Preprocessing = "canonical"
    shell_mm: float = 3.0
    network: NetworkPlan = NetworkPlan()
    folds: int = 5
    repeats: int = 10
    search: Literal["coarse", "quick"] = "coarse"
    held_out_share: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class StudyData:
    """The computed cases of a cohort: features (n x 1702), patches (n, 160, 160) HU, labels (n x 10), patients (n,)."""

    features: pd.DataFrame
    patches: np.ndarray
    labels: pd.DataFrame
    patients: np.ndarray
    repeats: np.ndarray | None

    @classmethod
    def of(cls, cohort: Cohort, computed: CohortFeatures) -> StudyData:
        rows = computed.rows
        return cls(
            computed.features,
            computed.patches,
            cohort.labels.iloc[rows].set_axis(computed.features.index),
            cohort.table["patient_id"].to_numpy()[rows],
            computed.repeats,
        )

    def part(self, rows: np.ndarray) -> StudyData:
        """The cases at `rows` (positions or a bool mask)."""
        return StudyData(
            self.features.iloc[rows],
            self.patches[rows],
            self.labels.iloc[rows],
            self.patients[rows],
            None if self.repeats is None else self.repeats[rows],
        )


@dataclass(frozen=True)
class TrainingResult:
    """The bundle, and the held-out cases' scores: case_id, endpoint, model, label, score, probability."""

    bundle: Bundle
    held_out: pd.DataFrame


@dataclass(frozen=True)
class _Stage:
    """What the classifiers of one endpoint are trained on, and how the shipped model makes the same columns."""

    key: str
    rows: np.ndarray
    labels: np.ndarray
    columns: dict[str, np.ndarray]
    regions: RegionScores
    fold_regions: tuple[RegionScores, ...]
    deep: DeepColumns


def train_bundle(
    cohort: Cohort, computed: CohortFeatures, plan: TrainingPlan, *, work: Path, jobs: int, progress: Progress
) -> TrainingResult:
    """Train on the cohort, judge on its held-out part, and return the bundle. `work` keeps what a killed run had.

    Raises
    ------
    CohortError: no endpoint has enough patients, or the training or the held-out part is empty.
    """
    data = StudyData.of(cohort, computed)
    test = _held_out_rows(cohort, computed, data, plan)
    training, testing = data.part(~test), data.part(test)
    rules, cards = _rules(training.labels)
    if not rules:
        raise CohortError(
            "no endpoint has 10 patients of either class in the training part",
            where=str(cohort.path),
            mend="add labelled cases",
        )
    build = _strict_stages if plan.protocol == "strict" else _paper_stages
    networks, deep_ct_networks, stages = build(training, rules, plan, work, jobs, progress)
    fusions = _fit_fusions(stages, training.patients, plan, jobs, progress)
    models = {stage.key: _endpoint_model(stage, fusions[stage.key]["deep-radscore"], plan.seed) for stage in stages}
    progress("judging on the held-out cases", 0, 1)
    held_out = _judge(stages, models, fusions, networks, deep_ct_networks, training, testing, cards)
    progress("judging on the held-out cases", 1, 1)
    for stage in stages:
        cards[stage.key] = _describe(cards[stage.key], rules[stage.key], fusions[stage.key])
    manifest = _manifest(cohort, computed, plan, networks, cards, training, testing)
    return TrainingResult(Bundle(manifest, networks.members, models), held_out)


def _held_out_rows(cohort: Cohort, computed: CohortFeatures, data: StudyData, plan: TrainingPlan) -> np.ndarray:
    split = cohort.column("split").to_numpy()[computed.rows]
    if (split == "test").any():
        test = split == "test"
    else:
        test = holdout(data.labels.to_numpy(), data.patients, plan.held_out_share, plan.seed)
    if test.all() or not test.any():
        raise CohortError(
            "the training or the held-out part is empty", where=str(cohort.path), mend='correct the column "split"'
        )
    return test


def _rules(labels: pd.DataFrame) -> tuple[dict[str, str], dict[str, EndpointCard]]:
    rules, cards = {}, {}
    for key in KEYS:
        known = labels[key].dropna().to_numpy()
        counts = {"n": len(known), "positives": int(known.sum())}
        try:
            rules[key] = modelling_rule(known)
            cards[key] = EndpointCard(modelled=True, **counts)
        except TooFewPositivesError as error:
            cards[key] = EndpointCard(modelled=False, reason=str(error), **counts)
    return rules, cards


def _strict_stages(
    training: StudyData, rules: dict[str, str], plan: TrainingPlan, work: Path, jobs: int, progress: Progress
) -> tuple[Networks, Networks, list[_Stage]]:
    folds = stratified_folds(training.labels.to_numpy(), training.patients, plan.folds, plan.seed)
    regions = _fit_regions(training, rules, [*(train for train, _ in folds), None], plan, jobs, progress)
    keys = tuple(rules)
    labels = training.labels[list(keys)].to_numpy()
    if plan.network.form == "frozen":
        networks = fit_frozen_network(training.patches, labels, keys, plan.network, plan.seed)
    else:
        networks = fit_fold_networks(
            training.patches, labels, training.patients, keys, folds, plan.network, plan.seed, work, progress
        )
    stages = []
    for key in keys:
        known = training.labels[key].notna().to_numpy()
        radscores = np.full((len(known), 2), np.nan)
        for fold, (_, left_out) in enumerate(folds):
            radscores[left_out] = regions[key, fold].columns(training.features.iloc[left_out])
        deep = networks.out_of_fold[key]
        rows = np.flatnonzero(known)
        stages.append(
            _Stage(
                key,
                rows,
                training.labels[key].to_numpy()[rows].astype(int),
                _three_models(deep[rows], deep[rows], radscores[rows]),
                regions[key, len(folds)],
                tuple(regions[key, fold] for fold in range(len(folds))),
                networks.columns[key],
            )
        )
    return networks, networks, stages


def _paper_stages(
    training: StudyData, rules: dict[str, str], plan: TrainingPlan, work: Path, jobs: int, progress: Progress
) -> tuple[Networks, Networks, list[_Stage]]:
    regions = _fit_regions(training, rules, [None], plan, jobs, progress)
    keys = tuple(rules)
    labels = training.labels[list(keys)].to_numpy()
    own = {key: regions[key, 0].columns(training.features) for key in keys}
    radscores = np.stack([own[key] for key in keys], axis=1)
    settings = (training.patients, keys, plan.network, plan.seed, work, progress)
    image_only = fit_joint_network(training.patches, labels, None, *settings)
    joint = fit_joint_network(training.patches, labels, radscores, *settings)
    stages = []
    for key in keys:
        rows = np.flatnonzero(training.labels[key].notna().to_numpy())
        stages.append(
            _Stage(
                key,
                rows,
                training.labels[key].to_numpy()[rows].astype(int),
                _three_models(joint.out_of_fold[key][rows], image_only.out_of_fold[key][rows], own[key][rows]),
                regions[key, 0],
                (),
                joint.columns[key],
            )
        )
    return joint, image_only, stages


def _three_models(joint: np.ndarray, image_only: np.ndarray, radscores: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(MODELS, (radscores, image_only, np.hstack([joint, radscores])), strict=True))


def _fit_regions(
    training: StudyData,
    rules: dict[str, str],
    parts: Sequence[np.ndarray | None],
    plan: TrainingPlan,
    jobs: int,
    progress: Progress,
) -> dict[tuple[str, int], RegionScores]:
    """RadScores of every endpoint on every part of the training cases (None: all of them)."""
    tasks = [(key, number, part) for key in rules for number, part in enumerate(parts)]
    fitted = Parallel(n_jobs=jobs, return_as="generator", inner_max_num_threads=1)(
        delayed(_fit_one_region)(training, key, rules[key], part, plan.seed) for key, _, part in tasks
    )
    result = {}
    for done, ((key, number, _), regions) in enumerate(zip(tasks, fitted, strict=True), start=1):
        result[key, number] = regions
        progress("selecting features and adding up RadScores", done, len(tasks))
    return result


def _fit_one_region(
    training: StudyData, key: str, rule: str, part: np.ndarray | None, seed: int
) -> RegionScores:
    chosen = training if part is None else training.part(part)
    known = chosen.labels[key].notna().to_numpy()
    chosen = chosen.part(known)
    return RegionScores.fit(
        chosen.features,
        chosen.labels[key].to_numpy().astype(int),
        chosen.patients,
        rule=rule,
        seed=seed,
        repeatable=_repeatable(chosen),
    )


def _repeatable(part: StudyData) -> np.ndarray | None:
    if part.repeats is None:
        return None
    both = ~np.isnan(part.repeats).any(axis=1)
    if both.sum() < 3:
        return None
    return icc31(part.features.to_numpy()[both], part.repeats[both]) >= 0.75


def _fit_fusions(
    stages: list[_Stage], patients: np.ndarray, plan: TrainingPlan, jobs: int, progress: Progress
) -> dict[str, dict[str, FusionModel]]:
    tasks = [(stage, name) for stage in stages for name in MODELS]
    model = FusionModel(search=plan.search, folds=5, repeats=plan.repeats, seed=plan.seed)
    fitted = Parallel(n_jobs=jobs, return_as="generator", inner_max_num_threads=1)(
        delayed(_fit_fusion)(model, stage.columns[name], stage.labels, patients[stage.rows]) for stage, name in tasks
    )
    result: dict[str, dict[str, FusionModel]] = {stage.key: {} for stage in stages}
    for done, ((stage, name), fusion) in enumerate(zip(tasks, fitted, strict=True), start=1):
        result[stage.key][name] = fusion
        progress("comparing seven classifiers", done, len(tasks))
    return result


def _fit_fusion(model: FusionModel, columns: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> FusionModel:
    return model.fit(columns, labels, groups=patients)


def _endpoint_model(stage: _Stage, fusion: FusionModel, seed: int) -> EndpointModel:
    columns = stage.columns["deep-radscore"]
    chosen = np.random.default_rng(seed).permutation(len(columns))[:BACKGROUND_ROWS]
    return EndpointModel(
        stage.key, stage.regions, stage.fold_regions, stage.deep, fusion, np.round(columns[np.sort(chosen)], 6)
    )


def _judge(
    stages: list[_Stage],
    models: dict[str, EndpointModel],
    fusions: dict[str, dict[str, FusionModel]],
    networks: Networks,
    deep_ct_networks: Networks,
    training: StudyData,
    testing: StudyData,
    cards: dict[str, EndpointCard],
) -> pd.DataFrame:
    outputs = networks.outputs(testing.patches)
    image_only = outputs if deep_ct_networks is networks else deep_ct_networks.outputs(testing.patches)
    tables = []
    for stage in stages:
        known = testing.labels[stage.key].notna().to_numpy()
        part = testing.part(known)
        if not known.any():
            continue
        joint = models[stage.key].columns(testing.features, outputs)[known]
        deep = deep_ct_networks.columns[stage.key].columns(image_only, stage.key)[known]
        columns = _three_models(joint[:, : -2], deep, joint[:, -2:])
        labels = part.labels[stage.key].to_numpy().astype(int)
        validation = {}
        for name in MODELS:
            fusion = fusions[stage.key][name]
            scores = fusion.decision_function(columns[name])
            validation[name] = _validation(labels, scores)
            tables.append(
                pd.DataFrame(
                    {
                        "case_id": part.features.index,
                        "endpoint": stage.key,
                        "model": name,
                        "label": labels,
                        "score": scores,
                        "probability": fusion.predict_proba(columns[name])[:, 1],
                    }
                )
            )
        shift = _shift(models[stage.key].names, stage.columns["deep-radscore"], columns["deep-radscore"])
        cards[stage.key] = cards[stage.key].model_copy(update={"validation": validation, "shift": shift})
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _validation(labels: np.ndarray, scores: np.ndarray) -> ValidationCard:
    counts = {"n": len(labels), "positives": int(labels.sum())}
    if counts["positives"] in (0, counts["n"]):
        return ValidationCard(flag="validation_one_class", **counts)
    if counts["positives"] < FEWEST_TEST_POSITIVES:
        return ValidationCard(flag="validation_few_positives", **counts)
    estimate = auc_interval(labels, scores)
    return ValidationCard(auc=estimate.auc, auc_ci=(estimate.low, estimate.high), **counts)


def _shift(names: Sequence[str], training: np.ndarray, testing: np.ndarray) -> dict[str, tuple[float, float]]:
    """Per column: difference of the means (held-out less training, in training SDs) and ratio of the SDs."""
    sd = np.where(training.std(axis=0) > 0, training.std(axis=0), 1.0)
    difference = (testing.mean(axis=0) - training.mean(axis=0)) / sd
    ratio = testing.std(axis=0) / sd
    return {name: (float(difference[i]), float(ratio[i])) for i, name in enumerate(names)}


def _describe(card: EndpointCard, rule: str, fusions: dict[str, FusionModel]) -> EndpointCard:
    return card.model_copy(
        update={
            "rule": rule,
            "classifier": {name: fusion.classifier_ for name, fusion in fusions.items()},
            "cv_auc": {name: float(np.mean(fusion.cv_auc_[fusion.classifier_])) for name, fusion in fusions.items()},
        }
    )


def _manifest(
    cohort: Cohort,
    computed: CohortFeatures,
    plan: TrainingPlan,
    networks: Networks,
    cards: dict[str, EndpointCard],
    training: StudyData,
    testing: StudyData,
) -> Manifest:
    sites = cohort.column("site").iloc[computed.rows]
    packages = ("DeepRadScore", "numpy", "scikit-learn", "torch", "torchvision", "pyradiomics-bhklab", "SimpleITK")
    return Manifest(
        schema="deepradscore.bundle/1",
        name="Deep-RadScore",
        label=SYNTHETIC_LABEL if computed.synthetic else None,
        protocol=plan.protocol,
        network=plan.network.form,
        backbone=plan.network.backbone,
        weights=networks.weights,
        pixels=plan.network.pixels,
        preprocessing=plan.preprocessing,
        shell_mm=plan.shell_mm,
        seed=plan.seed,
        synthetic=computed.synthetic,
        settings=_plain(plan),
        trained_on={
            "cohort": cohort.path.name,
            "training_patients": len(set(training.patients)),
            "held_out_patients": len(set(testing.patients)),
            "cases": len(computed.rows),
            "left_out": computed.failed,
            "sites": {str(site): int(count) for site, count in sites.value_counts().sort_index().items()},
            "pdl1_rules": cohort.pdl1_rules,
            "cd8a_cut": None if np.isnan(cohort.cd8a_cut) else cohort.cd8a_cut,
        },
        endpoints=cards,
        versions={name: _version(name) for name in packages},
    )


def _plain(plan: TrainingPlan) -> dict:
    weights = plan.network.weights
    named = weights if weights in ("none", "imagenet") else Path(weights).name
    return asdict(replace(plan, network=replace(plan.network, weights=named, device="")))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def work_key(cohort: Cohort, computed: CohortFeatures, plan: TrainingPlan) -> str:
    """Names the work folder of a run: another plan or other data never take up its parts."""
    digest = hashlib.sha256(repr(_plain(plan)).encode())
    digest.update(np.ascontiguousarray(computed.features.to_numpy()))
    digest.update(np.ascontiguousarray(computed.patches))
    digest.update(cohort.labels.to_numpy().tobytes())
    digest.update(repr(cohort.column("split").tolist() + cohort.column("patient_id").tolist()).encode())
    return digest.hexdigest()[:16]
