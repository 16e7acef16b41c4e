"""Checks of the features and patches that a model predicts from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.carriers import PATCH_PIXELS
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS


def checked_features(features: pd.DataFrame) -> pd.DataFrame:
    """The 1702 columns of a feature table, float64, indexed by case_id if it is the index or a column.

    Raises
    ------
    TypeError: it is no DataFrame.
    InputError: a column is missing, or a cell holds no finite number.
    """
    if not isinstance(features, pd.DataFrame):
        raise TypeError(f"features: a DataFrame is needed, not {type(features).__name__}")
    table = features.set_index("case_id") if "case_id" in features else features
    for column in FEATURE_COLUMNS:
        if column not in table:
            raise InputError(
                f'the column "{column}" is missing', where="features", mend="give the table that `extract` makes"
            )
    numbers = table[list(FEATURE_COLUMNS)].apply(pd.to_numeric, errors="coerce")
    gaps = np.argwhere(~np.isfinite(numbers.to_numpy(float)))
    if len(gaps):
        row, column = gaps[0]
        raise InputError(
            f'the case "{numbers.index[row]}" has no finite number in column "{FEATURE_COLUMNS[column]}"',
            where="features",
            mend="leave the case out",
        )
    return numbers


def checked_patches(patches: np.ndarray, n: int) -> np.ndarray:
    """The deep patches of n cases, (n, 160, 160).

    Raises
    ------
    InputError: they have another shape.
    """
    found, wanted = np.asarray(patches), (n, PATCH_PIXELS, PATCH_PIXELS)
    if found.shape != wanted:
        raise InputError(f"the shape is {found.shape}, not {wanted}", where="patches", mend="give one patch per case")
    return found
