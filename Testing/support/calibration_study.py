"""Coverage of label sets and intervals, and calibration, over training draws of made-up features with known truth.

Features and logits of networks are drawn from the phantom cohort's latent causes without images: each region's features
mix the causes that show there with noise, and a fold network's logit mixes the true log-odds with noise of the case
and noise of its own. From there on all is fitted as `train` does. Synthetic: not for patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from DeepRadScoreLib.bundles.manifest import CalibrationCard
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.radscore.radscore import RegionScores, Scale
from DeepRadScoreLib.statistics.conformal import attainable_coverage
from DeepRadScoreLib.study.splits import stratified_folds
from DeepRadScoreLib.synthetic.causes import draw_labels, draw_latents, log_odds

SHOWN_IN = {"tumour": ("cavity", "grain"), "peritumoral": ("rim",)}
FEATURES = 30
HELD_OUT = 40
"""Cases by which training learns how scores vary between the folds; they are not judged."""
TRUTH, NOISE_OF_CASE, NOISE_OF_NETWORK = 0.55, 0.7, 0.4
"""Parts of a network's logit, per standard deviation of the true log-odds."""


@dataclass(frozen=True)
class Judged:
    """One endpoint of one trained model on n unseen cases.

    Attributes
    ----------
    truth: (n,) known probability of each case. labels: (n,) drawn with it.
    log_odds: (n,) what ships. of_folds: (folds, n). of_refit: (n,) with RadScores refitted on all training cases.
    """

    key: str
    classifier: str
    card: CalibrationCard
    truth: np.ndarray
    labels: np.ndarray
    log_odds: np.ndarray
    of_folds: np.ndarray
    of_refit: np.ndarray | None = None


def train_and_judge(
    seed: int, keys: tuple[str, ...], *, n: int = 160, unseen: int = 1000, folds: int = 3, refit: bool = False
) -> list[Judged]:
    """Draw n training and `unseen` other cases by seed, train each endpoint that has a signal, and judge it."""
    rng = np.random.default_rng([seed, 77])
    latents = draw_latents(n + HELD_OUT + unseen, seed)
    labels = draw_labels(latents, seed)
    features = _features(latents, rng)
    splits = stratified_folds(labels.iloc[:n].to_numpy(float), np.arange(n), folds, seed)
    return [
        judged
        for key in keys
        if (judged := _judge_endpoint(key, latents, labels[key].to_numpy(), features, splits, rng, seed, refit))
    ]


def _judge_endpoint(
    key: str,
    latents: pd.DataFrame,
    labels: np.ndarray,
    features: pd.DataFrame,
    splits: list[tuple[np.ndarray, np.ndarray]],
    rng: np.random.Generator,
    seed: int,
    refit: bool,
) -> Judged | None:
    n = sum(len(left_out) for _, left_out in splits)
    truth = log_odds(latents, key)
    of_case = TRUTH * (truth - truth.mean()) / (truth.std() or 1.0) + NOISE_OF_CASE * rng.normal(size=len(truth))
    trained = np.empty((n, 3))
    regions, deep = [], []
    for train, left_out in splits:
        logit = of_case + NOISE_OF_NETWORK * rng.normal(size=len(truth))
        fitted = RegionScores.fit(features.iloc[train], labels[train], train, rule="lasso", seed=seed)
        z_logit = Scale.of(logit[train])(logit)[:, None]
        trained[left_out] = np.hstack([z_logit[left_out], fitted.columns(features.iloc[left_out])])
        regions.append(fitted)
        deep.append(z_logit[n:])
    fusion = FusionModel(search="quick", folds=5, repeats=1, seed=seed).fit(trained, labels[:n])
    if fusion.no_signal_:
        return None
    unseen = features.iloc[n:]
    members = np.stack([np.hstack([one, fold.columns(unseen)]) for one, fold in zip(deep, regions, strict=True)])
    of_folds = fusion.log_odds(fusion.member_scores(members))
    between_folds = float(of_folds[:, :HELD_OUT].var(axis=0).mean())
    of_refit = None
    if refit:
        of_all = RegionScores.fit(features.iloc[:n], labels[:n], np.arange(n), rule="lasso", seed=seed)
        columns = np.hstack([np.mean(deep, axis=0), of_all.columns(unseen)])
        of_refit = fusion.log_odds(fusion.decision_function(columns))[HELD_OUT:]
    return Judged(
        key,
        fusion.classifier_,
        CalibrationCard.of(fusion.oof_score_, labels[:n], np.arange(n), between_folds),
        expit(truth[n + HELD_OUT :]),
        labels[n + HELD_OUT :],
        of_folds.mean(axis=0)[HELD_OUT:],
        of_folds[:, HELD_OUT:],
        of_refit,
    )


