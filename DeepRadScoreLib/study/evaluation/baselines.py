"""What every model is held against: the tumour's volume, clinical variables, shuffled labels (method: protocols)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from DeepRadScoreLib.study.training.protocols import StudyData

VOLUME_COLUMNS = ("tumour_original_shape_VoxelVolume", "tumour_original_shape_MeshVolume")
RAREST_CATEGORY = 0.02


def volume_column(features: pd.DataFrame) -> np.ndarray | None:
    """Logarithm of the tumour's volume in mm3, (n, 1); None where the feature table has no volume."""
    for name in VOLUME_COLUMNS:
        if name in features and (features[name] > 0).all():
            return np.log(features[[name]].to_numpy())
    return None


def clinical_columns(training: pd.DataFrame, others: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Numeric columns (n, d) of the training and the other cases from the covariates named by the user.

    Missing numbers get the training median and missing categories one of their own; categories are one column each, as
    the training part has them; a category that it does not have is zero everywhere.
    """
    numeric = [name for name in training if pd.api.types.is_numeric_dtype(training[name])]
    categories = [name for name in training if name not in numeric]
    encode = ColumnTransformer(
        [
            ("numeric", SimpleImputer(strategy="median", keep_empty_features=True), numeric),
            ("categories", OneHotEncoder(handle_unknown="ignore", min_frequency=RAREST_CATEGORY), categories),
        ],
        sparse_threshold=0.0,
    )
    whole = [
        table.assign(**{name: table[name].astype(object).where(table[name].notna(), "missing") for name in categories})
        for table in (training, others)
    ]
    return encode.fit_transform(whole[0]).astype(float), encode.transform(whole[1]).astype(float)


def with_shuffled_labels(data: StudyData, parts: list[np.ndarray], seed: int) -> StudyData:
    """The same cases with each endpoint's labels permuted over the patients of each of the `parts` (positions).

    Each part keeps how many of its patients are positive, so that an endpoint that can be modelled stays so.
    """
    labels = data.labels.copy()
    for number, part in enumerate(parts):
        for position, key in enumerate(labels.columns):
            known = part[data.labels[key].iloc[part].notna().to_numpy()]
            patients, of_case = np.unique(data.patients.iloc[known], return_inverse=True)
            of_patient = np.zeros(len(patients))
            np.maximum.at(of_patient, of_case, data.labels[key].to_numpy()[known])
            rng = np.random.default_rng([seed, 3, number, position])
            labels.iloc[known, position] = rng.permutation(of_patient)[of_case]
    return StudyData(data.features, None, labels, data.patients, data.repeats)
