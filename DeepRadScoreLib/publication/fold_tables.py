"""Tables of what the outer folds fitted: chosen features with their coefficients, and inner AUCs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from DeepRadScoreLib.models import Protocol
from DeepRadScoreLib.study.results.study import Study

IDENTITY = ["protocol", "endpoint"]
FOLD_PREFIX = "coefficient_fold_"


def coefficients(study: Study) -> pd.DataFrame:
    """One row per protocol, fold, endpoint, region and feature: coefficient of the z-score, training mean, SD, rule."""
    header = ["protocol", "fold", "endpoint", "region", "feature", "coefficient", "mean", "sd", "rule"]
    tables = [
        fold.selected.assign(protocol=protocol, fold=fold.name)
        for protocol, fold in study.each_fold()
        if len(fold.selected)
    ]
    return pd.concat(tables, ignore_index=True)[header] if tables else pd.DataFrame(columns=header)


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
        key=lambda column: (
            column if column.name not in IDENTITY else column.map(list(dict.fromkeys(long[column.name])).index)
        ),
    )
    fold_columns = [name for name in result if name.startswith(FOLD_PREFIX)]
    return ranked[[*header, *fold_columns]].reset_index(drop=True)


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
    for key, by_fold in aucs.items():
        values = pd.Series(np.concatenate(by_fold)).dropna()
        rows.append(
            dict(zip(header, key, strict=True))
            | {
                "folds": len(by_fold),
                "chosen": chosen[key],
                "aucs": len(values),
                "mean": values.mean(),
                "sd": values.std(),
            }
            | dict(zip(("q1", "median", "q3"), values.quantile([0.25, 0.5, 0.75]), strict=True))
        )
    return pd.DataFrame(rows, columns=[*header, "folds", "chosen", "aucs", "mean", "sd", "q1", "median", "q3"])
