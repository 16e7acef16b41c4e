"""Comparison of Deep-CT's backbones on one endpoint, all on the same splits (the paper's Table 2)."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError, InputError, TooFewPositivesError
from DeepRadScoreLib.models import NetworkForm
from DeepRadScoreLib.progress import Progress, Report, Stage
from DeepRadScoreLib.provenance import installed_version
from DeepRadScoreLib.radscore.selection import modelling_rule
from DeepRadScoreLib.statistics.auc import mean_auc, youden_threshold
from DeepRadScoreLib.statistics.metrics import decision_metrics
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.plans import NetworkPlan, TrainingPlan
from DeepRadScoreLib.study.splits import Fold, holdout
from DeepRadScoreLib.study.training.fitted import by_patient
from DeepRadScoreLib.study.training.networks import VALIDATION_SHARE, fit_frozen_network, fit_joint_network

SUBSETS = ("training", "validation", "test")
METRICS = ("accuracy", "sensitivity", "specificity", "ppv", "npv")
ALL_FOLDS = "all"
BACKBONE_COLUMNS: tuple[str, ...] = (
    *("backbone", "weights", "fold", "part", "n", "positives", "threshold"),
    *("auc", "auc_low", "auc_high", "auc_method", "auc_note"),
    *(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")),
)
AVERAGED = "mean of the folds' intervals"


@dataclass(frozen=True)
class _Split:
    """One fold: name of each subset -> positions among the labelled cases, and the seed of all networks trained on it.

    `train` is training and validation together, in the order in which a network gets them.
    """

    name: str
    rows: dict[str, np.ndarray]
    train: np.ndarray
    seed: int


@dataclass(frozen=True)
class _Scores:
    """Scores of every labelled case (n,) by one network, and where its weights started from."""

    score: np.ndarray
    weights: str


@dataclass(frozen=True)
class _Judged:
    """One subset of one fold: its cases' `rows`; labels, scores and decisions of its patients (n,), the cut between."""

    rows: np.ndarray
    y: np.ndarray
    score: np.ndarray
    threshold: float

    @property
    def decision(self) -> np.ndarray:
        return (self.score >= self.threshold).astype(int)


def compare_backbones(
    data: StudyData,
    key: str,
    folds: Sequence[Fold],
    plan: TrainingPlan,
    backbones: Sequence[str],
    run: Run,
) -> pd.DataFrame:
    """Deep-CT (image only, this endpoint alone) with each backbone on the same splits, validation sets and seeds.

    Within a fold 25 % of the training patients are the validation set: the network is fitted on the others, the best
    epoch and the threshold (Youden) are chosen on the validation set, and test is judged once with both frozen. So the
    validation figures are those of the best epoch and the best cut, and are on the high side. `plan.network.form`
    "frozen" fits a logistic read-out of ten principal components, not the network.

    Parameters
    ----------
    folds: (train, test) positions in `data`; cases without a label of `key` are left out.
    run: its folder holds the scores of finished networks, and the checkpoint of one that is being trained.

    Returns
    -------
    Rows of `BACKBONE_COLUMNS`: one for each backbone and subset with `fold` "all", and with several folds one
    for each of them too, named "1", "2" ... On test the AUC of all folds is the mean over folds and decisions are
    pooled. For training and validation, and on test where folds share cases (repeats), this would count cases anew:
    there n, positives, figures and bounds are means over folds, which makes the interval as wide as one fold's, not
    narrower. n, positives and figures are of patients (`by_patient`). NaN where a subset has too few cases of a class.

    Raises
    ------
    CohortError: no images, or a validation set with one class.
    TooFewPositivesError: a training set with under ten patients of either class.
    InputError: an unknown backbone, too few pixels for one, weights that do not load, one file for several backbones.
    """
    backbones = list(dict.fromkeys(backbones))
    _check_networks(plan.network, backbones, key)
    if data.patches is None:
        raise CohortError(
            "there are no images to compare networks on", where=key, mend="give ct and mask, or leave out --backbones"
        )
    known = data.labels[key].notna().to_numpy()
    cases, position = data.subset(known), np.cumsum(known) - 1
    labels = cases.labels[key].to_numpy().astype(int)
    labelled = [(position[train[known[train]]], position[test[known[test]]]) for train, test in folds]
    splits = _splits(cases, key, labelled, plan.seed)
    run = run.within(f"backbones-{_content(cases, labels, key, splits, plan.network)}")
    tables = []
    done, total = 0, len(backbones) * len(splits) * plan.network.epochs
    for backbone in backbones:
        network = dataclasses.replace(plan.network, backbone=backbone)
        scores = []
        for split in splits:
            title = f"{backbone}, fold {split.name} of {len(splits)}"
            of_one = dataclasses.replace(run, report=_of_all(run.report, title, done, total))
            scores.append(_stored_scores(cases, key, split, network, of_one))
            done += network.epochs
            run.report(Progress(Stage.BACKBONES, f"{title}, finished", done, total))
        tables += _rows_of(backbone, labels, cases.patients.to_numpy(), splits, scores)
    return pd.DataFrame(tables, columns=list(BACKBONE_COLUMNS))


