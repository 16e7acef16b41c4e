"""The features of the RadScores as they are shown: one group per endpoint, region and protocol."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from DeepRadScoreLib.radscore.names import REGIONS

FOLD_PREFIX = "coefficient_fold_"


@dataclass(frozen=True)
class SelectedFeature:
    """A feature, in how many folds it was chosen, the mean coefficient there, and each fold's (None: not chosen)."""

    name: str
    folds: int
    mean: float
    coefficients: list[float | None]


@dataclass(frozen=True)
class SelectedGroup:
    """The features of one endpoint's RadScore of one region under one protocol, most often chosen first."""

    protocol: str
    endpoint: str
    region: str
    of_folds: int
    folds: list[str]
    features: list[SelectedFeature]


def selected_features(table: pd.DataFrame | None) -> dict[str, list[SelectedGroup]]:
    """Endpoint -> its groups, tumour first, of the table `selected_features` of `study_tables`; empty without it."""
    if table is None or table.empty:
        return {}
    groups = [_group(rows) for _, rows in table.groupby(["protocol", "endpoint", "region"], sort=False)]
    return {
        endpoint: sorted(
            (group for group in groups if group.endpoint == endpoint), key=lambda group: group.region != REGIONS[0]
        )
        for endpoint in dict.fromkeys(group.endpoint for group in groups)
    }


def _group(rows: pd.DataFrame) -> SelectedGroup:
    first = rows.iloc[0]
    columns = [name for name in rows if name.startswith(FOLD_PREFIX) and rows[name].notna().any()]
    features = [
        SelectedFeature(
            str(row["feature"]),
            int(row["folds"]),
            float(row["coefficient_mean"]),
            [None if pd.isna(row[name]) else float(row[name]) for name in columns],
        )
        for _, row in rows.iterrows()
    ]
    names = [name.removeprefix(FOLD_PREFIX) for name in columns]
    return SelectedGroup(first["protocol"], first["endpoint"], first["region"], int(first["of_folds"]), names, features)
