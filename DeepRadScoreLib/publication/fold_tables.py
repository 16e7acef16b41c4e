"""What the outer folds fitted: chosen features, as table and as groups of a page, and inner AUCs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from DeepRadScoreLib.models import Protocol
from DeepRadScoreLib.radscore.names import REGIONS
from DeepRadScoreLib.study.results.study import Study

IDENTITY = ["protocol", "endpoint"]
FOLD_PREFIX = "coefficient_fold_"


@dataclass(frozen=True)
class SelectedFeature:
    """A feature, in how many folds it was chosen, the mean coefficient there, and each fold's (NaN: not chosen)."""

    name: str
    folds: int
    mean: float
    coefficients: list[float]


@dataclass(frozen=True)
class SelectedGroup:
    """The features of one endpoint's RadScore of one region under one protocol, most often chosen first.

    `folds` are those in which any feature of the region was chosen, out of `of_folds`.
    """

    protocol: str
    endpoint: str
    region: str
    of_folds: int
    folds: list[str]
    features: list[SelectedFeature]


def coefficients(study: Study) -> pd.DataFrame:
    """One row per protocol, fold, endpoint, region and feature: coefficient of the z-score, training mean, SD, rule."""
    header = ["protocol", "fold", "endpoint", "region", "feature", "coefficient", "mean", "sd", "rule"]
    parts = [
        fold.selected.assign(protocol=protocol, fold=fold.name)
        for protocol, fold in study.each_fold()
        if len(fold.selected)
    ]
    return pd.concat(parts, ignore_index=True)[header] if parts else pd.DataFrame(columns=header)


def selected_features(study: Study) -> pd.DataFrame:
    """How often and with which coefficients each feature was chosen, the most frequent and heaviest first."""
    long = coefficients(study)
    keys = ["protocol", "endpoint", "region", "feature"]
    if long.empty:
        return pd.DataFrame(columns=[*keys, "folds", "of_folds", "coefficient_mean", "coefficient_sd", "rules"])
    grouped = long.groupby(keys, sort=False)
    result = grouped["coefficient"].agg(folds="count", coefficient_mean="mean", coefficient_sd="std").reset_index()
    of_folds = long.groupby(IDENTITY)["fold"].nunique().rename("of_folds")
    result = result.join(of_folds, on=IDENTITY)
    result["rules"] = grouped["rule"].agg(lambda rules: ", ".join(sorted(set(rules)))).to_numpy()
    by_fold = long.pivot(index=keys, columns="fold", values="coefficient")[list(dict.fromkeys(long["fold"]))]
    result = result.join(by_fold.add_prefix(FOLD_PREFIX), on=keys)
    header = [*keys, "folds", "of_folds", "coefficient_mean", "coefficient_sd", "rules"]
    ranked = result.assign(size=result["coefficient_mean"].abs()).sort_values(
        ["protocol", "endpoint", "region", "folds", "size", "feature"],
        ascending=[True, True, True, False, False, True],
        key=lambda column: column if column.name not in IDENTITY else column.map(_place_in(long[column.name])),
    )
    fold_columns = [name for name in result if name.startswith(FOLD_PREFIX)]
    return ranked[[*header, *fold_columns]].reset_index(drop=True)


def selected_groups(study: Study) -> dict[str, list[SelectedGroup]]:
    """Endpoint -> its groups, tumour first; empty without RadScores."""
    found: dict[str, list[SelectedGroup]] = {}
    for (protocol, endpoint, region), rows in selected_features(study).groupby([*IDENTITY, "region"], sort=False):
        places = {f"{FOLD_PREFIX}{fold.name}": fold.name for fold in study.folds[protocol]}
        columns = [column for column in places if column in rows and rows[column].notna().any()]
        names = [places[column] for column in columns]
        features = [
            SelectedFeature(row["feature"], row["folds"], row["coefficient_mean"], [row[name] for name in columns])
            for row in rows.to_dict("records")
        ]
        group = SelectedGroup(protocol, endpoint, region, int(rows["of_folds"].iloc[0]), names, features)
        found.setdefault(endpoint, []).append(group)
    return {key: sorted(groups, key=lambda group: group.region != REGIONS[0]) for key, groups in found.items()}


def _place_in(column: pd.Series) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(column))}


def inner_auc(study: Study) -> pd.DataFrame:
    """Mean, SD (n - 1) and quartiles of the inner AUCs of each classifier over all folds; how many folds chose it."""
    aucs: dict[tuple[Protocol, str, str, str], list[np.ndarray]] = {}
    chosen: dict[tuple[Protocol, str, str, str], int] = {}
    for protocol, fold in study.each_fold():
        for fit in fold.fits:
            for classifier, values in fit.cv_auc.items():
                key = (protocol, fit.endpoint, fit.model, classifier)
                aucs.setdefault(key, []).append(np.asarray(values, dtype=np.float64))
                chosen[key] = chosen.get(key, 0) + int(fit.classifier == classifier)
    header = [*IDENTITY, "model", "classifier"]
    rows = []
    for key, parts in aucs.items():
        values = pd.Series(np.concatenate(parts)).dropna()
        rows.append(
            dict(zip(header, key, strict=True))
            | {
                "folds": len(parts),
                "chosen": chosen[key],
                "aucs": len(values),
                "mean": values.mean(),
                "sd": values.std(),
            }
            | dict(zip(("q1", "median", "q3"), values.quantile([0.25, 0.5, 0.75]), strict=True))
        )
    return pd.DataFrame(rows, columns=[*header, "folds", "chosen", "aucs", "mean", "sd", "q1", "median", "q3"])