def _of_all(report: Report, title: str, before: int, total: int) -> Report:
    """Reports the epochs of one network as those of all, so that the time left is that of the whole comparison."""
    return lambda event: report(Progress(Stage.BACKBONES, f"{title}, {event.detail}", before + event.done, total))


def _check_networks(plan: NetworkPlan, backbones: Sequence[str], key: str) -> None:
    from DeepRadScoreLib.deepct.network import NetworkSpec

    for backbone in backbones:
        NetworkSpec(backbone=backbone, endpoints=(key,), pixels=plan.pixels)
    if plan.weights not in ("none", "imagenet") and len(backbones) > 1:
        raise InputError(
            "one weight file fits one backbone only",
            where=Path(plan.weights),
            mend="compare several backbones with --weights imagenet or none",
        )


def _splits(cases: StudyData, key: str, folds: Sequence[Fold], seed: int) -> list[_Split]:
    labels = cases.labels[key].to_numpy()
    splits = []
    for number, (train, test) in enumerate(folds):
        where = f"{key}, fold {number + 1} of {len(folds)}"
        try:
            modelling_rule(cases.subset(train).labels_of_patients(key))
        except TooFewPositivesError as error:
            raise TooFewPositivesError(error.what, where=where, mend=error.mend) from error
        chosen = holdout(labels[train], cases.patients.to_numpy()[train], VALIDATION_SHARE, seed + number)
        rows = dict(zip(SUBSETS, (train[~chosen], train[chosen], test), strict=True))
        for name in ("training", "validation"):
            if len(np.unique(labels[rows[name]])) < 2:
                raise CohortError(
                    f"its {name} part has one class only", where=where, mend="add patients or choose another seed"
                )
        splits.append(_Split(str(number + 1), rows, train, seed + number))
    return splits


def _content(cases: StudyData, labels: np.ndarray, key: str, splits: Sequence[_Split], plan: NetworkPlan) -> str:
    """Hash of every input and setting of the networks except the backbone."""
    weights = Path(plan.weights)
    return joblib.hash(
        (
            *(cases.patches, labels, cases.patients.tolist(), key),
            [(split.rows, split.seed) for split in splits],
            dataclasses.asdict(dataclasses.replace(plan, backbone="")),
            weights.read_bytes() if weights.is_file() else None,
            installed_version("torch"),
        )
    )


def _stored_scores(cases: StudyData, key: str, split: _Split, plan: NetworkPlan, run: Run) -> _Scores:
    """Result of `_scores`, loaded if it was computed before; the checkpoint of a finished network is removed."""
    name = f"{plan.backbone}-{split.name}"
    scores = run.load_or_compute(name, lambda: _scores(cases, key, split, plan, run.within(name)), Stage.BACKBONES)
    shutil.rmtree(run.folder / name, ignore_errors=True)
    return scores