def _features(latents: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    mixing = np.random.default_rng(7)
    columns = {}
    for region, names in SHOWN_IN.items():
        causes = latents[list(names)].to_numpy()
        for number in range(FEATURES):
            weights = 0.8 * mixing.normal(size=len(names)) * (mixing.random() < 0.3)
            columns[f"{region}_{number}"] = causes @ weights + rng.normal(size=len(latents))
    nuisance = rng.normal(size=(len(latents), 4)) @ (0.4 * mixing.normal(size=(4, len(columns))))
    return pd.DataFrame(columns) + nuisance


def calibration_error(probability: np.ndarray, target: np.ndarray, bins: int = 10) -> float:
    """Mean |mean probability - mean target| over bins of equally many cases."""
    parts = np.array_split(np.argsort(probability, kind="stable"), bins)
    return sum(len(part) * abs(probability[part].mean() - target[part].mean()) for part in parts) / len(probability)


def smooth_calibration_error(probability: np.ndarray, target: np.ndarray) -> float:
    """Mean |probability - isotonic regression of the target on it|: no bins."""
    smooth = IsotonicRegression(out_of_bounds="clip").fit_transform(probability, target)
    return float(np.abs(smooth - probability).mean())


def label_set_row(one: Judged) -> dict[str, float]:
    """Coverage of each class, what is attainable with its number of patients, shares of {both} and of empty sets."""
    present, absent = one.card.thresholds.keeps(expit(one.log_odds))
    return {
        "covered_present": float(present[one.labels == 1].mean()),
        "attainable_present": attainable_coverage(one.card.positives, one.card.level),
        "covered_absent": float(absent[one.labels == 0].mean()),
        "attainable_absent": attainable_coverage(one.card.negatives, one.card.level),
        "both": float((present & absent).mean()),
        "empty": float((~present & ~absent).mean()),
    }


def interval_rows(one: Judged, most: int) -> dict[str, dict[str, float]]:
    """Method -> share of cases whose known probability it holds, share whose expected one given the score, mean width.

    Of the first `most` cases; the expected probability is the isotonic regression of the known one on the score.
    """
    score = expit(one.log_odds)
    expected = IsotonicRegression(out_of_bounds="clip").fit(score, one.truth).predict(score)
    folds = one.of_folds
    variance, _, slope = one.card.error
    spread = folds.var(axis=0, ddof=1)
    error = np.maximum(variance + 2 * one.card.error[1] * one.log_odds + slope * one.log_odds**2, 0)
    normal = 1.6449 * np.sqrt(error)
    both = 1.6449 * np.sqrt(error + spread)
    own = np.array([one.card.interval(folds[:, i], 0.0) for i in range(most)]).T
    ends = {
        "range of the folds": (expit(folds.min(axis=0)), expit(folds.max(axis=0))),
        "calibration": (expit(one.log_odds - normal), expit(one.log_odds + normal)),
        "calibration and folds": (expit(one.log_odds - both), expit(one.log_odds + both)),
        "maximum-entropy (shown)": tuple(own),
    }
    return {
        method: {
            "holds_known": float(np.mean((low[:most] <= one.truth[:most]) & (one.truth[:most] <= high[:most]))),
            "holds_expected": float(np.mean((low[:most] <= expected[:most]) & (expected[:most] <= high[:most]))),
            "width": float(np.mean(high[:most] - low[:most])),
        }
        for method, (low, high) in ends.items()
    }


def probability_row(one: Judged, log_odds: np.ndarray) -> dict[str, float]:
    """AUC, Brier score, calibration errors above those of the known probabilities, share outside the folds, width."""
    score, folds, labels = expit(log_odds), expit(one.of_folds), one.labels
    low, high = folds.min(axis=0), folds.max(axis=0)
    return {
        "auc": float(roc_auc_score(one.labels, score)),
        "brier": float(np.mean((score - one.labels) ** 2)),
        "calibration_error_above_truth": calibration_error(score, labels) - calibration_error(one.truth, labels),
        "smooth_error_above_truth": smooth_calibration_error(score, labels)
        - smooth_calibration_error(one.truth, labels),
        "outside": float(np.mean((score < low - 0.01) | (score > high + 0.01))),
        "spread": float(np.mean(high - low)),
    }
