"""Limits of an older bundle, without training it again, from the feature table of its training cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from DeepRadScoreLib.bundles.bundle import Bundle
from DeepRadScoreLib.cohort.table_files import read_table
from DeepRadScoreLib.cohort.text_table import require_columns
from DeepRadScoreLib.errors import CohortError, InputError
from DeepRadScoreLib.fusion.endpoint_model import EndpointModel
from DeepRadScoreLib.fusion.inputs import checked_features
from DeepRadScoreLib.likeness.evidence import Evidence
from DeepRadScoreLib.likeness.limits import MIN_CASES, TrainingLimits

EXACT = 1e-6
MAX_MEDIAN, MAX_SINGLE = 2.5, 10.0
"""Largest median and single deviation of a mean, in standard errors, that cases without a label explain."""
MEND = "give the table that was extracted from the training cases, without the held-out ones"


def bundle_with_limits(bundle: Bundle, table: Path, where: Path) -> Bundle:
    """The bundle with the limits that the feature table of its training cases tells: of features and RadScores.

    Distances of image, networks, deep scores and scans stay without limits, and the bundle says so.

    Parameters
    ----------
    bundle: read from the file `where`.
    table: one row per training case, as `extract` writes it; the held-out cases may not be in it.

    Raises
    ------
    InputError: the bundle has limits or scores that such a table cannot be compared with; a feature is missing.
    CohortError: the table cannot be read, or is not that of the training cases.
    """
    _check_bundle(bundle, where)
    features, sha256 = _read_features(table)
    _check_number(bundle, features, table)
    for model in bundle.endpoints.values():
        _check_means(model, bundle.manifest.endpoints[model.key].n, features, table)
    columns = {
        key: pd.DataFrame(model.regions.columns(features), columns=list(model.regions.names))
        for key, model in bundle.endpoints.items()
        if not model.fusion.no_signal_
    }
    splitter = KFold(min(5, len(features)), shuffle=True, random_state=bundle.manifest.seed)
    limits = TrainingLimits.fit(Evidence(features, columns=columns), list(splitter.split(features)))
    if limits is None:
        raise CohortError(f"fewer than {MIN_CASES} cases have no limits", where=table, mend=MEND)
    limited = bundle.with_limits(limits)
    trained_on = bundle.manifest.trained_on | {"limits_features_sha256": sha256}
    return replace(limited, manifest=limited.manifest.model_copy(update={"trained_on": trained_on}))


def _check_bundle(bundle: Bundle, where: Path) -> None:
    if bundle.limits is not None:
        raise InputError("the bundle knows the limits of its training data", where=where, mend="use it as it is")
    if any(model.averaged and model.fold_regions for model in bundle.endpoints.values()):
        raise InputError(
            "the bundle's scores are means over folds, which no feature table can be compared with",
            where=where,
            mend="train it again, which learns the limits too",
        )


def _read_features(path: Path) -> tuple[pd.DataFrame, str]:
    """The features, and the SHA-256 of their file."""
    table, sha256 = read_table(path, text_column="case_id")
    require_columns(("case_id",), table, path, "give a table made by deepradscore extract")
    doubled = table["case_id"][table["case_id"].duplicated()]
    if len(doubled):
        raise CohortError(f'the case "{doubled.iloc[0]}" has several rows', where=path, mend="keep one row per case")
    try:
        return checked_features(table), sha256
    except InputError as error:
        raise CohortError(error.what, where=path, mend=error.mend) from error


def _check_number(bundle: Bundle, features: pd.DataFrame, table: Path) -> None:
    trained = bundle.manifest.trained_on
    least, most = trained["training_patients"], trained["cases"] - trained["held_out_patients"]
    if not least <= len(features) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        what = f"the table has {len(features)} cases, the bundle was trained on {wanted}"
        raise CohortError(what, where=table, mend=MEND)


def _check_means(model: EndpointModel, labelled: int, features: pd.DataFrame, table: Path) -> None:
    """Refuse features whose means and standard deviations are not those of the model's RadScores.

    A RadScore is fitted on the cases that have a label. Where all have one, they must agree to 1e-6 of a standard
    deviation; else the means may differ by what leaving so many cases out explains.
    """
    n = len(features)
    missing = max(n - labelled, 0)
    error = float(np.sqrt(missing / (n * max(labelled, 1))))
    for radscore in model.regions.radscores.values():
        values = features[list(radscore.selected_names)].to_numpy(float)
        shift = np.abs(values.mean(axis=0) - radscore.mean_) / radscore.scale_
        spread = np.abs(np.log(np.maximum(values.std(axis=0), 1e-300) / radscore.scale_))
        if missing == 0:
            alike = max(shift.max(), spread.max()) <= EXACT
        else:
            alike = np.median(shift) <= MAX_MEDIAN * error and shift.max() <= MAX_SINGLE * error
        if not alike:
            worst = radscore.selected_names[int(shift.argmax())]
            what = (
                f'means or standard deviations, such as that of "{worst}", are not those of the bundle\'s {model.key}'
            )
            raise CohortError(what, where=table, mend=MEND)