def _scores(cases: StudyData, key: str, split: _Split, plan: NetworkPlan, run: Run) -> _Scores:
    assert cases.patches is not None
    labels = cases.labels[[key]].to_numpy()
    if plan.form == NetworkForm.FROZEN:
        fitted = split.rows["training"]
        networks = fit_frozen_network(cases.patches[fitted], labels[fitted], (key,), plan, split.seed)
        outputs = networks.outputs(cases.patches)[0]
        return _Scores(outputs.pooled @ networks.columns[key].readout, networks.weights)
    fitted = split.train
    patches, patients = cases.patches[fitted], cases.patients.to_numpy()[fitted]
    networks = fit_joint_network(patches, labels[fitted], None, patients, (key,), plan, split.seed, run)
    return _Scores(networks.outputs(cases.patches)[0].logit[key].astype(float), networks.weights)


def _rows_of(
    backbone: str, labels: np.ndarray, patients: np.ndarray, splits: Sequence[_Split], scores: Sequence[_Scores]
) -> list[dict[str, Any]]:
    judged: dict[str, list[_Judged]] = {name: [] for name in SUBSETS}
    for split, of in zip(splits, scores, strict=True):
        chosen = split.rows["validation"]
        threshold = youden_threshold(*_of_patients(labels, of.score, patients, chosen))
        for name, rows in split.rows.items():
            judged[name].append(_Judged(rows, *_of_patients(labels, of.score, patients, rows), threshold))
    table = []
    for name, folds in judged.items():
        single = [_figures([fold]) for fold in folds]
        pooled = _figures(folds) if name == "test" and _disjoint(folds) else _averaged(single)
        named = {"backbone": backbone, "weights": scores[0].weights, "part": name}
        table.append({**named, **pooled, "fold": ALL_FOLDS})
        if len(folds) > 1:
            table += [{**named, **each, "fold": split.name} for split, each in zip(splits, single, strict=True)]
    return table


def _of_patients(
    labels: np.ndarray, score: np.ndarray, patients: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of the patients of some cases."""
    table = by_patient(pd.DataFrame({"patient_id": patients[rows], "label": labels[rows], "score": score[rows]}))
    return table["label"].to_numpy(), table["score"].to_numpy()


def _disjoint(folds: Sequence[_Judged]) -> bool:
    rows = np.concatenate([fold.rows for fold in folds])
    return len(np.unique(rows)) == len(rows)


def _figures(folds: Sequence[_Judged]) -> dict[str, Any]:
    y = np.concatenate([fold.y for fold in folds])
    found: dict[str, Any] = {"n": len(y), "positives": int(y.sum())}
    found["threshold"] = folds[0].threshold if len(folds) == 1 else np.nan
    try:
        auc = mean_auc([(fold.y, fold.score) for fold in folds])
        found |= {"auc": auc.auc, "auc_low": auc.low, "auc_high": auc.high}
        found |= {"auc_method": auc.method, "auc_note": auc.note or ""}
    except ValueError as error:
        found |= {"auc": np.nan, "auc_low": np.nan, "auc_high": np.nan, "auc_method": "", "auc_note": str(error)}
    for metric, estimate in decision_metrics(y, np.concatenate([fold.decision for fold in folds])).items():
        if metric in METRICS:
            low, high = estimate.ci or (np.nan, np.nan)
            value = np.nan if estimate.value is None else estimate.value
            found |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
    return found


def _averaged(single: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over folds of the figures and of their bounds; one fold alone stays as it is."""
    if len(single) == 1:
        return single[0]
    table = pd.DataFrame(single)
    notes = dict.fromkeys(note for note in table.pop("auc_note") if note)
    means = table.drop(columns=["auc_method", "threshold"]).mean().to_dict()
    counts = {name: round(means[name]) for name in ("n", "positives")}
    return {**means, **counts, "threshold": np.nan, "auc_method": AVERAGED, "auc_note": "; ".join(notes)}
